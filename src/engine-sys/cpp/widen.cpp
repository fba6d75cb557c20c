// Packed matrices back to plain rows.
#include <algorithm>

#include "atelier.h"
#include "decode.h"
#include "pool.h"

namespace atelier {
namespace {

// One weight, from the layout as format.h describes it. `l` is the lane, `k` the column in its group.
float weight_at(const uint8_t* block, int32_t format, int64_t l, int64_t k) {
    const auto half = [block](int64_t at) {
        f16 bits;
        std::memcpy(&bits, block + at, sizeof bits);
        return f16_to_float(bits);
    };
    if (format == BF16) {
        bf16 bits;
        std::memcpy(&bits, block + 64 * (k / 2) + 4 * l + 2 * (k % 2), sizeof bits);
        return bf16_to_float(bits);
    }
    if (format == INT4) {
        const int64_t nibble = k % 8 / 2;
        const uint8_t byte = block[64 * (k / 8) + 4 * l + 2 * (k % 2) + nibble / 2];
        const int q = byte >> 4 * (nibble % 2) & 15;
        return half(256 + 2 * l) * static_cast<float>(q) + half(288 + 2 * l);
    }
    const uint8_t byte = block[64 * (k / 4) + 16 * (l / 4) + 8 * (k % 4 / 2) + 2 * (l % 4) + k % 2];
    const float q = static_cast<float>(byte & 0x80 ? -(byte & 0x7f) : byte);
    if (format == INT8) return half(512 + 2 * l) * q + half(544 + 2 * l);
    return half((k < 16 ? 512 : 544) + 2 * l) * q;
}

template <typename T>
void widen_row(const AtelierMatrix& matrix, int64_t row, T* output) {
    const int64_t bytes = block_bytes(matrix.format);
    const uint8_t* block = matrix.blocks + row / TILE * (matrix.columns / GROUP) * bytes;
    for (int64_t column = 0; column < matrix.columns; column++) {
        const uint8_t* at = block + column / GROUP * bytes;
        store(output + column, weight_at(at, matrix.format, row % TILE, column % GROUP));
    }
}

#if defined(__x86_64__)

// Rows become columns: 16 vectors of 16 double words.
ATELIER_BF16_INLINE void transpose(__m512i v[16]) {
    __m512i t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        v[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        v[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        v[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        v[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    for (int half = 0; half < 16; half += 8) {
        for (int i = half; i < half + 4; i++) {
            t[i] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0x88);
            t[i + 4] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0xdd);
        }
    }
    for (int i = 0; i < 8; i++) {
        v[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        v[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
    }
}

// All rows of one tile, or the first `rows` of them.
template <typename F>
ATELIER_BF16 void widen_tile(const AtelierMatrix& matrix, int64_t tile, int64_t rows, bf16* output) {
    const int64_t groups = matrix.columns / GROUP;
    const uint8_t* block = matrix.blocks + tile * groups * F::BLOCK;
    const auto tables = F::tables();
    for (int64_t g = 0; g < groups; g++, block += F::BLOCK) {
        __m512 d = _mm512_setzero_ps(), m = d;
        F::scales(block, d, m);
        __m512i v[16];
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) wide<F>(tables, block, j, d, m, v + 4 * j);
        transpose(v);
        for (int64_t r = 0; r < rows; r++) _mm512_storeu_si512(output + r * matrix.columns + g * GROUP, v[r]);
    }
}

void widen_tile_of(const AtelierMatrix& matrix, int64_t tile, int64_t rows, bf16* output) {
    switch (matrix.format) {
        case INT4: return widen_tile<Int4>(matrix, tile, rows, output);
        case INT8: return widen_tile<Int8>(matrix, tile, rows, output);
        case INT8_HALVES: return widen_tile<Int8Halves>(matrix, tile, rows, output);
        default: return widen_tile<Bf16>(matrix, tile, rows, output);
    }
}

#endif

template <typename T>
void widen(const AtelierMatrix& matrix, const int64_t* rows, int64_t count, T* output) {
#if defined(__x86_64__)
    if constexpr (sizeof(T) == 2) {
        if (rows == nullptr && has_bf16()) {
            pool::each((count + TILE - 1) / TILE, 1, [&](int64_t begin, int64_t end) {
                for (int64_t t = begin; t < end; t++) {
                    widen_tile_of(matrix, t, std::min(TILE, count - t * TILE), output + t * TILE * matrix.columns);
                }
            });
            return;
        }
    }
#endif
    pool::each(count, 1 + 1024 / matrix.columns, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++) {
            widen_row(matrix, rows == nullptr ? i : rows[i], output + i * matrix.columns);
        }
    });
}

}  // namespace
}  // namespace atelier

void atelier_widen(const AtelierMatrix* matrix, const int64_t* rows, int64_t count, void* output, int32_t kind) {
    using namespace atelier;
    if (kind == KIND_F32) return widen(*matrix, rows, count, static_cast<float*>(output));
    widen(*matrix, rows, count, static_cast<bf16*>(output));
}
