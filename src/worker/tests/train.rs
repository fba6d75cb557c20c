//! `atelier-worker train`, as the process that the operator starts.

#[path = "train/kills.rs"]
mod kills;
#[path = "train/members.rs"]
mod members;
#[path = "train/place.rs"]
mod place;
#[path = "train/suites.rs"]
mod suites;
#[path = "../../compress/src/testing.rs"]
mod testing;

use std::{
    fs,
    process::Child,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use protocol::{
    report::{EXIT_INTERRUPTED, EXIT_PERMANENT, EXIT_TEMPORARY},
    tune::{OutputKind, OutputManifest, TrainOutcome},
};
use rstest::rstest;
use serde_json::{Value, json};

use place::{Place, weights};

/// Longest wait, which only a fault reaches.
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK: Duration = Duration::from_millis(2);

fn until(what: &str, mut holds: impl FnMut() -> bool) -> Result<()> {
    let since = Instant::now();
    while !holds() {
        ensure!(since.elapsed() < PATIENCE, "waited for {what}");
        sleep(LOOK);
    }
    Ok(())
}

fn signal(child: &Child, signal: rustix::process::Signal) -> Result<()> {
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).context("no process")?;
    rustix::process::kill_process(pid, signal).context("failed to send a signal")
}

#[test]
fn what_was_learned_is_published() -> Result<()> {
    let place = Place::new()?;
    let plan = place.plan(&[("gate", json!({"against": "Base", "maxRegression": 0.0}))]);
    let ended = place.run(&plan)?;
    let TrainOutcome::Published(report) = &ended.outcome else {
        anyhow::bail!("{:?} {}", ended.outcome, ended.stderr)
    };
    ensure!(report.last_loss < 0.7 * report.first_loss, "{report:?}");
    ensure!(report.eval_loss < report.reference_loss, "{report:?}");
    let (before, after) = report.general_perplexity.context("no perplexity")?;
    ensure!(before.is_finite() && after.is_finite() && before != after);
    ensure!(report.gate.as_ref().is_some_and(|gate| gate.passed), "{report:?}");

    let output = place.output(&report.digest);
    let manifest: OutputManifest = serde_json::from_slice(&fs::read(output.join("manifest.json"))?)?;
    ensure!(manifest.report == *report && manifest.run == "r");
    ensure!(manifest.files.contains_key("adapter_config.json") && manifest.files.len() >= 2);
    ensure!(manifest.samples.len() == 3 && manifest.samples.iter().all(|it| it.prompt.ends_with('=')));
    let events = |path| fs::read_dir(path).map(Iterator::count);
    ensure!(events(output.join("runs"))? == 1 && events(place.path("checkpoints/r/runs"))? == 1);

    // Lines of the log tell how far it is.
    let lines: Vec<_> = ended.stdout.lines().filter_map(TrainOutcome::parse).collect();
    let running = lines
        .iter()
        .filter(|line| matches!(line, TrainOutcome::Running(it) if it.total_steps > 0));
    ensure!(running.count() > 0, "{}", ended.stdout);
    ensure!(place.states().len() == 2, "{:?}", place.states());

    // The same again finds everything done, and the output there.
    let again = place.publishes(&plan)?;
    ensure!(again.digest == report.digest && again.steps == report.steps && again.tokens == report.tokens);
    Ok(())
}

#[test]
fn killed_at_any_time_it_ends_with_the_same_bytes() -> Result<()> {
    let place = Place::new()?;
    let plan = place.plan(&[]);
    let whole = place.publishes(&plan)?;
    let expected = weights(&place.output(&whole.digest))?;

    let other = Place::new()?;
    let plan = other.plan(&[]);
    // Killed while the first state is being written, and behind each of the next ones.
    for kill in 0..5 {
        let before = other.states();
        let mut child = other.start(&plan, None)?;
        let directory = other.path("checkpoints/r");
        until("a new state", || {
            let begun = kill % 2 == 0 && any_temporary(&directory);
            begun || other.states() != before || child.try_wait().ok().flatten().is_some()
        })?;
        child.kill()?;
        child.wait()?;
        ensure!(
            !other
                .path("outputs")
                .join(whole.digest.trim_start_matches("sha256:"))
                .exists(),
            "it was too fast"
        );
    }
    let resumed = other.run(&plan)?;
    let TrainOutcome::Published(report) = &resumed.outcome else {
        anyhow::bail!("{:?} {}", resumed.outcome, resumed.stderr)
    };
    ensure!(resumed.stderr.contains("going on from"), "{}", resumed.stderr);
    ensure!(report.digest == whole.digest && weights(&other.output(&report.digest))? == expected);
    ensure!((report.first_loss, report.last_loss) == (whole.first_loss, whole.last_loss));
    ensure!(report.tokens == whole.tokens && report.eval_loss == whole.eval_loss);
    Ok(())
}

