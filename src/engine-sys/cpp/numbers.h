// Numbers that are no C++ types: bfloat16 and IEEE half precision.
#pragma once

#include <cstdint>
#include <cstring>

namespace atelier {

using bf16 = uint16_t;
using f16 = uint16_t;

// Codes of element types in the C interface.
enum Kind : int32_t { KIND_F32 = 0, KIND_BF16 = 1 };

inline float bits_to_float(uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline uint32_t float_to_bits(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

inline float bf16_to_float(bf16 value) { return bits_to_float(static_cast<uint32_t>(value) << 16); }

// To nearest, ties to even; a NaN stays one.
inline bf16 float_to_bf16(float value) {
    const uint32_t bits = float_to_bits(value);
    if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fc0;
    return static_cast<bf16>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

inline float f16_to_float(f16 value) {
    const uint32_t sign = static_cast<uint32_t>(value & 0x8000) << 16;
    const uint32_t exponent = value >> 10 & 31, mantissa = value & 1023;
    if (exponent == 31) return bits_to_float(sign | 0x7f800000 | mantissa << 13);
    if (exponent != 0) return bits_to_float(sign | (exponent + 112) << 23 | mantissa << 13);
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
}

inline float load(const float* p) { return *p; }
inline float load(const bf16* p) { return bf16_to_float(*p); }
inline void store(float* p, float value) { *p = value; }
inline void store(bf16* p, float value) { *p = float_to_bf16(value); }

}  // namespace atelier
