//! `atelier-worker evaluate`: asks a model questions with known answers, by the API that it serves with.

mod ask;
mod grade;
mod suite;

use std::path::Path;

use artifacts::report::{MAX_BYTES, ReportFile};
use hex::encode;
use protocol::{
    EvaluationOutcome, EvaluationReport, PrepareFailure, SuiteScore,
    report::{EXIT_PERMANENT, EXIT_TEMPORARY, reasons},
};
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;

use self::{ask::Model, suite::Suite};
use crate::cli::{self, Evaluate};

/// Wrong answers that a report names.
const EXAMPLES: usize = 3;
/// Longest name of one, in characters.
const EXAMPLE_LENGTH: usize = 40;
/// Longest suite, in bytes.
const MAX_SUITE: u64 = 64 << 20;

/// Evaluates, and returns the process's exit code.
pub async fn run(args: Evaluate) -> i32 {
    let report_file = ReportFile::new(args.report.clone());
    let (outcome, code) = match evaluate(args).await {
        Ok(report) => (EvaluationOutcome::Scored(report), 0),
        Err(failure) => {
            tracing::error!("{failure}");
            let code = if failure.retryable {
                EXIT_TEMPORARY
            } else {
                EXIT_PERMANENT
            };
            (EvaluationOutcome::Failed(failure), code)
        }
    };
    report_file.write_text(&last_words(outcome));
    code
}

async fn evaluate(args: Evaluate) -> Result<EvaluationReport, PrepareFailure> {
    let suites = score(args.model, &args.suites).await?;
    Ok(EvaluationReport { suites })
}

/// Asks a model all questions of suites: with `--tuned`, what a training has put beside it.
///
/// # Errors
/// When a suite cannot be read, or the model cannot be loaded or asked.
pub async fn score(model: cli::Model, suites: &[String]) -> Result<Vec<SuiteScore>, PrepareFailure> {
    // Before the model is loaded, which takes longer.
    let suites: Vec<_> = suites
        .iter()
        .map(|asked| Asked::read(asked))
        .collect::<Result<_, _>>()?;
    let held = model.hold();
    let _weights = held.map_err(|error| PrepareFailure::new(reasons::INTERNAL, format!("{error:#}"), true))?;
    let model = spawn_blocking(move || Model::load(model)).await;
    let model = model
        .map_err(|error| error.to_string())
        .and_then(|loaded| loaded.map_err(|error| format!("{error:#}")))
        .map_err(|why| PrepareFailure::new(reasons::INTERNAL, format!("failed to load the model: {why}"), true))?;
    let mut scores = Vec::new();
    for suite in suites {
        scores.push(suite.score(&model).await?);
    }
    Ok(scores)
}

/// Checks that suites can be read.
///
/// # Errors
/// Which one cannot, and why.
pub fn check(suites: &[String]) -> Result<(), PrepareFailure> {
    suites.iter().try_for_each(|asked| Asked::read(asked).map(drop))
}

/// A suite that is to be asked.
struct Asked {
    name: String,
    digest: String,
    suite: Suite,
}

impl Asked {
    /// Reads `NAME` or `NAME=FILE`.
    fn read(asked: &str) -> Result<Self, PrepareFailure> {
        let (name, path) = match asked.split_once('=') {
            Some((name, path)) => (name, Some(path)),
            None => (asked, None),
        };
        let invalid = |why: String| {
            let message = format!("suite {name}: {why}");
            PrepareFailure::new(reasons::INVALID_SUITE, message, false)
        };
        let text = match path {
            Some(path) => read(Path::new(path)).map_err(invalid)?,
            None => suite::bundled(name).map(Into::into).ok_or_else(|| {
                let known = suite::names().join(", ");
                invalid(format!(
                    "no such suite comes with the worker; these do: {known}. Or give its source"
                ))
            })?,
        };
        Ok(Self {
            name: name.into(),
            digest: format!("sha256:{}", encode(Sha256::digest(&text))),
            suite: Suite::parse(&text).map_err(invalid)?,
        })
    }

    async fn score(self, model: &Model) -> Result<SuiteScore, PrepareFailure> {
        let Self { name, digest, suite } = self;
        let questions = suite.len();
        tracing::info!(suite = name, questions, "asking");
        let scored = match suite {
            Suite::Questions(questions) => model.right_answers(questions).await,
            Suite::Texts(texts) => model.likelihood(texts).await,
        };
        let (score, wrong) = scored.map_err(|why| {
            let message = format!("suite {name}: {why}");
            PrepareFailure::new(reasons::INVALID_SUITE, message, false)
        })?;
        tracing::info!(suite = name, score, wrong = wrong.len(), "asked");
        let examples = wrong.iter().take(EXAMPLES);
        Ok(SuiteScore {
            suite: name,
            digest,
            score: format!("{score:.4}"),
            questions: u32::try_from(questions).unwrap_or(u32::MAX),
            failed: examples.map(|id| id.chars().take(EXAMPLE_LENGTH).collect()).collect(),
        })
    }
}

fn read(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("failed to read {}: {error}", path.display());
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > MAX_SUITE {
        return Err(format!(
            "{} has {size} bytes: at most {MAX_SUITE} are read",
            path.display()
        ));
    }
    std::fs::read_to_string(path).map_err(failed)
}

/// The outcome as JSON that Kubernetes keeps whole: examples and ends of messages go first.
fn last_words(mut outcome: EvaluationOutcome) -> String {
    let json = |outcome: &EvaluationOutcome| serde_json::to_string(outcome).expect("a report has text keys only");
    let mut text = json(&outcome);
    while text.len() > MAX_BYTES {
        match &mut outcome {
            EvaluationOutcome::Scored(report) if report.suites.iter().any(|it| !it.failed.is_empty()) => {
                report.suites.iter_mut().for_each(|score| score.failed.clear());
            }
            EvaluationOutcome::Failed(failure) if !failure.message.is_empty() => {
                let half = failure.message.chars().count() / 2;
                failure.message = failure.message.chars().take(half).collect();
            }
            _ => break,
        }
        text = json(&outcome);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_is_known_or_a_file() {
        let error = Asked::read("manners").map(drop).unwrap_err();
        assert!(error.message.contains("arithmetic, facts"), "{error}");
        let error = Asked::read("mine=/nowhere.jsonl").map(drop).unwrap_err();
        assert!(
            error.message.contains("suite mine: failed to read /nowhere.jsonl"),
            "{error}"
        );
        let known = Asked::read("facts").unwrap();
        assert!(known.digest.starts_with("sha256:"));
    }

    #[test]
    fn last_words_fit() {
        let score = SuiteScore {
            suite: "s".repeat(40),
            digest: format!("sha256:{}", "0".repeat(64)),
            score: "0.1234".into(),
            questions: 100_000,
            failed: vec!["é".repeat(40); 3],
        };
        let report = EvaluationReport {
            suites: vec![score; 16],
        };
        let text = last_words(EvaluationOutcome::Scored(report));
        assert!(text.len() <= MAX_BYTES && EvaluationOutcome::parse(&text).is_some());
        let failure = PrepareFailure::new(reasons::INVALID_SUITE, "\"".repeat(9000), false);
        let text = last_words(EvaluationOutcome::Failed(failure));
        assert!(text.len() <= MAX_BYTES && EvaluationOutcome::parse(&text).is_some());
    }
}
