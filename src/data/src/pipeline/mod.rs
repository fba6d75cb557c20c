//! From files with records to the files that are learned from, in two passes and bounded memory.
//!
//! The first pass ([`intake`]) reads, cleans and judges one record after the other, writes what is left to a file
//! ([`spill`]) and tells the search for duplicates. Then it is known which of them go where ([`split`]); the second pass
//! ([`output`]) writes them there.
//!
//! A source of weight w is seen w times for each time that one of weight 1 is: as often do its records stand in the
//! training part, after division by the smallest weight ([`again`]). The first copies of all records come first, then
//! the second ones, and so on; whoever trains shuffles. The other parts have each record once.

mod again;
mod intake;
mod output;
mod samples;
mod spill;
mod split;
mod tally;
mod worker;

use std::{fs, io, path::Path};

use artifacts::report::ReportFile;
use protocol::PrepareFailure;
use protocol::report::reasons;
use protocol::tune::{DataPlan, DataReport};

use crate::dedup::{Contamination, Deduplicator};
use crate::failure::{EMPTY_DATASET, Result, disk, invalid};
use crate::plan;
use crate::readers::{self, Programs};
use crate::report::Progress;
use crate::sources::SourceFile;
use crate::stages::Cleaner;

use intake::Intake;
use spill::Spill;
use worker::Worker;

/// Bytes of memory for the search for duplicates, which goes to the disk beyond.
const DEDUP_MEMORY: usize = 256 << 20;

/// Reads the files of each source and makes `to` of them, a directory that does not exist yet. `scratch` may be filled.
///
/// # Errors
/// When there is nothing to learn from, too much of it is no good, or the disk fails.
pub fn run(
    plan: &DataPlan,
    sources: &[Vec<SourceFile>],
    scratch: &Path,
    to: &Path,
    programs: Programs,
    report: ReportFile,
) -> Result<DataReport> {
    fs::create_dir_all(scratch).map_err(disk("create", scratch))?;
    let cleaner = Cleaner::new(&plan.stages).map_err(|error| invalid(format!("dataset.prepare: {error}")))?;
    let foreign: Vec<_> = plan.decontaminate.iter().map(|it| it.path.clone()).collect();
    let contamination = match foreign.as_slice() {
        [] => None,
        files => Some(Contamination::read(files).map_err(|error| invalid(error.to_string()))?),
    };
    let near = scratch.join("duplicates");
    fs::create_dir_all(&near).map_err(disk("create", &near))?;
    let dedup = Deduplicator::new(&plan.stages.dedup, &near, DEDUP_MEMORY).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput => invalid(format!("dataset.prepare: {error}")),
        _ => disk("write", &near)(error),
    })?;
    let mut intake = Intake {
        worker: Worker {
            cleaner: &cleaner,
            contamination: contamination.as_ref(),
            format: plan.format,
            max_bytes: plan::max_record_bytes(plan),
            seed: plan.split.seed,
            shows_bad: false,
        },
        dedup,
        near: &near,
        spill: Spill::create(scratch)?,
        tally: tally::Tally::new(plan),
        samples: samples::Samples::default(),
        progress: Progress::new(report),
        settings: readers::Settings {
            format: plan.format,
            max_bytes: plan::max_record_bytes(plan),
            scratch: scratch.to_owned(),
            programs,
        },
    };
    for (index, files) in sources.iter().enumerate() {
        intake.source(index, files)?;
    }
    let Intake {
        dedup,
        spill,
        mut tally,
        mut samples,
        mut progress,
        ..
    } = intake;
    let spilled = spill.finish()?;
    let duplicates = dedup.finish().map_err(disk("sort", &near))?;
    let fates = split::decide(
        &plan.split,
        &spilled,
        duplicates.map(|next| next.map_err(disk("read", &near))),
        scratch,
    )?;
    if fates.kept == 0 {
        return Err(PrepareFailure::new(EMPTY_DATASET, tally.nothing_left(), false));
    }
    output::write(plan, &spilled, &fates, to, &mut tally, &mut samples, &mut progress)
}

/// What is impossible unless somebody else writes our files.
fn changed(path: &Path) -> PrepareFailure {
    let error = io::Error::other("it ends too early; nobody else may write there");
    PrepareFailure::new(
        reasons::INTERNAL,
        format!("failed to read {}: {error}", path.display()),
        true,
    )
}

#[cfg(test)]
mod tests;
