// Turns exceptions of libtorch into text.
#pragma once

#include <c10/util/Exception.h>

#include <cstdint>
#include <cstring>
#include <exception>

// Calls `f`; what it throws goes to `message` as text.
template <typename F>
bool guarded(char* message, int64_t capacity, const F& f) {
    try {
        f();
        return true;
    } catch (const c10::Error& error) {
        std::strncpy(message, error.what_without_backtrace(), capacity - 1);
    } catch (const std::exception& error) {
        std::strncpy(message, error.what(), capacity - 1);
    } catch (...) {
        std::strncpy(message, "an exception of unknown type", capacity - 1);
    }
    message[capacity - 1] = 0;
    return false;
}
