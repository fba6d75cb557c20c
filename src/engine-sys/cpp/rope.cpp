// Rotary position embedding, and the new keys and values to their pages.
#include <cstring>

#include "atelier.h"
#include "norm.h"
#include "pool.h"
#include "targets.h"

namespace atelier {
namespace {

// One head, rotated from `from` to `to` (which may be the same), after its norm if it has one.
template <typename T>
struct Rotate {
    template <bool NATIVE>
    ATELIER_INLINE void run(const T* from, T* to, const T* norm, const float* cosines, const float* sines, int64_t half,
                            float epsilon) {
        if (norm != nullptr) {
            rms_norm<NATIVE>(from, norm, to, 2 * half, epsilon);
            from = to;
        }
        int64_t i = 0;
        for (; i + LANES <= half; i += LANES) {
            Floats a, b, c, s;
            get(a, from + i);
            get(b, from + half + i);
            get(c, cosines + i);
            get(s, sines + i);
            put<NATIVE>(to + i, a * c - b * s);
            put<NATIVE>(to + half + i, b * c + a * s);
        }
        for (; i < half; i++) {
            const float a = load(from + i), b = load(from + half + i);
            store(to + i, a * cosines[i] - b * sines[i]);
            store(to + half + i, b * cosines[i] + a * sines[i]);
        }
    }
};

template <typename T>
void rope_and_store(const AtelierRope& call) {
    const AtelierPages& pages = call.pages;
    const int64_t dim = pages.head_dim, half = dim / 2;
    const int64_t width = (call.heads + 2 * pages.kv_heads) * dim;
    pool::each(call.rows, rows_worth_a_thread(width), [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; row++) {
            const int64_t slot = call.slots[row];
            T* head = static_cast<T*>(call.qkv) + row * width;
            const float* cosines = call.cosines + call.positions[row] * half;
            const float* sines = call.sines + call.positions[row] * half;
            for (int64_t h = 0; h < call.heads; h++, head += dim) {
                run_best<Rotate<T>>(head, head, static_cast<const T*>(call.query_norm), cosines, sines, half,
                                    call.epsilon);
            }
            if (slot < 0) continue;
            const int64_t page = slot / pages.page_size, offset = slot % pages.page_size;
            for (int64_t h = 0; h < pages.kv_heads; h++, head += dim) {
                const int64_t at = ((page * pages.kv_heads + h) * pages.page_size + offset) * dim;
                run_best<Rotate<T>>(static_cast<const T*>(head), static_cast<T*>(pages.keys) + at,
                                    static_cast<const T*>(call.key_norm), cosines, sines, half, call.epsilon);
                std::memcpy(static_cast<T*>(pages.values) + at, head + pages.kv_heads * dim, dim * sizeof(T));
            }
        }
    });
}

}  // namespace
}  // namespace atelier

void atelier_rope_and_store(const AtelierRope* call) {
    using namespace atelier;
    if (call->pages.kind == KIND_F32) return rope_and_store<float>(*call);
    rope_and_store<bf16>(*call);
}
