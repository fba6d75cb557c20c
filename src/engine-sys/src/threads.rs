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

/// Whether [`linear`](crate::linear) runs here: it takes AVX-512 with bfloat16 products. All other
/// kernels run everywhere.
pub fn has_linear() -> bool {
    // SAFETY: has no preconditions.
    unsafe { ffi::atelier_features() & 1 != 0 }
}

/// Whether the processor multiplies tiles of bfloat16 (AMX), which libtorch uses for plain numbers.
pub fn has_tiles() -> bool {
    static HAS: LazyLock<bool> = LazyLock::new(|| cpu_features().contains("amx_bf16"));
    *HAS
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
