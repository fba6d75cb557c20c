// Element-wise work of a block: residual sum with root mean square norm, and the gated activation.
#include <cmath>

#include "atelier.h"
#include "norm.h"
#include "pool.h"
#include "targets.h"

namespace atelier {
namespace {

// One row: residual += delta, then its norm. R is the residual's type, T that of all else.
template <typename R, typename T>
struct AddNorm {
    template <bool NATIVE>
    ATELIER_INLINE void run(R* residual, const T* delta, const T* weight, T* output, int64_t width, float epsilon) {
        if (delta != nullptr) {
            int64_t i = 0;
            for (; i + LANES <= width; i += LANES) {
                Floats a, b;
                get(a, residual + i);
                get(b, delta + i);
                put<NATIVE>(residual + i, a + b);
            }
            for (; i < width; i++) store(residual + i, load(residual + i) + load(delta + i));
        }
        rms_norm<NATIVE>(residual, weight, output, width, epsilon);
    }
};

template <typename T>
struct SiluMul {
    template <bool NATIVE>
    ATELIER_INLINE void run(const T* gate, const T* up, T* output, int64_t width) {
        int64_t i = 0;
        for (; i + LANES <= width; i += LANES) {
            Floats g, u;
            get(g, gate + i);
            get(u, up + i);
            // e^-x overflows below -88; the result is zero there.
            const Floats low = Floats{} - 88.0f;
            Floats e = g < low ? -low : -g;
            exponential(e);
            const Floats silu = g / (e + 1.0f);
            put<NATIVE>(output + i, (g < low ? Floats{} : silu) * u);
        }
        for (; i < width; i++) {
            const float g = load(gate + i);
            store(output + i, g / (1.0f + std::exp(-g)) * load(up + i));
        }
    }
};

template <typename R, typename T>
void add_rms_norm(const AtelierNorm& call) {
    pool::each(call.rows, rows_worth_a_thread(call.width), [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; row++) {
            const T* delta = static_cast<const T*>(call.delta);
            run_best<AddNorm<R, T>>(static_cast<R*>(call.residual) + row * call.width,
                                    delta == nullptr ? delta : delta + row * call.delta_stride,
                                    static_cast<const T*>(call.weight), static_cast<T*>(call.output) + row * call.width,
                                    call.width, call.epsilon);
        }
    });
}

template <typename T>
void silu_mul(const T* gate_up, T* output, int64_t rows, int64_t width) {
    pool::each(rows, rows_worth_a_thread(2 * width), [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; row++) {
            const T* gate = gate_up + 2 * row * width;
            run_best<SiluMul<T>>(gate, gate + width, output + row * width, width);
        }
    });
}

}  // namespace
}  // namespace atelier

void atelier_add_rms_norm(const AtelierNorm* call) {
    using namespace atelier;
    if (call->kind == KIND_F32) return add_rms_norm<float, float>(*call);
    if (call->residual_kind == KIND_F32) return add_rms_norm<float, bf16>(*call);
    return add_rms_norm<bf16, bf16>(*call);
}

void atelier_silu_mul(const void* gate_up, void* output, int32_t kind, int64_t rows, int64_t width) {
    using namespace atelier;
    if (kind == KIND_F32) return silu_mul(static_cast<const float*>(gate_up), static_cast<float*>(output), rows, width);
    silu_mul(static_cast<const bf16*>(gate_up), static_cast<bf16*>(output), rows, width);
}
