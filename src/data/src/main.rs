//! `atelier-data`.

use std::process::ExitCode;

fn main() -> ExitCode {
    data::cli::run()
}
