//! Last words.

use std::io::{self, Write as _};

use artifacts::report::ReportFile;
use protocol::redteam::{RedTeamOutcome, RedTeamReport};

use crate::failure::Result;

/// Writes them; the process's exit code. That a Room leaks is an outcome like any other: it was found out.
pub fn finish(report: &ReportFile, result: Result<RedTeamReport>) -> i32 {
    let (outcome, code) = match result {
        Ok(done) => {
            tracing::info!(
                generation = done.generation,
                verdict = ?done.verdict,
                attempts = done.attempts,
                canaries = done.canaries,
                found = done.found,
                failures = ?done.failures,
                "the Room is tested"
            );
            (RedTeamOutcome::Finished(done), 0)
        }
        Err(failure) => {
            let (reason, retryable) = (&failure.reason, failure.retryable);
            tracing::error!(reason, retryable, "{}", failure.message);
            let code = failure.exit_code();
            (RedTeamOutcome::Failed(failure), code)
        }
    };
    let words = outcome.last_words();
    // Nothing depends on it.
    let _ = writeln!(io::stdout(), "{words}");
    report.write_text(&words);
    code
}
