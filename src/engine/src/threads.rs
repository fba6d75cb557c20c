//! How many threads libtorch computes with.

use std::thread::available_parallelism;

/// Cores that this process may use: affinity and the cgroup's CPU quota count, unlike in libtorch's
/// own default, which takes every core of the node and is then throttled.
pub fn available_threads() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// Sets the number of threads that one operation uses. Call it before the first operation.
pub fn set_threads(threads: usize) {
    engine_sys::set_threads(threads);
    tch::set_num_threads(i32::try_from(threads.max(1)).unwrap_or(i32::MAX));
}
