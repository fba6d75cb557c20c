//! What the operator hears: lines of the log while a Room is filled, and last words.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use artifacts::report::ReportFile;
use protocol::ingest::{IngestOutcome, IngestProgress, IngestReport, IngestedSource};
use protocol::quarantine::Reason;

use crate::documents::Refused;
use crate::failure::Result;

/// Least time between two lines about progress.
const INTERVAL: Duration = Duration::from_secs(5);

/// What is counted, by whoever does something.
#[derive(Debug)]
pub struct Counts {
    report: ReportFile,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    last: Option<Instant>,
    progress: IngestProgress,
    source: IngestedSource,
    quarantined: BTreeMap<String, u64>,
}

impl Counts {
    /// Nothing yet.
    pub fn new(report: ReportFile) -> Self {
        Self {
            report,
            inner: Mutex::default(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Numbers are whole whenever the lock is free.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A source begins.
    pub fn begin(&self, name: &str) {
        let mut inner = self.inner();
        inner.source = IngestedSource {
            name: name.to_owned(),
            ..IngestedSource::default()
        };
        inner.progress.source = Some(name.to_owned());
        drop(inner);
        self.tick();
    }

    /// Counts something of the source that is read.
    pub fn count(&self, change: impl FnOnce(&mut IngestedSource)) {
        change(&mut self.inner().source);
    }

    /// A document is looked at.
    pub fn looked(&self, documents: u64) {
        self.inner().progress.documents += documents;
        self.tick();
    }

    /// Chunks are brought.
    pub fn brought(&self, chunks: u64) {
        let mut inner = self.inner();
        inner.progress.chunks += chunks;
        inner.source.chunks += chunks;
        drop(inner);
        self.tick();
    }

    /// A document is set aside.
    pub fn quarantined(&self, name: &str, refused: &Refused) {
        let mut inner = self.inner();
        inner.source.quarantined += 1;
        *inner.quarantined.entry(refused.reason.to_string()).or_default() += 1;
        let source = inner.source.name.clone();
        drop(inner);
        let (reason, advice) = (refused.reason, refused.reason.advice());
        tracing::warn!(source, document = name, %reason, "it is set aside: it {}; {advice}", refused.detail);
    }

    /// One that was set aside before, and still is.
    pub fn still_quarantined(&self, reason: &str) {
        let mut inner = self.inner();
        inner.source.quarantined += 1;
        // Words of others are nobody's reason.
        let name = reason.parse::<Reason>().map_or("Curator", Reason::as_str);
        *inner.quarantined.entry(name.to_owned()).or_default() += 1;
    }

    /// The source ends; what came of it.
    pub fn end(&self) -> IngestedSource {
        std::mem::take(&mut self.inner().source)
    }

    /// Documents that were set aside, by reason.
    pub fn reasons(&self) -> BTreeMap<String, u64> {
        self.inner().quarantined.clone()
    }

    fn tick(&self) {
        let mut inner = self.inner();
        if inner.last.is_some_and(|last| last.elapsed() < INTERVAL) {
            return;
        }
        inner.last = Some(Instant::now());
        let words = IngestOutcome::Running(inner.progress.clone()).last_words();
        drop(inner);
        // Nothing depends on it.
        let _ = writeln!(io::stdout(), "{words}");
        self.report.write_text(&words);
    }
}

/// Writes the last words; the process's exit code.
pub fn finish(report: &ReportFile, result: Result<IngestReport>) -> i32 {
    let (outcome, code) = match result {
        Ok(done) => {
            for source in &done.sources {
                tracing::info!(
                    source = source.name,
                    read = source.read,
                    documents = source.documents,
                    chunks = source.chunks,
                    unchanged = source.unchanged,
                    removed = source.removed,
                    duplicates = source.duplicates,
                    quarantined = source.quarantined,
                    bytes = source.bytes,
                    seconds = source.seconds,
                    error = source.error,
                    "a source"
                );
            }
            tracing::info!(
                documents = done.documents,
                chunks = done.chunks,
                "generation {} is published",
                done.generation
            );
            (IngestOutcome::Published(done), 0)
        }
        Err(failure) => {
            let (reason, retryable) = (&failure.reason, failure.retryable);
            tracing::error!(reason, retryable, "{}", failure.message);
            let code = failure.exit_code();
            (IngestOutcome::Failed(failure), code)
        }
    };
    let words = outcome.last_words();
    let _ = writeln!(io::stdout(), "{words}");
    report.write_text(&words);
    code
}
