// The two ends of a step of training: the loss with its gradient, and the change of the weights.
#include <algorithm>
#include <cmath>

#include "atelier.h"
#include "pool.h"
#include "targets.h"

namespace atelier {
namespace {

// One row of logits, which become the gradient of its loss where that is wanted.
template <typename T>
struct CrossEntropy {
    template <bool NATIVE>
    ATELIER_INLINE void run(T* logits, int64_t width, int64_t target, float factor, bool gradient, float* loss,
                            bool* correct) {
        const float right = load(logits + target);
        Floats mosts;
        splat(mosts, right);
        float most = right;
        int64_t i = 0;
        for (; i + LANES <= width; i += LANES) {
            Floats x;
            get(x, logits + i);
            mosts = x > mosts ? x : mosts;
        }
        for (; i < width; i++) most = std::max(most, load(logits + i));
        float parts[LANES];
        std::memcpy(parts, &mosts, sizeof parts);
        for (float part : parts) most = std::max(most, part);
        Floats sums{};
        float rest = 0.0f;
        for (i = 0; i + LANES <= width; i += LANES) {
            Floats x;
            get(x, logits + i);
            x -= most;
            exponential(x);
            sums += x;
        }
        for (; i < width; i++) rest += std::exp(load(logits + i) - most);
        const float total = sum(sums) + rest;
        *loss = most + std::log(total) - right;
        // The first one of equals counts as the likeliest.
        *correct = right == most;
        for (i = 0; *correct && i < target; i++) *correct = load(logits + i) < most;
        if (!gradient) return;
        const float share = factor / total;
        for (i = 0; i + LANES <= width; i += LANES) {
            Floats x;
            get(x, logits + i);
            x -= most;
            exponential(x);
            put<NATIVE>(logits + i, x * share);
        }
        for (; i < width; i++) store(logits + i, std::exp(load(logits + i) - most) * share);
        // Rounded once: the gradient of a likely target is the difference of two like numbers.
        store(logits + target, std::exp(right - most) * share - factor);
    }
};

template <bool NATIVE>
ATELIER_INLINE void root(Floats& x) {
#if defined(__x86_64__)
    if constexpr (NATIVE) {
        // As for rounding, see lanes.h.
        __asm__("vsqrtps %1, %0" : "=v"(x) : "v"(x));
        return;
    }
#endif
    float parts[LANES];
    std::memcpy(parts, &x, sizeof parts);
    for (float& part : parts) part = std::sqrt(part);
    std::memcpy(&x, parts, sizeof parts);
}

struct AdamW {
    template <bool NATIVE>
    ATELIER_INLINE void run(const AtelierAdamW* call, int64_t begin, int64_t end) {
        float *value = call->value, *mean = call->mean, *square = call->square;
        const float* gradient = call->gradient;
        int64_t i = begin;
        for (; i + LANES <= end; i += LANES) {
            Floats x, m, s, g;
            get(x, value + i);
            get(m, mean + i);
            get(s, square + i);
            get(g, gradient + i);
            g *= call->scale;
            m += (g - m) * call->mean_fresh;
            s = s * call->square_decay + g * g * call->square_fresh;
            put<NATIVE>(mean + i, m);
            put<NATIVE>(square + i, s);
            root<NATIVE>(s);
            put<NATIVE>(value + i, x * call->keep - m * call->rate / (s / call->root_correction + call->epsilon));
        }
        for (; i < end; i++) {
            const float g = gradient[i] * call->scale;
            mean[i] += (g - mean[i]) * call->mean_fresh;
            square[i] = square[i] * call->square_decay + g * g * call->square_fresh;
            const float divisor = std::sqrt(square[i]) / call->root_correction + call->epsilon;
            value[i] = value[i] * call->keep - mean[i] * call->rate / divisor;
        }
    }
};

template <typename T>
void cross_entropy(const AtelierCrossEntropy& call) {
    pool::each(call.rows, rows_worth_a_thread(call.width), [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; row++) {
            const float factor = call.factors == nullptr ? 1.0f : call.factors[row];
            run_best<CrossEntropy<T>>(static_cast<T*>(call.logits) + row * call.width, call.width, call.targets[row],
                                      factor, call.gradient, call.losses + row, call.correct + row);
        }
    });
}

}  // namespace
}  // namespace atelier

void atelier_cross_entropy(const AtelierCrossEntropy* call) {
    using namespace atelier;
    if (call->kind == KIND_F32) return cross_entropy<float>(*call);
    cross_entropy<bf16>(*call);
}

void atelier_adamw(const AtelierAdamW* call) {
    using namespace atelier;
    pool::each(call->count, 64 * 1024, [&](int64_t begin, int64_t end) { run_best<AdamW>(call, begin, end); });
}
