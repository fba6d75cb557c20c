#include "pool.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace atelier::pool {
namespace {

using Clock = std::chrono::steady_clock;

// How long a thread looks for work before it sleeps: longer than what lies between two products of
// one pass, shorter than what anybody else on the core would notice.
constexpr std::chrono::microseconds PATIENCE{60};
// Pieces for each thread: enough to even out, few enough that taking them costs nothing.
constexpr int64_t PIECES = 4;

void pause_briefly() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

void sleep_while(std::atomic<uint32_t>& word, uint32_t value) {
    syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

void wake(std::atomic<uint32_t>& word) {
    syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE_PRIVATE, INT32_MAX, nullptr, nullptr, 0);
}

// Spins, then sleeps, until `word` is no longer `value`.
uint32_t await_change(std::atomic<uint32_t>& word, std::atomic<uint32_t>& sleepers, uint32_t value) {
    const auto end = Clock::now() + PATIENCE;
    for (;;) {
        for (int i = 0; i < 64; i++) {
            const uint32_t now = word.load(std::memory_order_acquire);
            if (now != value) return now;
            pause_briefly();
        }
        if (Clock::now() >= end) break;
    }
    sleepers.fetch_add(1);
    uint32_t now;
    while ((now = word.load()) == value) sleep_while(word, value);
    sleepers.fetch_sub(1);
    return now;
}

class Pool {
public:
    explicit Pool(int workers) {
        try {
            for (int i = 0; i < workers; i++) threads_.emplace_back([this] { work(); });
        } catch (const std::system_error&) {
            // The system gives no more threads: those that there are do the work.
        }
    }

    ~Pool() {
        stop_.store(true);
        epoch_.fetch_add(1);
        wake(epoch_);
        for (auto& thread : threads_) thread.join();
    }

    int threads() const { return static_cast<int>(threads_.size()) + 1; }

    void run(int64_t items, int64_t grain, Body body, void* context) {
        const int64_t units = (items + grain - 1) / grain;
        const int64_t pieces = std::min<int64_t>(units, PIECES * threads());
        if (threads_.empty() || pieces <= 1) {
            body(context, 0, items);
            return;
        }
        items_.store(items, std::memory_order_relaxed);
        grain_.store(grain, std::memory_order_relaxed);
        body_.store(body, std::memory_order_relaxed);
        context_.store(context, std::memory_order_relaxed);
        pending_.store(static_cast<uint32_t>(pieces), std::memory_order_relaxed);
        const uint32_t epoch = epoch_.load(std::memory_order_relaxed) + 1;
        ticket_.store(ticket(epoch, 0, pieces));
        epoch_.store(epoch);
        if (sleepers_.load() != 0) wake(epoch_);

        take_pieces(epoch);
        uint32_t pending;
        while ((pending = pending_.load(std::memory_order_acquire)) != 0) {
            await_change(pending_, waiters_, pending);
        }
    }

private:
    // One word says which work is current, how many of its pieces are taken and how many there are,
    // so that a thread which comes late cannot take a piece of work that it has not read.
    static uint64_t ticket(uint64_t epoch, uint64_t next, uint64_t pieces) {
        return epoch << 32 | next << 16 | pieces;
    }

    void take_pieces(uint32_t epoch) {
        uint64_t seen = ticket_.load(std::memory_order_acquire);
        for (;;) {
            if (static_cast<uint32_t>(seen >> 32) != epoch) return;
            const int64_t next = seen >> 16 & 0xffff, pieces = seen & 0xffff;
            if (next >= pieces) return;
            // Read before the piece is taken: until then the work cannot end and these cannot change
            // unnoticed.
            const int64_t items = items_.load(std::memory_order_relaxed);
            const int64_t grain = grain_.load(std::memory_order_relaxed);
            const Body body = body_.load(std::memory_order_relaxed);
            void* const context = context_.load(std::memory_order_relaxed);
            if (!ticket_.compare_exchange_weak(seen, ticket(epoch, next + 1, pieces), std::memory_order_acq_rel)) {
                continue;
            }
            const int64_t units = (items + grain - 1) / grain;
            const int64_t begin = units * next / pieces * grain;
            const int64_t end = std::min(units * (next + 1) / pieces * grain, items);
            body(context, begin, end);
            if (pending_.fetch_sub(1) == 1 && waiters_.load() != 0) wake(pending_);
            seen = ticket_.load(std::memory_order_acquire);
        }
    }

    void work() {
        uint32_t seen = 0;
        for (;;) {
            seen = await_change(epoch_, sleepers_, seen);
            if (stop_.load()) return;
            take_pieces(seen);
        }
    }

    std::vector<std::thread> threads_;
    std::atomic<bool> stop_{false};
    alignas(64) std::atomic<uint32_t> epoch_{0};
    alignas(64) std::atomic<uint64_t> ticket_{0};
    alignas(64) std::atomic<uint32_t> pending_{0};
    alignas(64) std::atomic<uint32_t> sleepers_{0};
    std::atomic<uint32_t> waiters_{0};
    alignas(64) std::atomic<int64_t> items_{0};
    std::atomic<int64_t> grain_{1};
    std::atomic<Body> body_{nullptr};
    std::atomic<void*> context_{nullptr};
};

std::mutex& lock() {
    static auto* mutex = new std::mutex;
    return *mutex;
}

// Never destroyed: its threads may outlive the end of main.
Pool*& current() {
    static Pool* pool = new Pool(0);
    return pool;
}

}  // namespace

void set_threads(int count) {
    const std::lock_guard<std::mutex> guard(lock());
    count = std::max(1, std::min(count, 1024));
    if (current()->threads() == count) return;
    delete current();
    current() = new Pool(count - 1);
}

int threads() {
    const std::lock_guard<std::mutex> guard(lock());
    return current()->threads();
}

void run(int64_t items, int64_t grain, Body body, void* context) {
    if (items <= 0) return;
    std::unique_lock<std::mutex> guard(lock(), std::try_to_lock);
    if (guard.owns_lock()) {
        current()->run(items, grain, body, context);
    } else {
        body(context, 0, items);
    }
}

}  // namespace atelier::pool
