// Sixteen floats at a time, on whatever the processor has: the compiler's vectors, which it cuts into
// the registers of the function's target. Every function is inlined into one that says its target.
#pragma once

#include "numbers.h"

namespace atelier {

constexpr int64_t LANES = 16;

typedef float Floats __attribute__((vector_size(64)));
typedef uint32_t Words __attribute__((vector_size(64)));
typedef int32_t Signed __attribute__((vector_size(64)));
typedef uint16_t Halves __attribute__((vector_size(32)));

#define ATELIER_INLINE __attribute__((always_inline)) static inline

ATELIER_INLINE void splat(Floats& out, float value) { out = value - Floats{}; }

ATELIER_INLINE void get(Floats& out, const float* p) { std::memcpy(&out, p, sizeof out); }

ATELIER_INLINE void get(Floats& out, const bf16* p) {
    Halves halves;
    std::memcpy(&halves, p, sizeof halves);
    const Words words = __builtin_convertvector(halves, Words) << 16;
    out = reinterpret_cast<Floats>(words);
}

template <bool NATIVE>
ATELIER_INLINE void put(float* p, const Floats& value) {
    std::memcpy(p, &value, sizeof value);
}

// Rounds to bfloat16: NATIVE by the processor itself, only where has_bf16() is true.
template <bool NATIVE>
ATELIER_INLINE void put(bf16* p, const Floats& value) {
    Halves halves;
#if defined(__x86_64__)
    if constexpr (NATIVE) {
        // The intrinsic cannot be called from a body that is compiled for every target.
        __asm__("vcvtneps2bf16 %1, %0" : "=v"(halves) : "v"(value));
        std::memcpy(p, &halves, sizeof halves);
        return;
    }
#endif
    const Words bits = reinterpret_cast<Words>(value);
    const Words rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    const Words nan = reinterpret_cast<Words>((bits & 0x7fffffff) > 0x7f800000);
    halves = __builtin_convertvector((nan & 0x7fc0) | (~nan & rounded), Halves);
    std::memcpy(p, &halves, sizeof halves);
}

ATELIER_INLINE float sum(const Floats& value) {
    float parts[16];
    std::memcpy(parts, &value, sizeof parts);
    for (int width = 8; width > 0; width /= 2) {
        for (int i = 0; i < width; i++) parts[i] += parts[i + width];
    }
    return parts[0];
}

// e^x for x <= 88, to about 2 units in the last place (Cephes' polynomial).
ATELIER_INLINE void exponential(Floats& x) {
    const Floats low = Floats{} - 87.3f;
    const Signed tiny = x < low;
    const Words tiny_bits = reinterpret_cast<Words>(tiny);
    Words bits = (reinterpret_cast<Words>(low) & tiny_bits) | (reinterpret_cast<Words>(x) & ~tiny_bits);
    const Floats clamped = reinterpret_cast<Floats>(bits);
    // Adding 1.5 * 2^23 rounds to the nearest integer.
    const Floats shifted = clamped * 1.44269504f + 12582912.0f;
    const Floats n = shifted - 12582912.0f;
    const Floats r = clamped - n * 0.693359375f - n * -2.12194440e-4f;
    Floats p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    const Words exponent = (reinterpret_cast<Words>(shifted) + 127) << 23;
    const Floats scale = reinterpret_cast<Floats>(exponent);
    const Floats value = p * scale;
    bits = reinterpret_cast<Words>(value) & ~tiny_bits;
    x = reinterpret_cast<Floats>(bits);
}

}  // namespace atelier
