// Products of many rows: the weights of 64 rows of the matrix are widened once to bfloat16 in the
// second-level cache and multiplied with all rows of the input.
#pragma once

#include "linear_few.h"

#if defined(__x86_64__)

namespace atelier {

constexpr int WIDE_TILES = 4;    // tiles that are multiplied together
constexpr int WIDE_ROWS = 6;     // rows of input: 6 x 4 sums, 4 weights and one input fill 32 registers
constexpr int64_t SPAN = 2048;   // columns that are widened at a time

// Widens `groups` groups of `tiles` tiles, which lie `tile_bytes` apart, to lines [pair of columns, tile].
template <typename F>
ATELIER_BF16 void widen_tiles(const uint8_t* block, int64_t tile_bytes, int tiles, int64_t groups, uint8_t* lines) {
    const auto tables = F::tables();
    for (int t = 0; t < tiles; t++) {
        const uint8_t* from = block + t * tile_bytes;
        uint8_t* to = lines + 64 * t;
        for (int64_t g = 0; g < groups; g++, from += F::BLOCK) {
            __m512 d = _mm512_setzero_ps(), m = d;
            F::scales(from, d, m);
            for (int j = 0; j < 4; j++) {
                __m512i v[4];
                wide<F>(tables, from, j, d, m, v);
                for (int i = 0; i < 4; i++, to += 64 * tiles) _mm512_store_si512(to, v[i]);
            }
        }
    }
}

// R rows of input times T widened tiles; sums go to [R, 64], onto what is there if `add`.
template <int T, int R>
ATELIER_BF16 void many_rows(const uint8_t* lines, int64_t pairs, const bf16* x, int64_t stride, float* sums, bool add) {
    __m512 sum[R][T];
    for (int r = 0; r < R; r++) {
        for (int t = 0; t < T; t++) {
            sum[r][t] = add ? _mm512_loadu_ps(sums + r * WIDE_TILES * TILE + t * TILE) : _mm512_setzero_ps();
        }
    }
    for (int64_t p = 0; p < pairs; p++, lines += 64 * T, x += 2) {
        __m512i v[T];
#pragma GCC unroll 4
        for (int t = 0; t < T; t++) v[t] = _mm512_load_si512(lines + 64 * t);
#pragma GCC unroll 6
        for (int r = 0; r < R; r++) {
            const __m512bh b = pair_at(x + r * stride);
#pragma GCC unroll 4
            for (int t = 0; t < T; t++) sum[r][t] = dot(sum[r][t], v[t], b);
        }
    }
    for (int r = 0; r < R; r++) {
        for (int t = 0; t < T; t++) _mm512_storeu_ps(sums + r * WIDE_TILES * TILE + t * TILE, sum[r][t]);
    }
}

using ManyRows = void (*)(const uint8_t*, int64_t, const bf16*, int64_t, float*, bool);

template <int T>
ManyRows many_rows_with(int rows) {
    static constexpr ManyRows TABLE[WIDE_ROWS] = {many_rows<T, 1>, many_rows<T, 2>, many_rows<T, 3>,
                                                  many_rows<T, 4>, many_rows<T, 5>, many_rows<T, 6>};
    return TABLE[rows - 1];
}

inline ManyRows many_rows_for(int tiles, int rows) {
    switch (tiles) {
        case 1: return many_rows_with<1>(rows);
        case 2: return many_rows_with<2>(rows);
        case 3: return many_rows_with<3>(rows);
        default: return many_rows_with<4>(rows);
    }
}

}  // namespace atelier

#endif
