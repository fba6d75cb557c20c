//! A training as text: a picture for terminals, and one line for everything else.

mod bar;
mod tables;

use api::{
    FineTuneJob, FineTuneJobStatus,
    conditions::{self, types},
    finetunejob::Phase,
};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;

use super::{
    curve,
    history::{History, Series},
    text::{bytes, cut, loss, rate, whole, wrapped},
};
use crate::text::clean;

/// Lines of the curve.
const CURVE_HEIGHT: usize = 6;
/// Columns of the curve at most.
const CURVE_WIDTH: usize = 100;
/// Lines of a message at most.
const MESSAGE_HEIGHT: usize = 6;

/// How a training ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It has published a result.
    Succeeded,
    /// It has none, and why.
    Failed(String),
}

/// How a training ended, if it did. A schedule does not end: the next run comes.
pub fn end(job: &FineTuneJob) -> Option<End> {
    match job.status.as_ref()?.phase? {
        Phase::Succeeded if job.spec.schedule.is_none() => Some(End::Succeeded),
        Phase::Failed => Some(End::Failed(trouble(job).unwrap_or_else(|| "no reason is given".into()))),
        _ => None,
    }
}

/// The picture: lines of at most `width` characters. What is long comes last: terminals end somewhere.
pub fn picture(job: &FineTuneJob, history: &History, now: Timestamp, width: usize) -> Vec<String> {
    let status = job.status.clone().unwrap_or_default();
    let mut lines = vec![title(job, &status)];
    lines.extend(bar::of(job, &status, now, width));
    lines.extend(figures(&status));
    lines.extend(facts(&status));
    lines.extend(report(&status));
    for message in [doing(job), trouble(job)].into_iter().flatten() {
        lines.extend(wrapped(&clean(&message), width, MESSAGE_HEIGHT));
    }
    if let Some(output) = &status.output {
        lines.push(format!("output: {:?} {} at {}", output.kind, output.digest, output.uri));
    }
    for (name, series) in [("loss", &history.loss), ("loss on the validation data", &history.eval)] {
        lines.extend(drawn(name, series, width));
    }
    lines.extend(tables::trials(job, &status));
    lines.extend(tables::runs(&status));
    lines.iter().map(|line| cut(&clean(line), width)).collect()
}

/// Everything in a line, without what changes by itself.
pub fn line(job: &FineTuneJob) -> String {
    let status = job.status.clone().unwrap_or_default();
    let mut parts = vec![phase(&status)];
    if let (Some(step), Some(total)) = (status.step, status.total_steps) {
        parts.push(format!("step {step} of {total}"));
    }
    parts.extend(figures(&status));
    parts.extend(bar::ended(job, &status).map(|(ended, all)| format!("{ended} of {all} trials ended")));
    parts.extend(status.output.as_ref().map(|output| format!("output {}", output.digest)));
    parts.extend([doing(job), trouble(job)].into_iter().flatten());
    clean(&parts.join(" · "))
}

fn title(job: &FineTuneJob, status: &FineTuneJobStatus) -> String {
    let base = job.spec.base.as_ref().map(|base| format!(" of {}", base.name));
    format!(
        "{}/{} · {:?}{} · {}",
        job.namespace().unwrap_or_default(),
        job.name_any(),
        job.spec.method,
        base.unwrap_or_default(),
        phase(status)
    )
}

fn phase(status: &FineTuneJobStatus) -> String {
    format!("{:?}", status.phase.unwrap_or(Phase::Pending))
}

