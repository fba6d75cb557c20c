//! How libtorch's threads wait for each other. By default they spin, which on busy or shared cores
//! makes a step take a hundred times as long. The library reads the setting before `main`, so it has
//! to be in the environment when the process starts.

use std::{env, os::unix::process::CommandExt as _, process::Command};

const VARIABLE: &str = "OMP_WAIT_POLICY";

/// Starts the program anew with the setting, unless somebody chose one.
pub fn ensure() {
    if env::var_os(VARIABLE).is_some() {
        return;
    }
    let mut arguments = env::args_os();
    let Some(name) = arguments.next() else { return };
    let Ok(program) = env::current_exe() else { return };
    // Returns only if it failed; the program then runs with the default.
    let _ = Command::new(program)
        .arg0(name)
        .args(arguments)
        .env(VARIABLE, "PASSIVE")
        .exec();
}
