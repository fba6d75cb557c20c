//! The first pass: what readers find is worked on in batches by several threads, and taken in the order in which it was
//! found, so that the number of threads changes nothing.

use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use artifacts::digest::Digest;
use sha2::{Digest as _, Sha256};

use super::samples::Samples;
use super::spill::{Entry, Spill};
use super::tally::Tally;
use super::worker::{End, Kept, Outcome, Worker};
use crate::dedup::Deduplicator;
use crate::failure::{Result, disk};
use crate::readers::{self, Item};
use crate::record::reasons;
use crate::report::Progress;
use crate::sources::SourceFile;

/// Things of a source of which each is kept a moment longer, should it turn out to be no record and be shown.
const SHOWN: u64 = 1000;
/// Things of a batch at most.
const BATCH: usize = 1024;
/// About so many bytes of a batch, or one thing that is larger.
const BATCH_BYTES: usize = 4 << 20;

/// Where records go.
pub(super) struct Intake<'a> {
    /// Cleans and judges.
    pub worker: Worker<'a>,
    /// Looks for duplicates.
    pub dedup: Deduplicator,
    /// Where that works, for messages.
    pub near: &'a Path,
    /// Keeps records.
    pub spill: Spill,
    /// Counts.
    pub tally: Tally,
    /// Keeps some for a human.
    pub samples: Samples,
    /// Tells.
    pub progress: Progress,
    /// What readers need to know.
    pub settings: readers::Settings,
}

/// What was found, with its file.
#[derive(Default)]
struct Batch {
    items: Vec<(Arc<str>, Item)>,
    bytes: usize,
}

impl Intake<'_> {
    /// Reads all files of a source.
    ///
    /// # Errors
    /// When more than half of it is no good, or the disk fails.
    pub(super) fn source(&mut self, source: usize, files: &[SourceFile]) -> Result<()> {
        let mut digest = Sha256::new();
        let mut batch = Batch::default();
        for file in files {
            // What was read is told by its content: a source may change from run to run.
            let sha256 = Digest::of_file(&file.path)?;
            digest.update(format!("{} {sha256}\n", file.name));
            let settings = self.settings.clone();
            let name: Arc<str> = file.name.as_str().into();
            let mut is_empty = true;
            readers::read(&file.path, &file.name, &settings, &mut |item| {
                is_empty = false;
                batch.bytes += size(&item);
                batch.items.push((name.clone(), item));
                match batch.items.len() >= BATCH || batch.bytes >= BATCH_BYTES {
                    true => self.batch(source, std::mem::take(&mut batch)),
                    false => Ok(()),
                }
            })?;
            if is_empty {
                self.tally.empty(source, &file.name);
            }
        }
        self.batch(source, batch)?;
        self.tally.sources[source].digest = format!("sha256:{}", hex::encode(digest.finalize()));
        self.tally.end_source(source)
    }

    fn batch(&mut self, source: usize, batch: Batch) -> Result<()> {
        let shown = [reasons::MISSING_FIELD, reasons::INVALID_ROLE, reasons::EMPTY];
        // Copies cost time, and where some are bad, mostly the first ones are.
        let is_likely = self.tally.candidates() < SHOWN || self.tally.has_bad();
        let worker = Worker {
            shows_bad: is_likely && shown.iter().any(|reason| self.samples.wants(reason)),
            ..self.worker
        };
        for (file, outcome) in outcomes(worker, batch.items) {
            self.take(source, &file, outcome)?;
        }
        self.progress.tick();
        Ok(())
    }

    fn take(&mut self, source: usize, file: &str, outcome: Outcome) -> Result<()> {
        self.tally.read(source);
        self.progress.now.read += 1;
        self.progress.now.bytes += outcome.bytes;
        let name = &self.tally.sources[source].name;
        let origin = match outcome.line {
            Some(line) => format!("{name}/{file}:{line}"),
            None => format!("{name}/{file}"),
        };
        match outcome.end {
            End::Kept(kept) => self.keep(source, origin, kept),
            End::Dropped { reason, before } => {
                self.tally.dropped(reason);
                self.samples.dropped(reason, &origin, &before);
                Ok(())
            }
            End::Bad {
                bad,
                before,
                is_set_aside,
            } => {
                let place = match outcome.line {
                    Some(line) => format!("line {line} of {file}"),
                    None => file.to_owned(),
                };
                self.tally.bad(&place, &bad);
                if is_set_aside {
                    self.tally.quarantined(&origin, &bad.what);
                }
                let before = if before.is_empty() { &bad.what } else { &before };
                self.samples.dropped(bad.reason, &origin, before);
                Ok(())
            }
        }
    }

    fn keep(&mut self, source: usize, origin: String, kept: Kept) -> Result<()> {
        for flag in kept.flags {
            self.tally.flag(flag);
        }
        let entry = Entry {
            source: source as u32,
            hash: kept.hash,
            origin,
            before: kept.before,
            content: kept.content,
        };
        let number = self.spill.append(&entry)?;
        self.progress.now.kept += 1;
        self.dedup.add(number, &kept.joined).map_err(disk("write", self.near))
    }
}

/// What becomes of all of these, in their order.
fn outcomes(worker: Worker<'_>, items: Vec<(Arc<str>, Item)>) -> Vec<(Arc<str>, Outcome)> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let share = items.len().div_ceil(threads).max(1);
    let work = move |items: Vec<(Arc<str>, Item)>| {
        let outcomes = items.into_iter().map(|(file, item)| (file, worker.outcome(item)));
        outcomes.collect::<Vec<_>>()
    };
    if items.len() <= share {
        return work(items);
    }
    let mut items = items.into_iter();
    let mut shares = Vec::new();
    loop {
        let next: Vec<_> = items.by_ref().take(share).collect();
        if next.is_empty() {
            break;
        }
        shares.push(next);
    }
    thread::scope(|scope| {
        let running: Vec<_> = shares
            .into_iter()
            .map(|share| scope.spawn(move || work(share)))
            .collect();
        let done = running.into_iter().map(thread::ScopedJoinHandle::join);
        done.flat_map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// About the bytes of memory that it takes.
fn size(item: &Item) -> usize {
    match item {
        Item::Value { value, .. } => size_of_value(value),
        Item::Text(text) => text.len(),
        _ => 0,
    }
}

fn size_of_value(value: &serde_json::Value) -> usize {
    let inside = match value {
        serde_json::Value::String(text) => text.len(),
        serde_json::Value::Array(list) => list.iter().map(size_of_value).sum(),
        serde_json::Value::Object(object) => object.values().map(size_of_value).sum(),
        _ => 0,
    };
    size_of::<serde_json::Value>() + inside
}
