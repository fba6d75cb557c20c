// What the processor can do, and the attribute that lets one function use it.
#pragma once

#include <atomic>

#if defined(__x86_64__)
#include <immintrin.h>
// Functions with this attribute may only be called where has_bf16() is true.
#define ATELIER_BF16 \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512bf16,fma,f16c,bmi2")))
// Functions with this attribute may only be called where has_avx2() is true.
#define ATELIER_AVX2 __attribute__((target("avx2,fma,f16c,bmi2")))
#endif

namespace atelier {

// How much of the processor to use: 0 all, 1 no AVX-512, 2 nothing beyond the compiler's default. For
// tests of what other processors run.
inline std::atomic<int> handicap{0};

// AVX-512 with bfloat16 products: Zen 4, Sapphire Rapids and later.
inline bool has_bf16() {
#if defined(__x86_64__)
    static const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                            __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512bf16") &&
                            __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    return has && handicap.load(std::memory_order_relaxed) == 0;
#else
    return false;
#endif
}

inline bool has_avx2() {
#if defined(__x86_64__)
    static const bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                            __builtin_cpu_supports("bmi2");
    return has && handicap.load(std::memory_order_relaxed) <= 1;
#else
    return false;
#endif
}

}  // namespace atelier