/// Whether a state is being written.
fn any_temporary(checkpoints: &std::path::Path) -> bool {
    let keys = fs::read_dir(checkpoints).into_iter().flatten().flatten();
    let mut names = keys.flat_map(|entry| fs::read_dir(entry.path()).into_iter().flatten().flatten());
    names.any(|entry| entry.file_name().to_string_lossy().starts_with(".tmp-step"))
}

#[test]
fn told_to_end_it_saves_its_state() -> Result<()> {
    let place = Place::new()?;
    let changes = [
        ("checkpoint", json!({"everySteps": 20, "keep": 1})),
        ("hyperparameters.epochs", json!(60)),
        ("evaluateEvery", json!(50)),
    ];
    let whole = place.publishes(&place.plan(&changes))?;

    let other = Place::new()?;
    let plan = other.plan(&changes);
    let mut child = other.start(&plan, None)?;
    until("a state", || !other.states().is_empty())?;
    signal(&child, rustix::process::Signal::TERM)?;
    let code = child.wait()?.code();
    let words = fs::read_to_string(other.report(None))?;
    match TrainOutcome::parse(&words) {
        Some(TrainOutcome::Interrupted(progress)) => {
            ensure!(code == Some(EXIT_INTERRUPTED) && progress.step < whole.steps, "{words}");
            let name = format!("step-{:08}", progress.step);
            ensure!(
                other.states().last().is_some_and(|state| state.ends_with(&name)),
                "{words}"
            );
        }
        // It was faster than the signal.
        Some(TrainOutcome::Published(_)) => ensure!(code == Some(0)),
        _ => anyhow::bail!("{code:?} {words}"),
    }
    let report = other.publishes(&plan)?;
    ensure!(report.digest == whole.digest && report.tokens == whole.tokens);
    Ok(())
}

#[test]
fn a_worse_result_is_rejected_and_nothing_is_published() -> Result<()> {
    let place = Place::new()?;
    let good = place.publishes(&place.plan(&[]))?;
    let gate = json!({"against": "Current", "current": place.output(&good.digest), "maxRegression": 0.01});
    let plan = place.plan(&[("gate", gate), ("hyperparameters.steps", json!(1))]);
    let ended = place.run(&plan)?;
    let TrainOutcome::Rejected(report) = &ended.outcome else {
        anyhow::bail!("{:?} {}", ended.outcome, ended.stderr)
    };
    // On the same data what was measured then is compared.
    ensure!(
        ended.code == Some(0) && report.reference_loss == good.eval_loss,
        "{report:?}"
    );
    ensure!(
        report.gate.as_ref().is_some_and(|gate| gate.reason.contains("too bad")),
        "{report:?}"
    );
    ensure!(!place.output(&report.digest).exists());
    let left = fs::read_dir(place.path("outputs"))?.count();
    ensure!(left == 1, "{left} are left in outputs");
    Ok(())
}

#[rstest]
#[case::qlora(&[("method", json!("QLoRA"))], OutputKind::Adapter)]
#[case::bottleneck(
    &[("method", json!("Adapter")), ("hyperparameters.adapter", json!({"bottleneck": 8}))],
    OutputKind::Adapter
)]
#[case::prefix(&[("method", json!("Prefix")), ("hyperparameters.virtualTokens", json!(4))], OutputKind::Adapter)]
#[case::full(&[("method", json!("Full")), ("hyperparameters.learningRate", json!(0.001))], OutputKind::Weights)]
#[case::packed(&[("hyperparameters.packing", json!(true))], OutputKind::Adapter)]
#[case::all_of_the_text(&[("objective", json!("CausalLM"))], OutputKind::Adapter)]
fn every_method_learns(#[case] changes: &[(&str, Value)], #[case] kind: OutputKind) -> Result<()> {
    let place = Place::new()?;
    let gate = ("gate", json!({"against": "Base", "maxRegression": 0.0}));
    let report = place.publishes(&place.plan(&[changes, &[gate]].concat()))?;
    ensure!(
        report.kind == kind && report.last_loss < report.first_loss,
        "{report:?}"
    );
    Ok(())
}

