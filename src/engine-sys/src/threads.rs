//! The kernels' own threads, and what the processor can do.

use std::sync::LazyLock;

use crate::ffi;

/// Sets how many threads the kernels compute with, the caller included. They are the process's own,
/// beside libtorch's. A second caller at the same time computes alone.
pub fn set_threads(count: usize) {
    // SAFETY: takes any number.
    unsafe { ffi::atelier_set_threads(i32::try_from(count).unwrap_or(i32::MAX)) }
}

/// How many threads the kernels compute with.
pub fn threads() -> usize {
    // SAFETY: has no preconditions.
    usize::try_from(unsafe { ffi::atelier_threads() }).unwrap_or(1)
}

/// Whether the processor multiplies bfloat16 by itself (AVX-512). Everything works without, and
/// products with packed matrices are then several times slower.
pub fn has_bf16_products() -> bool {
    // SAFETY: has no preconditions.
    unsafe { ffi::atelier_features() & 1 != 0 }
}

/// Whether the processor multiplies tiles of bfloat16 (AMX), which libtorch uses for plain numbers.
pub fn has_tiles() -> bool {
    static HAS: LazyLock<bool> = LazyLock::new(|| cpu_features().contains("amx_bf16"));
    *HAS
}

/// Calls `test` as this processor, as one with AVX2 only, and as one with nothing.
#[cfg(test)]
pub(crate) fn on_every_processor(test: impl Fn()) {
    let _guard = one_processor();
    for level in [0, 1, 2] {
        // SAFETY: takes any number; a kernel that runs meanwhile in another test finishes as it began.
        unsafe { ffi::atelier_set_handicap(level) };
        test();
    }
    // SAFETY: as above.
    unsafe { ffi::atelier_set_handicap(0) };
}

/// The processor's features that decide which kernels are fast, for logs: `avx512_bf16 amx_bf16`.
pub fn cpu_features() -> String {
    #[cfg(target_arch = "x86_64")]
    {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let flags = info.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
        let known = [
            "avx2",
            "avx512f",
            "avx512_vnni",
            "avx512_bf16",
            "avx512_fp16",
            "amx_bf16",
            "amx_int8",
        ];
        let found = known
            .into_iter()
            .filter(|known| flags.split(' ').any(|flag| flag == *known));
        found.collect::<Vec<_>>().join(" ")
    }
    #[cfg(not(target_arch = "x86_64"))]
    std::env::consts::ARCH.to_owned()
}

/// As long as it is held, the processor stays what it is: for tests that compare bit by bit.
#[cfg(test)]
pub(crate) fn one_processor() -> std::sync::MutexGuard<'static, ()> {
    static LOCK: std::sync::Mutex<()> = std::sync::Mutex::new(());
    LOCK.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
