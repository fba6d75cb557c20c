// Memory of a thread's own that kernels reuse from call to call.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

namespace atelier {

class Scratch {
public:
    template <typename T>
    T* get(std::size_t count) {
        const std::size_t bytes = count * sizeof(T);
        if (bytes > capacity_) {
            memory_.reset();
            memory_.reset(static_cast<std::byte*>(::operator new(bytes, std::align_val_t(64))));
            capacity_ = bytes;
        }
        return reinterpret_cast<T*>(memory_.get());
    }

private:
    struct Free {
        void operator()(std::byte* memory) const { ::operator delete(memory, std::align_val_t(64)); }
    };
    std::unique_ptr<std::byte, Free> memory_;
    std::size_t capacity_ = 0;
};

}  // namespace atelier
