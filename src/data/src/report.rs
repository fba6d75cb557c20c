//! What the operator hears: lines of the log while it works, and last words.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use artifacts::report::{MAX_BYTES, ReportFile};
use protocol::PrepareFailure;
use protocol::tune::{DataOutcome, DataProgress, DataReport};

/// Least time between two lines about progress.
const INTERVAL: Duration = Duration::from_secs(5);
/// Characters of an error in last words that turned out too long.
const SHORT_MESSAGE: usize = 500;

/// Where progress goes.
#[derive(Debug)]
pub struct Progress {
    report: ReportFile,
    last: Option<Instant>,
    /// How far the work is.
    pub now: DataProgress,
}

impl Progress {
    /// Nothing is read yet.
    pub fn new(report: ReportFile) -> Self {
        Self {
            report,
            last: None,
            now: DataProgress::default(),
        }
    }

    /// Says how far the work is, if it is time again. The first call always does.
    pub fn tick(&mut self) {
        if self.last.is_none_or(|last| last.elapsed() >= INTERVAL) {
            self.last = Some(Instant::now());
            let line = encode(&DataOutcome::Running(self.now.clone()));
            // Nothing depends on it.
            let _ = writeln!(io::stdout(), "{line}");
            self.report.write_text(&line);
        }
    }
}

/// Writes the last words; returns the process's exit code.
pub fn finish(report: &ReportFile, result: Result<DataReport, PrepareFailure>) -> i32 {
    let (outcome, code) = match result {
        Ok(done) => {
            let parts = done.parts;
            tracing::info!(
                read = done.read,
                train = parts.train,
                validation = parts.validation,
                test = parts.test,
                dropped = ?done.dropped,
                "prepared {} bytes, {}",
                done.bytes,
                done.digest
            );
            (DataOutcome::Ready(done), 0)
        }
        Err(failure) => {
            let (reason, retryable) = (&failure.reason, failure.retryable);
            tracing::error!(reason, retryable, "{}", failure.message);
            let code = failure.exit_code();
            (DataOutcome::Failed(failure), code)
        }
    };
    let words = encode(&outcome);
    let _ = writeln!(io::stdout(), "{words}");
    report.write_text(&words);
    code
}

/// The outcome as JSON of at most [`MAX_BYTES`]. What does not fit is in the manifest: first the digests of the sources
/// go, then the sources.
pub fn encode(outcome: &DataOutcome) -> String {
    let json = |outcome: &DataOutcome| serde_json::to_string(outcome).expect("an outcome has text keys only");
    let mut text = json(outcome);
    if text.len() <= MAX_BYTES {
        return text;
    }
    match outcome.clone() {
        DataOutcome::Ready(mut report) => {
            report.sources.iter_mut().for_each(|source| source.digest.clear());
            text = json(&DataOutcome::Ready(report.clone()));
            while text.len() > MAX_BYTES && report.sources.pop().is_some() {
                text = json(&DataOutcome::Ready(report.clone()));
            }
        }
        DataOutcome::Failed(mut failure) => {
            // Escapes can make six bytes of one.
            failure.message = failure.message.chars().take(SHORT_MESSAGE).collect();
            text = json(&DataOutcome::Failed(failure));
        }
        DataOutcome::Running(_) => {}
    }
    text
}

#[cfg(test)]
mod tests {
    use protocol::tune::SourceReport;
    use rstest::rstest;

    use super::*;

    #[test]
    fn many_sources_fit_the_last_words() {
        let source = |index| SourceReport {
            name: format!("{index:040}"),
            digest: format!("sha256:{}", "a".repeat(64)),
            read: u64::MAX,
            kept: u64::MAX,
        };
        let report = DataReport {
            sources: (0..32).map(source).collect(),
            ..DataReport::default()
        };
        let text = encode(&DataOutcome::Ready(report));
        assert!(text.len() <= MAX_BYTES, "{}", text.len());
        let Some(DataOutcome::Ready(found)) = DataOutcome::parse(&text) else {
            panic!("{text}")
        };
        assert!(found.sources.len() > 16, "{}", found.sources.len());
    }

    #[rstest]
    #[case("\u{1}")]
    #[case("\\é")]
    fn a_message_of_escapes_fits(#[case] message: &str) {
        let failure = PrepareFailure::new("InvalidDataset", message.repeat(3000), false);
        let text = encode(&DataOutcome::Failed(failure));
        assert!(text.len() <= MAX_BYTES, "{}", text.len());
        assert!(matches!(DataOutcome::parse(&text), Some(DataOutcome::Failed(_))));
    }
}
