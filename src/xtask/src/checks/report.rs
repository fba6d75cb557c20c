//! Runs stages one after the other and remembers how each went.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::ui;

/// What has run so far.
#[derive(Debug, Default)]
pub struct Report {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: &'static str,
    time: Duration,
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    Skipped,
}

impl Report {
    /// Runs a stage. A failure is told at once and does not keep the others from running.
    pub fn stage(&mut self, name: &'static str, run: impl FnOnce() -> Result<()>) {
        ui::say(&format!("\n=== {name}"));
        let started = Instant::now();
        let result = run();
        let time = started.elapsed();
        let outcome = match result {
            Ok(()) => {
                ui::say(&format!("=== {name}: ok ({})", ui::seconds(time)));
                Outcome::Passed
            }
            Err(error) => {
                ui::say(&format!("=== {name}: FAILED ({})\n{error:#}", ui::seconds(time)));
                Outcome::Failed
            }
        };
        self.rows.push(Row { name, time, outcome });
    }

    /// Runs a stage that makes no sense once another has failed.
    pub fn stage_if_green(&mut self, name: &'static str, run: impl FnOnce() -> Result<()>) {
        if self.is_green() {
            self.stage(name, run);
        } else {
            self.rows.push(Row {
                name,
                time: Duration::ZERO,
                outcome: Outcome::Skipped,
            });
        }
    }

    fn is_green(&self) -> bool {
        self.rows.iter().all(|row| row.outcome == Outcome::Passed)
    }

    /// Prints the summary; an error unless every stage passed.
    pub fn finish(self) -> Result<()> {
        ui::say(&format!("\n{}", self.summary()));
        if !self.is_green() {
            let failed = self
                .rows
                .iter()
                .filter(|row| row.outcome == Outcome::Failed)
                .map(|row| row.name);
            bail!("failed checks: {}", failed.collect::<Vec<_>>().join(", "));
        }
        Ok(())
    }

    fn summary(&self) -> String {
        let lines = self.rows.iter().map(|row| {
            let outcome = match row.outcome {
                Outcome::Passed => "ok",
                Outcome::Failed => "FAILED",
                Outcome::Skipped => "not run",
            };
            format!("{:<16} {outcome:<8} {:>12}", row.name, ui::seconds(row.time))
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_fails_the_whole_and_skips_what_depends_on_it() {
        let mut report = Report::default();
        report.stage("one", || Ok(()));
        report.stage("two", || bail!("no"));
        report.stage("three", || Ok(()));
        let mut ran = false;
        report.stage_if_green("four", || {
            ran = true;
            Ok(())
        });
        assert!(!ran);
        let summary = report.summary();
        for line in [
            "one              ok",
            "two              FAILED",
            "three            ok",
            "four             not run",
        ] {
            assert!(summary.contains(line), "{summary}");
        }
        assert_eq!(report.finish().unwrap_err().to_string(), "failed checks: two");
    }

    #[test]
    fn all_green_is_success() {
        let mut report = Report::default();
        report.stage("one", || Ok(()));
        report.stage_if_green("two", || Ok(()));
        assert!(report.finish().is_ok());
    }
}
