//! Format, lints and unit tests of Rust and Go.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::home::Home;
use crate::toolbox::go;
use crate::{cargo, hash, process};

/// rustfmt over the whole workspace.
pub fn format(home: &Home) -> Result<()> {
    process::pass(cargo::command(home).args(["fmt", "--all", "--check"]))
}

/// clippy over the whole workspace, tests included; a warning is an error.
pub fn lint(home: &Home) -> Result<()> {
    let mut clippy = cargo::command(home);
    clippy.args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "--deny",
        "warnings",
    ]);
    process::pass(&mut clippy)
}

/// All tests that need no cluster. Each runs, also after one has failed: whoever waits for a whole run wants
/// to know all of them.
pub fn unit_tests(home: &Home) -> Result<()> {
    process::pass(cargo::command(home).args([
        "test",
        "--workspace",
        "--exclude",
        "atelier-e2e",
        "--locked",
        "--no-fail-fast",
    ]))
}

/// gofmt, vet and tests of every Go module in the checkout.
pub fn go_modules(home: &Home) -> Result<()> {
    go::ensure_go()?;
    for module in modules(home)? {
        let unformatted = process::read(process::command("gofmt").arg("-l").arg(&module))?;
        if !unformatted.trim().is_empty() {
            bail!("failed gofmt; run `gofmt -w` on:\n{}", unformatted.trim());
        }
        process::pass(go::command().current_dir(&module).args(["vet", "./..."]))?;
        process::pass(go::command().current_dir(&module).args(["test", "./..."]))?;
    }
    Ok(())
}

/// Directories with a `go.mod`.
fn modules(home: &Home) -> Result<Vec<PathBuf>> {
    let mut modules = Vec::new();
    for top in ["e2e", "images"] {
        let files = hash::files(&home.repo.join(top))?;
        let roots = files
            .iter()
            .filter(|file| file.file_name().is_some_and(|name| name == "go.mod"));
        modules.extend(roots.filter_map(|file| file.parent()).map(Path::to_path_buf));
    }
    Ok(modules)
}
