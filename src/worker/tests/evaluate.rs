//! The real program asks the real model.

mod support;

use std::{path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use protocol::{EvaluationOutcome, EvaluationReport, report::EXIT_PERMANENT};

const QUESTIONS: &str = r#"
{"id": "right", "prompt": "What is the capital of France?", "maxTokens": 24, "expect": {"contains": "Paris"}}
{"id": "wrong", "prompt": "What is the capital of France?", "maxTokens": 24, "expect": {"contains": "Atlantis"}}
"#;
const TEXTS: &str = r#"{"text": "The quick brown fox jumps over the lazy dog."}"#;

/// Runs `evaluate`, and returns the exit code and the report.
fn evaluate(dir: &Path, more: &[&str]) -> Result<(i32, EvaluationOutcome)> {
    let report = dir.join("report.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_atelier-worker"));
    command.arg("evaluate").arg("--report").arg(&report);
    command.arg("--model").arg(support::model());
    command.args([
        "--dtype",
        "fp32",
        "--context-length",
        "256",
        "--max-concurrent-sequences",
        "4",
    ]);
    let status = command.args(more).status()?;
    let text = std::fs::read_to_string(&report)?;
    let outcome = EvaluationOutcome::parse(&text).with_context(|| format!("no outcome: {text}"))?;
    Ok((status.code().unwrap_or(-1), outcome))
}

fn scored(outcome: EvaluationOutcome) -> Result<EvaluationReport> {
    match outcome {
        EvaluationOutcome::Scored(report) => Ok(report),
        EvaluationOutcome::Failed(failure) => anyhow::bail!("{failure}"),
    }
}

#[test]
fn suites_are_scored() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let asked = |name: &str, text: &str| -> Result<String> {
        let path = dir.path().join(format!("{name}.jsonl"));
        std::fs::write(&path, text)?;
        Ok(format!("{name}={}", path.display()))
    };
    let (mine, texts) = (asked("mine", QUESTIONS)?, asked("texts", TEXTS)?);
    let (code, outcome) = evaluate(dir.path(), &["--suite", &mine, "--suite", &texts])?;
    let report = scored(outcome)?;
    ensure!(code == 0);
    let [questions, likelihood] = &report.suites[..] else {
        anyhow::bail!("{report:?}")
    };
    ensure!(
        questions.score == "0.5000" && questions.failed == ["wrong"],
        "{questions:?}"
    );
    ensure!(questions.digest != likelihood.digest);
    let mean: f64 = likelihood.score.parse()?;
    // A model that knows English finds the sentence far likelier than chance, and does not know it by heart.
    ensure!(
        (0.001..0.99).contains(&mean) && likelihood.questions == 1,
        "{likelihood:?}"
    );

    // The same again: nothing is drawn by chance.
    let (_, again) = evaluate(dir.path(), &["--suite", &mine, "--suite", &texts])?;
    ensure!(scored(again)? == report);
    Ok(())
}

#[test]
fn what_cannot_be_asked_is_said() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("long.jsonl");
    std::fs::write(&path, format!(r#"{{"text": "{}"}}"#, "word ".repeat(400)))?;
    let long = format!("long={}", path.display());
    for (suite, text) in [("manners", "no such suite"), (long.as_str(), "suite long: text 1: ")] {
        let (code, outcome) = evaluate(dir.path(), &["--suite", suite])?;
        let EvaluationOutcome::Failed(failure) = outcome else {
            anyhow::bail!("{outcome:?}")
        };
        ensure!(
            code == EXIT_PERMANENT && failure.reason == "InvalidSuite",
            "{code}: {failure}"
        );
        ensure!(failure.message.contains(text), "{failure}");
    }
    Ok(())
}
