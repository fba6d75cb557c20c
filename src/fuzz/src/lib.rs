//! What all fuzz targets share. What each does with an input is a function of the crate that it tests,
//! where ordinary tests replay the corpus.

use std::{alloc::System, env, panic, path::PathBuf, process};

use cap::Cap;

/// Memory that one input may take; more is refused, which ends the process. Unlike a limit on what is
/// resident, it sees what is allocated and never touched.
#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, 512 << 20);

/// Before the first input.
pub fn begin() {
    // libFuzzer's hook takes every panic for a finding, also of libraries whose panics we catch. One
    // that nobody catches still ends the process.
    drop(panic::take_hook());
    panic::set_hook(Box::new(|_| {}));
}

/// Where a target may write its files; each process has its own.
pub fn directory() -> PathBuf {
    env::temp_dir().join(format!("atelier-fuzz-{}", process::id()))
}
