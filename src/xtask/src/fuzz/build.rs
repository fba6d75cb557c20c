//! Builds the targets with the compiler's instruments, as `cargo fuzz --sanitizer none` does.
//!
//! Safe Rust needs no address sanitizer, and without one a stable compiler and the usual libtorch do.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::home::Home;
use crate::ui::Stage;
use crate::{cargo, process};

/// Counts edges, and lets libFuzzer see both sides of comparisons.
const INSTRUMENTS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Builds all targets and returns the directory of their programs.
pub fn programs(home: &Home, stage: &Stage) -> Result<PathBuf> {
    stage.status("compiling with instruments; the first time takes minutes");
    let host = host()?;
    let target = home.target().join("fuzz");
    lock_versions(home)?;
    let mut build = cargo::command(home);
    build
        .env("CARGO_TARGET_DIR", &target)
        .env("RUSTFLAGS", INSTRUMENTS)
        .args(["build", "--bins", "--manifest-path", "src/fuzz/Cargo.toml"])
        // With a target, build scripts and macros are left without instruments.
        .args(["--target", &host]);
    process::run(stage, &mut build)?;
    Ok(target.join(host).join("debug"))
}

/// The machine's own target triple.
fn host() -> Result<String> {
    let text = process::read(process::command("rustc").arg("-vV"))?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("failed to read the host from `rustc -vV`")?.into())
}

/// The targets are built with the versions of the workspace, and of theirs what is new.
fn lock_versions(home: &Home) -> Result<()> {
    let (ours, copy) = (home.repo.join("Cargo.lock"), home.repo.join("src/fuzz/Cargo.lock"));
    let age = |file: &PathBuf| fs::metadata(file).and_then(|data| data.modified()).ok();
    if age(&copy) < age(&ours) {
        fs::copy(&ours, &copy).with_context(|| format!("failed to write {}", copy.display()))?;
    }
    Ok(())
}
