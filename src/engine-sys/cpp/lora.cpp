// Low-rank updates of single rows, each by an adapter of its own.
#include "atelier.h"
#include "pool.h"
#include "scratch.h"
#include "targets.h"

namespace atelier {
namespace {

// output += scale up^T (down input)
struct Update {
    template <bool NATIVE>
    ATELIER_INLINE void run(const bf16* input, bf16* output, const AtelierAdapter* adapter, int64_t in, int64_t out,
                            float* between) {
        const int64_t rank = adapter->rank;
        for (int64_t r = 0; r < rank; r++) {
            const bf16* down = adapter->down + r * in;
            Floats parts{};
            float rest = 0.0f;
            int64_t i = 0;
            for (; i + LANES <= in; i += LANES) {
                Floats a, b;
                get(a, down + i);
                get(b, input + i);
                parts += a * b;
            }
            for (; i < in; i++) rest += load(down + i) * load(input + i);
            between[r] = adapter->scale * (sum(parts) + rest);
        }
        int64_t i = 0;
        for (; i + LANES <= out; i += LANES) {
            Floats total, up;
            get(total, output + i);
            for (int64_t r = 0; r < rank; r++) {
                get(up, adapter->up + r * out + i);
                total += up * between[r];
            }
            put<NATIVE>(output + i, total);
        }
        for (; i < out; i++) {
            float total = load(output + i);
            for (int64_t r = 0; r < rank; r++) total += load(adapter->up + r * out + i) * between[r];
            store(output + i, total);
        }
    }
};

}  // namespace
}  // namespace atelier

void atelier_lora(const AtelierLora* call) {
    using namespace atelier;
    pool::each(call->rows, 1, [&](int64_t begin, int64_t end) {
        static thread_local Scratch scratch;
        for (int64_t row = begin; row < end; row++) {
            const int32_t index = call->row_adapters[row];
            if (index < 0) continue;
            const AtelierAdapter* adapter = call->adapters + index;
            run_best<Update>(call->input + row * call->input_stride, call->output + row * call->output_stride, adapter,
                             call->in, call->out, scratch.get<float>(adapter->rank));
        }
    });
}
