//! The report file: how the operator learns what `prepare` does.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use protocol::{PrepareFailure, PrepareOutcome, Progress, paths};

/// What Kubernetes keeps of a termination message, in bytes.
pub const MAX_BYTES: usize = 4096;
/// Least time between two reports of progress.
const INTERVAL: Duration = Duration::from_secs(1);
/// How far back the speed looks: what is left would jump about with that of the last second.
const MEMORY: Duration = Duration::from_secs(10);

/// Writes outcomes to a file, if there is one.
#[derive(Clone, Debug)]
pub struct ReportFile {
    path: Option<PathBuf>,
}

impl ReportFile {
    /// Reports to `path`; without one to the container's termination message, where there is that.
    pub fn new(path: Option<PathBuf>) -> Self {
        let log = Path::new(paths::TERMINATION_LOG);
        let default = || log.exists().then(|| log.to_owned());
        Self {
            path: path.or_else(default),
        }
    }

    /// Replaces what the file says. A report that cannot be written does not stop the work: the
    /// exit code and the log still tell.
    ///
    /// Progress goes to the log as well: the file of a container can be read only when it has ended.
    pub fn write(&self, outcome: &PrepareOutcome) {
        if let PrepareOutcome::Running(_) = outcome {
            // Nothing depends on it.
            let _ = writeln!(io::stdout(), "{}", encode(outcome));
        }
        self.write_text(&encode(outcome));
    }

    /// As [`Self::write`], with last words of another kind, of at most [`MAX_BYTES`].
    pub fn write_text(&self, words: &str) {
        let Some(path) = &self.path else { return };
        // In place: the termination message is a mount, which cannot be renamed over.
        if let Err(error) = std::fs::write(path, words) {
            tracing::warn!("failed to write the report to {}: {error}", path.display());
        }
    }
}

impl ReportFile {
    /// What a download calls with its bytes on disk and in all: now and then it is a report.
    pub(crate) fn progress(&self) -> impl FnMut(u64, Option<u64>) + Send {
        let mut meter = Meter::new();
        move |bytes, total| {
            if let Some(progress) = meter.tick(Instant::now(), bytes, total) {
                self.write(&PrepareOutcome::Running(progress));
            }
        }
    }
}

/// The outcome as JSON of at most [`MAX_BYTES`]: escapes can double a message, so it is cut further.
fn encode(outcome: &PrepareOutcome) -> String {
    let json = |outcome: &PrepareOutcome| serde_json::to_string(outcome).expect("a report has text keys only");
    let mut text = json(outcome);
    if let PrepareOutcome::Failed(failure) = outcome {
        let mut length = failure.message.chars().count();
        while text.len() > MAX_BYTES && length > 0 {
            length /= 2;
            let message: String = failure.message.chars().take(length).collect();
            let cut = PrepareFailure {
                message,
                ..failure.clone()
            };
            text = json(&PrepareOutcome::Failed(cut));
        }
    }
    text
}

/// Decides when progress is worth a report, and computes the recent speed.
#[derive(Debug, Default)]
pub struct Meter {
    last: Option<(Instant, u64)>,
    /// Bytes each second, of late.
    speed: Option<f64>,
}

impl Meter {
    /// One that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The progress to report at `now`, if it is time again. The first call always reports.
    pub fn tick(&mut self, now: Instant, bytes: u64, total: Option<u64>) -> Option<Progress> {
        let bytes_per_second = match self.last {
            None => 0,
            Some((then, before)) => {
                let elapsed = now.duration_since(then);
                if elapsed < INTERVAL {
                    return None;
                }
                // A restarted download has fewer bytes than before, and nothing is known of its speed.
                let gained = bytes.checked_sub(before);
                self.speed = gained.map(|gained| self.average(gained as f64 / elapsed.as_secs_f64(), elapsed));
                self.speed.unwrap_or_default() as u64
            }
        };
        self.last = Some((now, bytes));
        Some(Progress {
            bytes,
            total,
            bytes_per_second,
            ..Progress::default()
        })
    }

    /// The speed of late with that of the last moment, which counts for more the longer it was.
    fn average(&self, speed: f64, elapsed: Duration) -> f64 {
        let Some(before) = self.speed else { return speed };
        let old = (-elapsed.as_secs_f64() / MEMORY.as_secs_f64()).exp();
        before * old + speed * (1.0 - old)
    }
}

#[cfg(test)]
mod tests {
    use protocol::report::reasons;

    use super::*;

    #[test]
    fn progress_is_reported_once_a_second_with_its_speed() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut meter = Meter::new();
        let first = meter.tick(at(0), 100, None).unwrap();
        assert_eq!((first.bytes, first.bytes_per_second), (100, 0));
        assert_eq!(meter.tick(at(999), 900, Some(9000)), None);
        let second = meter.tick(at(2000), 2100, Some(9000)).unwrap();
        assert_eq!((second.total, second.bytes_per_second), (Some(9000), 1000));
        assert_eq!(meter.tick(at(4000), 0, None).unwrap().bytes_per_second, 0);
    }

    #[test]
    fn the_speed_follows_slowly() {
        let start = Instant::now();
        let mut meter = Meter::new();
        let mut speed = |seconds, bytes| {
            let progress = meter.tick(start + Duration::from_secs(seconds), bytes, None);
            progress.unwrap().bytes_per_second
        };
        speed(0, 0);
        assert_eq!(speed(10, 10_000), 1000);
        // A second of nothing is no end; a minute of it is.
        assert_eq!(speed(11, 10_000), 904);
        assert!(speed(71, 10_000) < 10);
    }

    #[test]
    fn a_message_of_escapes_still_fits() {
        for message in ["\\", "\u{1}", "é\""] {
            let failure = PrepareFailure::new(reasons::INTERNAL, message.repeat(5000), true);
            let text = encode(&PrepareOutcome::Failed(failure));
            assert!(text.len() <= MAX_BYTES, "{}", text.len());
            assert!(matches!(PrepareOutcome::parse(&text), Some(PrepareOutcome::Failed(found)) if found.retryable));
        }
    }

    #[test]
    fn a_later_shorter_report_replaces_a_longer_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report");
        let file = ReportFile::new(Some(path.clone()));
        let failure = PrepareFailure::new(reasons::INTERNAL, "x".repeat(500), true);
        file.write(&PrepareOutcome::Failed(failure));
        let running = PrepareOutcome::Running(Progress::default());
        file.write(&running);
        assert_eq!(
            PrepareOutcome::parse(&std::fs::read_to_string(path).unwrap()),
            Some(running)
        );
    }
}
