//! Cargo with the environment that our crates build and run in.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::home::Home;
use crate::process;
use crate::toolbox::postgres;
use crate::ui::Stage;

/// What a build of the workspace needs in its environment: where cargo writes, and where libtorch is.
pub fn environment(home: &Home) -> Vec<(&'static str, OsString)> {
    let libraries = home.libtorch().join("lib");
    vec![
        ("CARGO_TARGET_DIR", home.target().into()),
        ("LIBTORCH", home.libtorch().into()),
        // torch-sys asks Python for the version otherwise; ours is fixed by the cache's key.
        ("LIBTORCH_BYPASS_VERSION_CHECK", "1".into()),
        ("LD_LIBRARY_PATH", libraries.into()),
        ("ATELIER_MODEL_DIR", home.models().into()),
        ("ATELIER_CORPORA_DIR", home.corpora().into()),
        (postgres::VARIABLE, postgres::bin(home).into()),
        // Where an error was made would bury what it says; a panic still shows it where that is asked for.
        ("RUST_LIB_BACKTRACE", "0".into()),
    ]
}

/// A cargo command in the checkout, with [`environment`].
pub fn command(home: &Home) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = process::command(program);
    command.current_dir(&home.repo).envs(environment(home));
    command
}

/// The programs that are released. Cargo builds a library anew for each set of features that is wanted of it: where these
/// are chosen together, it is one set for all of them, whichever is built.
const PROGRAMS: [&str; 5] = [
    "atelier-operator",
    "atelier-gateway",
    "atelier-worker",
    "atelier-data",
    "kubectl-atelier",
];

/// Builds the release programs of the given packages and returns their paths, in the same order.
/// Each package's program has the package's name.
pub fn release(home: &Home, stage: &Stage, packages: &[&str]) -> Result<Vec<PathBuf>> {
    let is_released = packages.iter().all(|package| PROGRAMS.contains(package));
    let chosen = if is_released { &PROGRAMS[..] } else { packages };
    let mut build = command(home);
    build.args(["build", "--release", "--locked"]);
    build.args(chosen.iter().flat_map(|package| ["--package", package]));
    build.args(packages.iter().flat_map(|package| ["--bin", package]));
    process::run(stage, &mut build)?;
    Ok(packages
        .iter()
        .map(|package| home.target().join("release").join(package))
        .collect())
}
