// Threads of our own for work of microseconds.
//
// OpenMP's threads either spin, which is ruinous on a loaded machine, or sleep at once, which costs
// more than such work takes. These spin for some tens of microseconds and then sleep. Work is cut
// into pieces and a piece is taken by whoever comes first, so a thread that the system does not
// schedule delays nobody.
#pragma once

#include <cstdint>

namespace atelier::pool {

using Body = void (*)(void* context, int64_t begin, int64_t end);

// Threads that compute, the caller included.
void set_threads(int count);
int threads();

// Calls `body` for pieces of 0..items that are multiples of `grain`; returns when all are done. A
// second caller at the same time computes alone.
void run(int64_t items, int64_t grain, Body body, void* context);

template <typename F>
void each(int64_t items, int64_t grain, const F& f) {
    run(
        items, grain, [](void* context, int64_t begin, int64_t end) { (*static_cast<const F*>(context))(begin, end); },
        const_cast<void*>(static_cast<const void*>(&f)));
}

}  // namespace atelier::pool
