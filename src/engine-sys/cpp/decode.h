// Packed weights to vectors of bfloat16 pairs, for AVX-512.
//
// The unit is a vector of 16 lanes x 2 columns, what one vdpbf16ps multiplies. `quad` gives the four
// vectors of eight columns as integers q (plus BIAS), which bfloat16 holds exactly; the scales come
// after the sum. `wide` gives d q + m rounded to bfloat16, for products of many rows.
#pragma once

#include "cpu.h"
#include "format.h"
#include "numbers.h"

#if defined(__x86_64__)

namespace atelier {

#define ATELIER_BF16_INLINE ATELIER_BF16 __attribute__((always_inline)) static inline

ATELIER_BF16_INLINE __m512 halves_at(const uint8_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

// Bits of `a`, and those of `b` that `mask` lets through.
ATELIER_BF16_INLINE __m512i or_masked(__m512i a, __m512i b, __m512i mask) {
    return _mm512_ternarylogic_epi32(a, b, mask, 0xf8);
}

// d v + m for each bfloat16 of `v`, rounded to bfloat16.
ATELIER_BF16_INLINE __m512i scaled(__m512i v, __m512 d, __m512 m) {
    const __m512 even = _mm512_castsi512_ps(_mm512_slli_epi32(v, 16));
    const __m512 odd = _mm512_castsi512_ps(_mm512_and_si512(v, _mm512_set1_epi32(static_cast<int>(0xffff0000))));
    const __m512bh both = _mm512_cvtne2ps_pbh(_mm512_fmadd_ps(odd, d, m), _mm512_fmadd_ps(even, d, m));
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                                           21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(order, reinterpret_cast<__m512i>(both));
}

struct Int4 {
    static constexpr int64_t BLOCK = block_bytes(INT4);
    // 128 + q has the bits 0x4300 | q: eight bits of precision end exactly at one.
    static constexpr float BIAS = 128.0f;
    static constexpr bool SCALED = true, AFFINE = true, HALVES = false;

    struct Tables {};
    ATELIER_BF16_INLINE Tables tables() { return {}; }

    ATELIER_BF16_INLINE void quad(const Tables&, const uint8_t* block, int j, __m512i v[4]) {
        const __m512i raw = _mm512_loadu_si512(block + 64 * j);
        const __m512i base = _mm512_set1_epi16(0x4300), mask = _mm512_set1_epi16(15);
        v[0] = or_masked(base, raw, mask);
        v[1] = or_masked(base, _mm512_srli_epi16(raw, 4), mask);
        v[2] = or_masked(base, _mm512_srli_epi16(raw, 8), mask);
        v[3] = _mm512_or_si512(base, _mm512_srli_epi16(raw, 12));
    }

    ATELIER_BF16_INLINE void scales(const uint8_t* block, __m512& d, __m512& m) {
        d = halves_at(block + 256);
        m = _mm512_fnmadd_ps(_mm512_set1_ps(BIAS), d, halves_at(block + 288));
    }
};

template <bool TWO_SCALES>
struct Int8Format {
    static constexpr int64_t BLOCK = block_bytes(INT8);
    static constexpr float BIAS = 0.0f;
    static constexpr bool SCALED = true, AFFINE = !TWO_SCALES, HALVES = TWO_SCALES;

    // Upper and lower bytes of the bfloat16 of 0..=127.
    struct Tables {
        __m512i high[2], low[2];
    };

    ATELIER_BF16_INLINE Tables tables() {
        alignas(64) static const struct Bytes {
            uint8_t high[128], low[128];
            Bytes() {
                for (int i = 0; i < 128; i++) {
                    const bf16 bits = float_to_bf16(static_cast<float>(i));
                    high[i] = static_cast<uint8_t>(bits >> 8);
                    low[i] = static_cast<uint8_t>(bits);
                }
            }
        } bytes;
        return {{_mm512_loadu_si512(bytes.high), _mm512_loadu_si512(bytes.high + 64)},
                {_mm512_loadu_si512(bytes.low), _mm512_loadu_si512(bytes.low + 64)}};
    }

    ATELIER_BF16_INLINE void quad(const Tables& t, const uint8_t* block, int j, __m512i v[4]) {
        const __m512i sign = _mm512_set1_epi8(static_cast<char>(0x80));
        for (int i = 0; i < 2; i++) {
            const __m512i raw = _mm512_loadu_si512(block + 128 * j + 64 * i);
            const __m512i high = or_masked(_mm512_permutex2var_epi8(t.high[0], raw, t.high[1]), raw, sign);
            const __m512i low = _mm512_permutex2var_epi8(t.low[0], raw, t.low[1]);
            v[2 * i] = _mm512_unpacklo_epi8(low, high);
            v[2 * i + 1] = _mm512_unpackhi_epi8(low, high);
        }
    }

    // The second is m, or the second d.
    ATELIER_BF16_INLINE void scales(const uint8_t* block, __m512& d, __m512& m) {
        d = halves_at(block + 512);
        m = halves_at(block + 544);
    }
};

using Int8 = Int8Format<false>;
using Int8Halves = Int8Format<true>;

struct Bf16 {
    static constexpr int64_t BLOCK = block_bytes(BF16);
    static constexpr bool SCALED = false, AFFINE = false, HALVES = false;

    struct Tables {};
    ATELIER_BF16_INLINE Tables tables() { return {}; }

    ATELIER_BF16_INLINE void quad(const Tables&, const uint8_t* block, int j, __m512i v[4]) {
        for (int i = 0; i < 4; i++) v[i] = _mm512_loadu_si512(block + 256 * j + 64 * i);
    }

    ATELIER_BF16_INLINE void scales(const uint8_t*, __m512&, __m512&) {}
};

// Eight columns as finished weights.
template <typename F>
ATELIER_BF16_INLINE void wide(const typename F::Tables& tables, const uint8_t* block, int j, __m512 d, __m512 m,
                              __m512i v[4]) {
    F::quad(tables, block, j, v);
    if constexpr (F::SCALED) {
        const __m512 factor = F::HALVES && j >= 2 ? m : d;
        const __m512 offset = F::AFFINE ? m : _mm512_setzero_ps();
        for (int i = 0; i < 4; i++) v[i] = scaled(v[i], factor, offset);
    }
}

}  // namespace atelier

#endif
