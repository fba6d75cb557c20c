//! `atelier-worker prepare`: the weights, as they are or smaller.

use std::time::Instant;

use artifacts::{
    facts,
    prepare::{Prepared, run_then},
    report::{Meter, ReportFile},
};
use protocol::{PrepareFailure, PrepareOutcome, PrepareReport, Progress};

use crate::cli::Prepare;

/// Fetches or finds the weights, and compresses them if the arguments ask for it; returns the
/// process's exit code.
pub async fn run(args: Prepare) -> i32 {
    match args.compression.options() {
        Ok(None) => artifacts::prepare::run(args.source).await,
        Ok(Some(options)) => {
            let next = |prepared, report_file: &ReportFile| compressed(&prepared, options, report_file);
            run_then(args.source, next).await
        }
        Err(error) => artifacts::prepare::refuse(args.source, error.into()),
    }
}

fn compressed(
    prepared: &Prepared,
    options: compress::Options,
    report_file: &ReportFile,
) -> Result<PrepareReport, PrepareFailure> {
    let store = options.store.clone();
    let job = compress::Job {
        source: prepared.path.clone(),
        digest: prepared.report.digest.clone(),
        bytes: prepared.report.bytes,
        options,
    };
    let mut meter = Meter::new();
    let outcome = compress::run(job, |progress| {
        if let Some(timed) = meter.tick(Instant::now(), progress.bytes, progress.total) {
            let bytes_per_second = timed.bytes_per_second;
            report_file.write(&PrepareOutcome::Running(Progress {
                bytes_per_second,
                ..progress
            }));
        }
    })?;
    let (model, bytes) = facts::of_path(&store.join(&outcome.file))?;
    Ok(PrepareReport {
        digest: outcome.digest,
        bytes,
        file: outcome.file,
        revision: prepared.report.revision.clone(),
        model,
        compression: Some(outcome.report),
    })
}