fn figures(status: &FineTuneJobStatus) -> Option<String> {
    // Of pods that wait or have ended there is nothing to tell.
    let is_going = status.phase.is_some_and(is_at_work);
    let used = status.resource_use.as_ref().filter(|_| is_going);
    let figures = [
        status.loss.as_ref().map(|it| format!("loss {}", loss(it))),
        status.eval_loss.as_ref().map(|it| format!("validation {}", loss(it))),
        status
            .learning_rate
            .as_ref()
            .map(|it| format!("learning rate {}", rate(it))),
        status
            .tokens_per_second
            .as_ref()
            .filter(|_| is_going)
            .map(|it| format!("{} tokens/s", whole(it))),
        used.and_then(|used| used.memory)
            .map(|it| format!("memory {}", bytes(it))),
        used.and_then(|used| used.accelerator_memory)
            .map(|it| format!("accelerators {}", bytes(it))),
    ];
    let figures: Vec<_> = figures.into_iter().flatten().collect();
    (!figures.is_empty()).then(|| figures.join(" · "))
}

fn facts(status: &FineTuneJobStatus) -> Option<String> {
    let checkpoint = status.checkpoint.as_ref();
    let checkpoint = checkpoint.map(|it| format!("last checkpoint at step {}", it.step));
    let data = status.dataset.as_ref().map(|data| {
        let dropped: i64 = data.dropped.values().sum();
        format!("{} records to learn from, {dropped} dropped", data.documents)
    });
    let facts: Vec<_> = [data, checkpoint].into_iter().flatten().collect();
    (!facts.is_empty()).then(|| facts.join(" · "))
}

fn drawn(name: &str, series: &Series, width: usize) -> Vec<String> {
    let curve = curve::draw(series, width.min(CURVE_WIDTH), CURVE_HEIGHT);
    let (Some(first), Some(last), false) = (series.first(), series.last(), curve.is_empty()) else {
        return Vec::new();
    };
    let head = format!(
        "{name}: from {:.4} at step {} to {:.4} at step {}",
        first.1, first.0, last.1, last.0
    );
    [head].into_iter().chain(curve).collect()
}

/// What came of it, where something is compared.
fn report(status: &FineTuneJobStatus) -> Option<String> {
    let report = status.report.as_ref()?;
    let compared = report.reference_loss.as_deref().zip(report.eval_loss.as_deref());
    let parts = [
        Some(format!(
            "loss fell from {} to {}",
            loss(&report.first_loss),
            loss(&report.last_loss)
        ))
        .filter(|_| falls(&report.first_loss, &report.last_loss)),
        compared.map(|(other, own)| format!("validation {} where the reference has {}", loss(own), loss(other))),
        report.gate.as_ref().map(|gate| format!("gate {gate}")),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" · "))
}

fn falls(first: &str, last: &str) -> bool {
    let numbers = first.parse::<f64>().ok().zip(last.parse::<f64>().ok());
    numbers.is_some_and(|(first, last)| last < first)
}

/// What is done or waited for, where figures do not say so.
fn doing(job: &FineTuneJob) -> Option<String> {
    let status = job.status.as_ref()?;
    let is_told = status.phase.is_some_and(is_over) || (status.phase.is_some_and(is_at_work) && status.step.is_some());
    let found = conditions::find(&status.conditions, types::PROGRESSING)?;
    // What is wrong is told for itself.
    let is_plain = trouble(job).is_none() && !found.message.is_empty();
    let schedule = job.spec.schedule.is_some();
    (is_plain && (schedule || !is_told)).then(|| found.message.clone())
}

/// What is wrong.
fn trouble(job: &FineTuneJob) -> Option<String> {
    let status = job.status.as_ref()?;
    let told = |type_: &str| {
        let found = conditions::find(&status.conditions, type_)?;
        (found.status == "True" && !found.message.is_empty()).then(|| format!("{}: {}", found.reason, found.message))
    };
    told(types::FAILED)
        .or_else(|| told(types::DEGRADED))
        .map(|it| clean(&it))
}

/// Whether a phase is the last one.
pub fn is_over(phase: Phase) -> bool {
    matches!(phase, Phase::Succeeded | Phase::Failed)
}

/// Whether pods train in a phase.
pub fn is_at_work(phase: Phase) -> bool {
    matches!(phase, Phase::Training | Phase::Evaluating | Phase::Publishing)
}

#[cfg(test)]
mod tests;
