//! `atelier-worker train`: learns from a cleaned data set, and publishes what passes.
//!
//! ```text
//!  TrainPlan -> [retention] what nobody needs any more goes
//!            -> [job] data -> tokens; base -> Trainer; newest good checkpoint
//!            -> [session] steps, measurements, checkpoints        until done, or SIGTERM
//!            -> [finish] best state, samples, suites, gate -> outputs/<digest>
//!            -> TrainOutcome: the last words
//! ```
//!
//! One thread computes; the admin port and signals have a runtime beside it.

mod checkpoints;
mod compute;
mod data;
mod durable;
mod failure;
mod finish;
mod gate;
mod job;
mod measure;
mod members;
mod metrics;
mod plan;
mod progress;
mod publish;
mod reference;
mod retention;
mod samples;
mod session;
mod state;
mod suites;
mod tensorboard;
mod tokenizer_files;
mod words;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use artifacts::report::ReportFile;
use prometheus::Registry;
use protocol::{
    report::{EXIT_INTERRUPTED, EXIT_MEMBER_LOST, EXIT_PERMANENT, EXIT_TEMPORARY},
    tune::{TrainFailure, TrainOutcome},
};
use telemetry::{Readiness, admin, shutdown_signal};
use tokio::{net::TcpListener, runtime::Runtime};

use crate::cli::Train;
use failure::{reasons, temporary};
use job::Process;

/// Trains, and returns the process's exit code.
pub fn run(args: Train) -> i32 {
    telemetry::init("worker");
    let report_file = ReportFile::new(args.report.clone());
    let outcome = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let outcome = train(args, &runtime);
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(temporary(
            reasons::INTERNAL,
            format!("failed to start the runtime: {error}"),
        )),
    };
    let (outcome, code) = match outcome {
        Ok(None) => return 0,
        Ok(Some(outcome @ TrainOutcome::Interrupted(_))) => (outcome, EXIT_INTERRUPTED),
        Ok(Some(outcome)) => (outcome, 0),
        Err(failure) => {
            tracing::error!("{failure}");
            let code = code(&failure);
            (TrainOutcome::Failed(failure), code)
        }
    };
    report_file.write_text(&words::last(outcome));
    code
}

/// The exit code that a failure ends with.
fn code(failure: &TrainFailure) -> i32 {
    match failure.reason.as_str() {
        reasons::MEMBER_LOST => EXIT_MEMBER_LOST,
        _ if failure.retryable => EXIT_TEMPORARY,
        _ => EXIT_PERMANENT,
    }
}

fn train(args: Train, runtime: &Runtime) -> Result<Option<TrainOutcome>, TrainFailure> {
    let plan = plan::read(args.plan.as_deref())?;
    let (registry, readiness) = (Registry::new(), Readiness::default());
    let stop = Arc::new(AtomicBool::new(false));
    runtime.spawn({
        let stop = stop.clone();
        async move {
            shutdown_signal().await;
            stop.store(true, Ordering::Relaxed);
        }
    });
    let address = args.admin_listen;
    let listener = runtime.block_on(TcpListener::bind(address));
    let listener =
        listener.map_err(|error| temporary(reasons::INTERNAL, format!("failed to listen on {address}: {error}")))?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, run = plan.run, "probes and metrics");
    }
    runtime.spawn(admin::serve_on(
        listener,
        registry.clone(),
        readiness.clone(),
        std::future::pending(),
    ));
    let handle = runtime.handle().clone();
    let threads = args.threads;
    let computing = thread::Builder::new().name("train".into()).spawn(move || {
        let process = Process {
            stop: &stop,
            registry: &registry,
            readiness: &readiness,
            runtime: handle,
            threads,
        };
        job::run(&plan, &process)
    });
    let internal = |what: String| temporary(reasons::INTERNAL, what);
    let computing = computing.map_err(|error| internal(format!("failed to start a thread: {error}")))?;
    computing.join().unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text
            .or(panic.downcast_ref::<&str>().copied())
            .unwrap_or("no reason is known");
        Err(internal(format!("the training met a fault of its own: {text}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use failure::permanent;

    #[test]
    fn a_process_that_lost_another_one_has_a_code_of_its_own() {
        assert_eq!(code(&temporary(reasons::MEMBER_LOST, "x")), EXIT_MEMBER_LOST);
        assert_eq!(code(&temporary(reasons::INTERNAL, "x")), EXIT_TEMPORARY);
        assert_eq!(code(&permanent(reasons::INVALID_PLAN, "x")), EXIT_PERMANENT);
    }
}
