// Products of few rows: every weight is unpacked in registers where it is used, so that memory is
// read once and at its full speed.
#pragma once

#include "decode.h"

#if defined(__x86_64__)

namespace atelier {

constexpr int MOST_ROWS = 8;

// Two bfloat16 at `p` in all lanes.
ATELIER_BF16_INLINE __m512bh pair_at(const bf16* p) {
    int32_t pair;
    __builtin_memcpy(&pair, p, sizeof pair);
    const __m512i all = _mm512_set1_epi32(pair);
    return reinterpret_cast<__m512bh>(all);
}

ATELIER_BF16_INLINE __m512 dot(__m512 sum, __m512i a, __m512bh b) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), b);
}

// One tile with R rows of input; `sums` has the sums of each row's groups. Writes [R, 16].
template <typename F, int R>
ATELIER_BF16 void few_rows(const uint8_t* block, int64_t groups, const bf16* x, int64_t stride, const float* sums,
                           float* out) {
    // Enough independent chains that the products do not wait for each other.
    constexpr int CHAINS = R == 1 ? 4 : R <= 3 ? 2 : 1;
    const auto tables = F::tables();
    __m512 total[R];
    __m512 part[R][CHAINS];
    for (int r = 0; r < R; r++) {
        total[r] = _mm512_setzero_ps();
        for (int c = 0; c < CHAINS; c++) part[r][c] = _mm512_setzero_ps();
    }
    const auto collect = [&](int r) ATELIER_BF16 __attribute__((always_inline)) {
        __m512 sum = part[r][0];
        for (int c = 1; c < CHAINS; c++) sum = _mm512_add_ps(sum, part[r][c]);
        for (int c = 0; c < CHAINS; c++) part[r][c] = _mm512_setzero_ps();
        return sum;
    };
    for (int64_t g = 0; g < groups; g++, block += F::BLOCK, x += GROUP) {
        for (int line = 0; line < F::BLOCK; line += 64) _mm_prefetch(block + line + 4 * F::BLOCK, _MM_HINT_T0);
        __m512 d, m;
        F::scales(block, d, m);
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            __m512i v[4];
            F::quad(tables, block, j, v);
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++) {
#pragma GCC unroll 8
                for (int r = 0; r < R; r++) {
                    part[r][i % CHAINS] = dot(part[r][i % CHAINS], v[i], pair_at(x + r * stride + 8 * j + 2 * i));
                }
            }
            if constexpr (F::HALVES) {
                if (j == 1) {
                    for (int r = 0; r < R; r++) total[r] = _mm512_fmadd_ps(d, collect(r), total[r]);
                }
            }
        }
        if constexpr (F::SCALED) {
            for (int r = 0; r < R; r++) {
                total[r] = _mm512_fmadd_ps(F::HALVES ? m : d, collect(r), total[r]);
                if (F::AFFINE) total[r] = _mm512_fmadd_ps(m, _mm512_set1_ps(sums[r * groups + g]), total[r]);
            }
        }
    }
    for (int r = 0; r < R; r++) {
        if constexpr (!F::SCALED) total[r] = collect(r);
        _mm512_storeu_ps(out + r * TILE, total[r]);
    }
}

using FewRows = void (*)(const uint8_t*, int64_t, const bf16*, int64_t, const float*, float*);

template <typename F>
FewRows few_rows_for(int rows) {
    static constexpr FewRows TABLE[MOST_ROWS] = {few_rows<F, 1>, few_rows<F, 2>, few_rows<F, 3>, few_rows<F, 4>,
                                                 few_rows<F, 5>, few_rows<F, 6>, few_rows<F, 7>, few_rows<F, 8>};
    return TABLE[rows - 1];
}

// The sum of every group of every row, [rows, groups].
ATELIER_BF16 static void group_sums(const bf16* x, int64_t stride, int64_t rows, int64_t groups, float* sums) {
    const __m512i one = _mm512_set1_epi16(0x3f80);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t g = 0; g < groups; g++) {
            const __m512i values = _mm512_loadu_si512(x + r * stride + g * GROUP);
            const __m512 parts = dot(_mm512_setzero_ps(), values, reinterpret_cast<__m512bh>(one));
            sums[r * groups + g] = _mm512_reduce_add_ps(parts);
        }
    }
}

}  // namespace atelier

#endif
