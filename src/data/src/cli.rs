//! The command line.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use artifacts::report::ReportFile;
use clap::{Parser, Subcommand};
use protocol::{
    PrepareFailure,
    ingest::IngestPlan,
    redteam::RedTeamPlan,
    report::reasons,
    tune::{DataPlan, PLAN_VARIABLE},
};

use serde::de::DeserializeOwned;

use crate::{
    documents::sandbox,
    failure::{Result, invalid},
    ingest, prepare,
    readers::{Programs, print},
    redteam::{self, Patience},
    report,
};

/// Prepares data for training, and fills Rooms.
#[derive(Debug, Parser)]
#[command(name = "atelier-data", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Reads, cleans, splits and writes a data set, as a plan says.
    Prepare {
        /// File with the plan in JSON. Default: the environment variable ATELIER_PLAN holds it.
        #[arg(long)]
        plan: Option<PathBuf>,
        /// File to report to. Default: the container's termination message.
        #[arg(long)]
        report: Option<PathBuf>,
    },
    /// Prints the rows of a Parquet file, one a line: `prepare` has strangers' files read so, by a process of their own.
    #[command(hide = true)]
    Rows {
        /// The file.
        file: PathBuf,
    },
    /// Fills a Room from its sources, as a plan says.
    Ingest {
        /// File with the plan in JSON. Default: the environment variable ATELIER_PLAN holds it.
        #[arg(long)]
        plan: Option<PathBuf>,
        /// File to report to. Default: the container's termination message.
        #[arg(long)]
        report: Option<PathBuf>,
    },
    /// Tries to make a Room leak, as a plan says.
    Redteam {
        /// File with the plan in JSON. Default: the environment variable ATELIER_PLAN holds it.
        #[arg(long)]
        plan: Option<PathBuf>,
        /// File to report to. Default: the container's termination message.
        #[arg(long)]
        report: Option<PathBuf>,
    },
    /// Reads a document into JSON: `ingest` has strangers' documents read so, each by a process of its own.
    #[command(hide = true)]
    Extract {
        /// What is to be read, in JSON.
        asked: String,
    },
}

/// Runs what the command line says.
pub fn run() -> ExitCode {
    let (plan, report) = match Args::parse().command {
        Command::Prepare { plan, report } => (plan, report),
        Command::Rows { file } => return rows(&file),
        Command::Extract { asked } => return extract(&asked),
        Command::Ingest { plan, report } => return ingest(plan.as_deref(), report),
        Command::Redteam { plan, report } => return redteam(plan.as_deref(), report),
    };
    telemetry::init("atelier-data");
    let report_file = ReportFile::new(report);
    let result = plan_of::<DataPlan>(plan.as_deref()).and_then(|plan| {
        let runtime = runtime()?;
        let result = runtime.block_on(async {
            tokio::select! {
                // First: the signal is asked for before the work begins, or it would end the process without a word.
                biased;
                () = telemetry::shutdown_signal() => Err(stopped()),
                result = prepare::prepare(plan, programs(), report_file.clone()) => result,
            }
        });
        // Nothing waits for a thread that goes on reading: the process ends.
        runtime.shutdown_background();
        result
    });
    match report::finish(&report_file, result) {
        0 => ExitCode::SUCCESS,
        code => ExitCode::from(code as u8),
    }
}

/// Prints rows. What is printed to standard error is read by whoever started this.
fn rows(file: &Path) -> ExitCode {
    match print(file, io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Reads a document. As with rows, what is wrong goes to standard error; what is wrong with the document is an answer.
fn extract(asked: &str) -> ExitCode {
    match sandbox::answer(asked, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Fills a Room.
fn ingest(plan: Option<&Path>, report: Option<PathBuf>) -> ExitCode {
    telemetry::init("atelier-data");
    let report_file = ReportFile::new(report);
    let result = plan_of::<IngestPlan>(plan).and_then(|plan| {
        let runtime = runtime()?;
        let result = runtime.block_on(async {
            tokio::select! {
                biased;
                () = telemetry::shutdown_signal() => Err(interrupted()),
                result = ingest::ingest(plan, programs(), report_file.clone()) => result,
            }
        });
        runtime.shutdown_background();
        result
    });
    match ingest::report::finish(&report_file, result) {
        0 => ExitCode::SUCCESS,
        code => ExitCode::from(code as u8),
    }
}

/// Tries to make a Room leak.
fn redteam(plan: Option<&Path>, report: Option<PathBuf>) -> ExitCode {
    telemetry::init("atelier-data");
    let report_file = ReportFile::new(report);
    let result = plan_of::<RedTeamPlan>(plan).and_then(|plan| {
        let runtime = runtime()?;
        let result = runtime.block_on(async {
            tokio::select! {
                biased;
                () = telemetry::shutdown_signal() => Err(untested()),
                result = redteam::attack(&plan, Patience::default()) => result,
            }
        });
        runtime.shutdown_background();
        result
    });
    match redteam::report::finish(&report_file, result) {
        0 => ExitCode::SUCCESS,
        code => ExitCode::from(code as u8),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime
        .map_err(|error| PrepareFailure::new(reasons::INTERNAL, format!("failed to start the runtime: {error}"), true))
}

/// Those that read, this one among them.
fn programs() -> Programs {
    let own = std::env::current_exe().ok();
    let own = own.and_then(|path| path.to_str().map(str::to_owned));
    Programs {
        rows: own.clone(),
        documents: own,
        ..Programs::default()
    }
}

fn interrupted() -> PrepareFailure {
    let message = "it was asked to stop before the Room was filled; the next try goes on from here";
    PrepareFailure::new(reasons::INTERNAL, message, true)
}

fn untested() -> PrepareFailure {
    let message = "it was asked to stop before the Room was tested; the next try begins anew";
    PrepareFailure::new(reasons::INTERNAL, message, true)
}

fn stopped() -> PrepareFailure {
    let message = "it was asked to stop before the data were ready; downloads are continued at the next try";
    PrepareFailure::new(reasons::INTERNAL, message, true)
}

fn plan_of<T: DeserializeOwned>(file: Option<&Path>) -> Result<T> {
    let (text, place) = match file {
        Some(path) => {
            let text = std::fs::read_to_string(path);
            let place = path.display().to_string();
            let text = text.map_err(|error| invalid(format!("failed to read the plan {place}: {error}")))?;
            (text, place)
        }
        None => {
            let text = std::env::var(PLAN_VARIABLE).map_err(|_| {
                invalid(format!(
                    "failed to find a plan: set {PLAN_VARIABLE} to it, or name its file by --plan"
                ))
            })?;
            (text, PLAN_VARIABLE.to_owned())
        }
    };
    serde_json::from_str(&text).map_err(|error| invalid(format!("failed to read the plan in {place}: {error}")))
}
