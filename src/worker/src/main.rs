//! The program of the worker.

use std::process::ExitCode;

fn main() -> ExitCode {
    atelier_worker::run()
}
