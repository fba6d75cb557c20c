//! Numbers of a training as the status has them.

use api::{
    FineTuneJobStatus,
    finetunejob::{CheckpointStatus, ReportStatus, ResourceUse},
    names,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use protocol::tune::{TrainProgress, TrainReport};

use crate::controllers::finetunejob::validate::{Owner, Wanted};

/// Puts what a training says of itself into the status.
pub fn note(status: &mut FineTuneJobStatus, progress: &TrainProgress, owner: &Owner, wanted: &Wanted, now: &Time) {
    let moved = status.step != Some(number(progress.step)) || status.eta.is_none();
    status.step = Some(number(progress.step));
    status.total_steps = Some(number(progress.total_steps));
    status.epoch = fixed(progress.epoch, 2);
    status.loss = progress.loss.and_then(loss);
    status.eval_loss = progress.eval_loss.and_then(loss).or(status.eval_loss.take());
    status.learning_rate = progress
        .learning_rate
        .is_finite()
        .then(|| format!("{:.3e}", progress.learning_rate));
    status.tokens_per_second = fixed(progress.tokens_per_second, 0);
    // The same figures say the same, however late it is.
    if moved {
        let left = progress.remaining_seconds.map(std::time::Duration::from_secs);
        status.eta = left.and_then(|left| now.0.checked_add(left).ok()).map(Time);
    }
    status.resource_use = Some(ResourceUse {
        cpu: None,
        // All of them hold the same.
        memory: Some(number(progress.memory.saturating_mul(wanted.members.into()))),
        accelerator_memory: None,
    });
    if let Some(step) = progress.checkpoint.map(number)
        && status.checkpoint.as_ref().map(|checkpoint| checkpoint.step) != Some(step)
    {
        let (claim, run) = (names::tune_claim(owner.root()), &owner.name);
        status.checkpoint = Some(CheckpointStatus {
            step,
            uri: format!("pvc://{claim}/checkpoints/{run}/{}", wanted.state),
            created: Some(now.clone()),
        });
    }
}

/// The last figures of a training.
pub fn settle(status: &mut FineTuneJobStatus, report: &TrainReport) {
    status.step = Some(number(report.steps));
    status.total_steps = status.total_steps.max(status.step);
    status.loss = loss(report.last_loss);
    status.eval_loss = report.eval_loss.and_then(loss).or(status.eval_loss.take());
}

/// How a training ended.
pub fn report(report: &TrainReport) -> ReportStatus {
    let text = |value: f64| loss(value).unwrap_or_else(|| value.to_string());
    ReportStatus {
        steps: number(report.steps),
        stopped_early: report.stopped_early,
        first_loss: text(report.first_loss),
        last_loss: text(report.last_loss),
        eval_loss: report.eval_loss.map(text),
        reference_loss: report.reference_loss.map(text),
        test_loss: report.test_loss.map(text),
        general_perplexity: report
            .general_perplexity
            .map(|(base, tuned)| format!("{base:.3} before, {tuned:.3} after")),
        tokens: number(report.tokens),
        seconds: number(report.seconds),
        passed: report.gate.as_ref().map(|gate| gate.passed),
        gate: report.gate.as_ref().map(|gate| gate.reason.clone()),
    }
}

/// Whether nothing but figures of what is under way has changed: those are not written all the time.
pub fn differs_in_figures_only(before: &FineTuneJobStatus, after: &FineTuneJobStatus) -> bool {
    let without = |status: &FineTuneJobStatus| {
        let mut status = FineTuneJobStatus {
            step: None,
            total_steps: None,
            epoch: None,
            loss: None,
            eval_loss: None,
            learning_rate: None,
            tokens_per_second: None,
            eta: None,
            resource_use: None,
            checkpoint: None,
            ..status.clone()
        };
        for trial in &mut status.trials {
            trial.step = None;
            trial.metric = None;
            trial.curve.clear();
        }
        // They count what has ended.
        for condition in &mut status.conditions {
            condition.message.clear();
        }
        status
    };
    without(before) == without(after)
}

fn loss(value: f64) -> Option<String> {
    fixed(value, 4)
}

fn fixed(value: f64, digits: usize) -> Option<String> {
    value.is_finite().then(|| format!("{value:.digits$}"))
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