#[test]
fn preferences_are_learned() -> Result<()> {
    let place = Place::new()?;
    let record = |at: usize| json!({"prompt": format!("{}?", at % 9), "chosen": "yes", "rejected": "no"});
    let lines: Vec<String> = (0..40).map(|at| record(at).to_string()).collect();
    place.data(&lines[..32], &lines[32..])?;
    let gate = ("gate", json!({"against": "Base", "maxRegression": 0.0}));
    let report = place.publishes(&place.plan(&[("objective", json!("DPO")), gate]))?;
    // Before anything is learned, nothing is preferred: the loss is that of a coin.
    let base = report.reference_loss.context("no loss")?;
    ensure!(
        (base - 2f64.ln()).abs() < 1e-4 && report.eval_loss < Some(0.6),
        "{report:?}"
    );
    Ok(())
}

#[test]
fn weights_are_a_model_of_their_own() -> Result<()> {
    let place = Place::new()?;
    let shape = json!({
        "layers": 2, "hiddenSize": 32, "feedForwardSize": 64, "heads": 4, "kvHeads": 2, "contextLength": 64,
        "tieEmbeddings": true,
    });
    let new = [
        ("method", json!("Pretrain")),
        ("objective", json!("CausalLM")),
        ("architecture", shape),
        ("template", json!("{% for m in messages %}{{ m.content }}{% endfor %}")),
    ];
    let report = place.publishes(&place.plan(&new))?;
    ensure!(
        report.kind == OutputKind::Weights && report.last_loss < report.first_loss,
        "{report:?}"
    );
    let output = place.output(&report.digest);
    // Its digest is that of the model, so that whoever serves it can check it; and it can be trained again.
    let again = [
        ("model", json!(output)),
        ("digest", json!(report.digest)),
        ("hyperparameters.epochs", json!(1)),
        ("run", json!("again")),
        ("checkpoints", json!(place.path("checkpoints/again"))),
    ];
    let second = place.publishes(&place.plan(&again))?;
    ensure!(
        second.kind == OutputKind::Adapter && second.eval_loss < second.reference_loss,
        "{second:?}"
    );
    Ok(())
}

#[test]
fn a_full_disk_is_said_and_mended() -> Result<()> {
    let place = Place::new()?;
    let plan = place.plan(&[]);
    // Files may have 16 KiB: less than a state.
    let train = place.command(&plan, None)?;
    let mut shell = std::process::Command::new("bash");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$@\"", "bash"]);
    shell.arg(train.get_program()).args(train.get_args());
    let output = shell.output()?;
    let words = fs::read_to_string(place.report(None))?;
    let Some(TrainOutcome::Failed(failure)) = TrainOutcome::parse(&words) else {
        anyhow::bail!("{words} {}", String::from_utf8_lossy(&output.stderr))
    };
    ensure!(
        output.status.code() == Some(EXIT_TEMPORARY) && failure.retryable,
        "{failure}"
    );
    let directory = place.path("checkpoints/r").display().to_string();
    ensure!(
        failure.reason == "NoSpace" && failure.message.contains(&directory),
        "{failure}"
    );
    ensure!(failure.message.contains("bytes were written"), "{failure}");
    ensure!(place.states().is_empty());
    place.publishes(&plan)?;
    Ok(())
}

#[test]
fn it_ends_early_when_nothing_gets_better() -> Result<()> {
    let place = Place::new()?;
    let plan = place.plan(&[
        ("hyperparameters.epochs", json!(40)),
        ("hyperparameters.learningRate", json!(0.05)),
        ("evaluateEvery", json!(3)),
        ("earlyStopping", json!({"patience": 2, "minDelta": 0.05})),
    ]);
    let report = place.publishes(&plan)?;
    ensure!(report.stopped_early, "{report:?}");
    // The best is kept beside the last ones, and what is published is that.
    ensure!(report.eval_loss < report.reference_loss, "{report:?}");
    Ok(())
}

