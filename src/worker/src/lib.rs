//! The worker of Atelier: prepares weights, serves them, explains them.
//!
//! The program is all of [`run`]. This is a library besides so that fuzzers can call what reads input
//! of strangers; nothing else is meant to depend on it.

mod cli;
mod evaluate;
mod prepare;
mod serve;
mod shared_weights;
mod train;
mod wait_policy;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command};
#[cfg(any(test, fuzzing))]
pub use serve::fuzz;

/// The program: reads the command line and does what it says.
pub fn run() -> ExitCode {
    wait_policy::ensure();
    let code = match Cli::parse().command {
        Command::Serve(args) => serve::run(args),
        Command::Prepare(args) => run_async(prepare::run(args)),
        Command::Evaluate(args) => run_async(evaluate::run(args)),
        Command::Train(args) => train::run(args),
        Command::Own(args) => shared_weights::own(&args),
        Command::Inspect(args) => artifacts::inspect::run(args),
    };
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

fn run_async(work: impl Future<Output = i32>) -> i32 {
    telemetry::init("worker");
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => {
            tracing::error!("failed to start the runtime: {error}");
            protocol::report::EXIT_TEMPORARY
        }
    }
}
