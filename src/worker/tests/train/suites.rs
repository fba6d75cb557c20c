//! What suites say of a result, and what follows from it.

use std::{fs, process::Command};

use anyhow::{Context as _, Result, bail, ensure};
use protocol::{EvaluationOutcome, tune::TrainOutcome};
use serde_json::{Value, json};

use crate::place::Place;

/// A place with a suite of its own.
fn place() -> Result<(Place, (&'static str, Value))> {
    let place = Place::new()?;
    fs::write(
        place.path("sums.jsonl"),
        "{\"text\": \"1+2=3.\"}\n{\"text\": \"4+2=6.\"}\n",
    )?;
    let suites = json!([format!("sums={}", place.path("sums.jsonl").display())]);
    Ok((place, ("suites", suites)))
}

#[test]
fn a_result_is_asked_as_it_will_be_served() -> Result<()> {
    let (place, suites) = place()?;
    let limits = ("suiteLimits", json!({"sums": {"minScore": 0.0}}));
    let report = place.publishes(&place.plan(&[suites.clone(), limits]))?;
    let told = report.suites.first().context("no score")?;
    ensure!(report.gate.as_ref().is_some_and(|gate| gate.passed), "{report:?}");

    let answers = place.path("answers.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_atelier-worker"));
    command
        .arg("evaluate")
        .arg("--report")
        .arg(&answers)
        .arg("--model")
        .arg(place.path("base.gguf"));
    command
        .arg("--tuned")
        .arg(place.output(&report.digest))
        .args(["--tuned-digest", &report.digest]);
    command.args(["--threads", "1", "--suite", suites.1[0].as_str().context("no suite")?]);
    ensure!(command.status()?.success(), "it cannot be asked");
    match EvaluationOutcome::parse(&fs::read_to_string(&answers)?) {
        Some(EvaluationOutcome::Scored(asked)) => ensure!(asked.suites[0] == *told, "{asked:?} and {told:?}"),
        other => bail!("{other:?}"),
    }
    // What was trained is known better.
    let base = place.publishes(&place.plan(&[suites, ("hyperparameters.steps", json!(1))]))?;
    let score = |text: &str| text.parse::<f64>().context("no number");
    ensure!(
        score(&told.score)? > score(&base.suites[0].score)?,
        "{told:?} and {:?}",
        base.suites
    );
    Ok(())
}

#[test]
fn a_score_under_the_least_keeps_it_from_being_published() -> Result<()> {
    let (place, suites) = place()?;
    let limits = ("suiteLimits", json!({"sums": {"minScore": 0.999}}));
    let ended = place.run(&place.plan(&[suites.clone(), limits]))?;
    let TrainOutcome::Rejected(report) = &ended.outcome else {
        bail!("{:?} {}", ended.outcome, ended.stderr)
    };
    let gate = report.gate.as_ref().context("nobody judged")?;
    ensure!(gate.reason.contains("of at least 0.999, too bad"), "{}", gate.reason);
    ensure!(
        fs::read_dir(place.path("outputs"))?.count() == 0,
        "something was published"
    );
    // Who allows more has not to train again.
    let limits = ("suiteLimits", json!({"sums": {"minScore": 0.001}}));
    let again = place.run(&place.plan(&[suites, limits]))?;
    ensure!(
        matches!(again.outcome, TrainOutcome::Published(_)),
        "{:?}",
        again.outcome
    );
    ensure!(again.stderr.contains("going on from"), "{}", again.stderr);
    Ok(())
}
