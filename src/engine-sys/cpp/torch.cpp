// What libtorch has and tch does not bind.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/InferenceMode.h>
#include <dlfcn.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <cstdint>
#include <cstring>
#include <mutex>
#include <vector>

#include "guarded.h"

extern "C" {

void atelier_release_memory() {
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
}

bool atelier_map_large_blocks(int32_t least, int32_t kept) {
#if defined(__GLIBC__)
    return mallopt(M_MMAP_THRESHOLD, least) == 1 && mallopt(M_TRIM_THRESHOLD, kept) == 1;
#else
    return least > 0 && kept > 0;
#endif
}

void* atelier_inference_mode_enter() { return new c10::InferenceMode(true); }

void atelier_inference_mode_leave(void* guard) { delete static_cast<c10::InferenceMode*>(guard); }

at::Tensor* atelier_generator_state(char* message, int64_t capacity) {
    at::Tensor* state = nullptr;
    guarded(message, capacity, [&] {
        at::Generator generator = at::detail::getDefaultCPUGenerator();
        const std::lock_guard<std::mutex> lock(generator.mutex());
        state = new at::Tensor(generator.get_state());
    });
    return state;
}

bool atelier_set_generator_state(const at::Tensor* state, char* message, int64_t capacity) {
    return guarded(message, capacity, [&] {
        at::Generator generator = at::detail::getDefaultCPUGenerator();
        const std::lock_guard<std::mutex> lock(generator.mutex());
        generator.set_state(*state);
    });
}

// A tensor over memory that `release(owner)` gives back when the last tensor over it is gone; null, and
// `owner` is kept for ever, if libtorch refuses.
at::Tensor* atelier_tensor_over(void* data, const int64_t* shape, int64_t dimensions, int8_t kind, void* owner,
                                void (*release)(void*), char* message, int64_t capacity) {
    at::Tensor* tensor = nullptr;
    guarded(message, capacity, [&] {
        const auto options = at::TensorOptions().dtype(static_cast<at::ScalarType>(kind));
        const auto give_back = [owner, release](void*) { release(owner); };
        tensor = new at::Tensor(at::from_blob(data, at::IntArrayRef(shape, dimensions), give_back, options));
    });
    return tensor;
}

bool atelier_load_library(const char* name, char* message, int64_t capacity) {
    if (dlopen(name, RTLD_NOW | RTLD_GLOBAL) != nullptr) return true;
    const char* error = dlerror();
    std::strncpy(message, error == nullptr ? "unknown error" : error, capacity - 1);
    message[capacity - 1] = 0;
    return false;
}

}  // extern "C"
