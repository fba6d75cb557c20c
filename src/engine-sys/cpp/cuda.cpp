// GPUs, through what libtorch's CPU half knows of them: nothing here needs CUDA's headers or libraries
// to be compiled.
#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/ops/_flash_attention_forward.h>

#include <cstdint>
#include <tuple>

#include "guarded.h"

extern "C" {

bool atelier_gpu_set_up(char* message, int64_t capacity) {
    return guarded(message, capacity, [] {
        // cuDNN prepares its attention anew for every shape, which takes longer than the attention:
        // shapes change from pass to pass here.
        at::globalContext().setSDPUseCuDNN(false);
    });
}

bool atelier_gpu_memory(int32_t index, uint64_t* free, uint64_t* total, char* message, int64_t capacity) {
    return guarded(message, capacity, [&] {
        // What libtorch keeps for later counts as free.
        at::accelerator::emptyCache();
        const auto info = at::accelerator::getMemoryInfo(static_cast<c10::DeviceIndex>(index));
        *free = info.first;
        *total = info.second;
    });
}

bool atelier_gpu_synchronize(int32_t index, char* message, int64_t capacity) {
    return guarded(message, capacity, [&] {
        at::accelerator::synchronizeDevice(static_cast<c10::DeviceIndex>(index));
    });
}

at::Tensor* atelier_flash_attention(const at::Tensor* queries, const at::Tensor* keys, const at::Tensor* values,
                                    const at::Tensor* query_ends, const at::Tensor* key_ends,
                                    const at::Tensor* lengths, int64_t most_queries, int64_t most_keys, char* message,
                                    int64_t capacity) {
    at::Tensor* output = nullptr;
    guarded(message, capacity, [&] {
        // Its causal mask counts from the last query and the last key, unlike that of
        // scaled_dot_product_attention.
        output = new at::Tensor(std::get<0>(at::_flash_attention_forward(
            *queries, *keys, *values, *query_ends, *key_ends, most_queries, most_keys, /*dropout_p=*/0.0,
            /*is_causal=*/true, /*return_debug_mask=*/false, /*scale=*/std::nullopt,
            /*window_size_left=*/std::nullopt, /*window_size_right=*/std::nullopt, *lengths)));
    });
    return output;
}

}  // extern "C"
