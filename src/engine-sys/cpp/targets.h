// One body of code, compiled for each kind of processor and chosen when it runs.
//
// A body is a struct with a static `run`, inlined, over the vectors of lanes.h; it is told whether the
// processor rounds to bfloat16 by itself.
#pragma once

#include "cpu.h"
#include "lanes.h"

namespace atelier {

#if defined(__x86_64__)
template <typename Body, typename... Arguments>
ATELIER_BF16 void run_avx512(Arguments... arguments) {
    Body::template run<true>(arguments...);
}

template <typename Body, typename... Arguments>
ATELIER_AVX2 void run_avx2(Arguments... arguments) {
    Body::template run<false>(arguments...);
}
#endif

template <typename Body, typename... Arguments>
void run_best(Arguments... arguments) {
#if defined(__x86_64__)
    if (has_bf16()) return run_avx512<Body>(arguments...);
    if (has_avx2()) return run_avx2<Body>(arguments...);
#endif
    Body::template run<false>(arguments...);
}

// Rows of `width` numbers that a thread should get at least: fewer cost less than waking it.
inline int64_t rows_worth_a_thread(int64_t width) {
    constexpr int64_t NUMBERS = 16 * 1024;
    return (NUMBERS + width - 1) / (width > 0 ? width : 1);
}

}  // namespace atelier