#[test]
fn the_current_output_is_measured_on_the_data_of_today() -> Result<()> {
    let place = Place::new()?;
    let first = place.publishes(&place.plan(&[]))?;
    // Other data: what was measured then does not count.
    let record = |at: usize| json!({"prompt": format!("{}+1=", at % 9), "completion": format!("{}.", at % 9 + 1)});
    let lines: Vec<String> = (0..40).map(|at| record(at).to_string()).collect();
    place.data(&lines[..32], &lines[32..])?;
    let gate = json!({"against": "Current", "current": place.output(&first.digest), "maxRegression": 0.5});
    let report = place.publishes(&place.plan(&[("gate", gate)]))?;
    let gate = report.gate.context("no gate")?;
    ensure!(gate.reason.contains("against the current output"), "{}", gate.reason);
    let reference = report.reference_loss.context("no reference")?;
    ensure!(
        Some(reference) != first.eval_loss && reference.is_finite(),
        "{reference}"
    );
    Ok(())
}

#[test]
fn numbers_that_run_over_end_it_with_the_last_good_state() -> Result<()> {
    let place = Place::new()?;
    let plan = place.plan(&[
        ("hyperparameters.learningRate", json!(1e38)),
        ("hyperparameters.schedule", json!("Constant")),
        ("hyperparameters.warmup", json!({"steps": 0})),
        ("checkpoint", json!({"everySteps": 1, "keep": 2})),
    ]);
    let failure = place.fails(&plan, EXIT_PERMANENT)?;
    ensure!(
        failure.reason == "LossNotFinite" && failure.message.contains("train.jsonl lines "),
        "{failure}"
    );
    ensure!(failure.message.contains("the state of step "), "{failure}");
    ensure!(!place.states().is_empty());
    Ok(())
}

#[test]
fn what_cannot_be_trained_is_said() -> Result<()> {
    let place = Place::new()?;
    let digest = format!("sha256:{}", "0".repeat(64));
    let failure = place.fails(&place.plan(&[("digest", json!(digest))]), EXIT_PERMANENT)?;
    ensure!(failure.reason == "DigestMismatch", "{failure}");
    let failure = place.fails(&place.plan(&[("suites", json!(["manners"]))]), EXIT_PERMANENT)?;
    ensure!(failure.reason == "InvalidSuite", "{failure}");
    let long = ("hyperparameters.sequenceLength", json!(64));
    place.publishes(&place.plan(&[long, ("hyperparameters.epochs", json!(1))]))?;

    place.data::<&str>(&[], &[])?;
    let failure = place.fails(&place.plan(&[]), EXIT_PERMANENT)?;
    ensure!(
        failure.reason == "NoData" && failure.message.contains("is empty"),
        "{failure}"
    );
    place.data(&[r#"{"prompt": "a"}"#], &[])?;
    let failure = place.fails(&place.plan(&[]), EXIT_PERMANENT)?;
    ensure!(failure.message.contains("train.jsonl:1"), "{failure}");
    // One record is enough.
    place.data(&[r#"{"prompt": "a", "completion": "b"}"#], &[])?;
    let report = place.publishes(&place.plan(&[]))?;
    ensure!(report.steps == 2 && report.eval_loss.is_none(), "{report:?}");
    Ok(())
}

#[test]
fn other_plans_begin_anew() -> Result<()> {
    let place = Place::new()?;
    place.publishes(&place.plan(&[]))?;
    let states = place.states();
    let ended = place.run(&place.plan(&[("hyperparameters.seed", json!(8))]))?;
    ensure!(
        matches!(ended.outcome, TrainOutcome::Published(_)),
        "{:?}",
        ended.outcome
    );
    ensure!(
        ended.stderr.contains("another plan") && !ended.stderr.contains("going on"),
        "{}",
        ended.stderr
    );
    ensure!(states.iter().all(|state| state.is_dir()));
    Ok(())
}
