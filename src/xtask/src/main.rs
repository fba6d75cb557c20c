//! Every command of the project: `cargo xtask --help`.

mod ask;
mod bench;
mod cargo;
mod checks;
mod cli;
mod cluster;
mod demo;
mod deploy;
mod env;
mod fuzz;
mod harness;
mod hash;
mod home;
mod images;
mod lock;
mod logs;
mod process;
mod quickstart;
mod target;
mod toolbox;
mod ui;
mod up;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser as _;

use cli::{Cli, Command};
use home::Home;
use target::Target;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match Home::find().and_then(|home| run(&home, cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ui::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(home: &Home, command: Command) -> Result<()> {
    match command {
        Command::Up(options) => up::run(home, &options),
        Command::Down => up::down(home),
        Command::Env { build: true } => {
            env::print_build(home);
            Ok(())
        }
        Command::Env { build: false } => env::print_cluster(home),
        Command::Ask { prompt, model, context } => {
            let target = Target::new(home, context.as_deref())?;
            target.require()?;
            let token = demo::token(&target)?;
            let question = ask::Question {
                model: &model,
                prompt: &prompt,
                token: &token,
            };
            ask::stream(
                &target.gateway()?.authority,
                question,
                Duration::ZERO,
                &mut std::io::stdout().lock(),
            )
            .map(drop)
        }
        Command::Kubectl { args } => {
            let target = Target::new(home, None)?;
            target.require()?;
            pass_through(target.kubectl().args(args))
        }
        Command::Logs {
            what,
            namespace,
            follow,
            lines,
            context,
        } => {
            let target = Target::new(home, context.as_deref())?;
            logs::show(
                &target,
                logs::Request {
                    what: &what,
                    namespace: &namespace,
                    follow,
                    lines,
                },
            )
        }
        Command::Images { only } => images::print(home, &only),
        Command::Gen { check } => checks::generated(home, check),
        Command::Test { fast, only } => checks::all(home, fast, &only),
        Command::Bench {
            what,
            against,
            minutes,
            json,
        } => bench::run(home, what, against, minutes, json),
        Command::Fault { args } => harness::fault(home, &args),
        Command::Scale { args } => harness::scale(home, &args),
        Command::Fuzz { target, seconds } => fuzz::run(home, target, seconds),
        Command::E2e { suite, case, peers } => checks::e2e::run(home, suite.as_deref(), case.as_deref(), peers),
    }
}

/// Gives the process over to another program, whose exit code becomes ours.
fn pass_through(command: &mut std::process::Command) -> Result<()> {
    use std::os::unix::process::CommandExt as _;
    Err(command.exec()).context("failed to start kubectl")
}
