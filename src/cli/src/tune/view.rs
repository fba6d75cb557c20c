//! A training as text: a picture for terminals, and one line for everything else.

use api::{
    FineTuneJob, FineTuneJobStatus,
    conditions::{self, types},
    finetunejob::{Phase, TrialStatus},
};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;

use super::{
    curve,
    history::{History, Series},
    text::{bytes, clean, cut, loss, rate, whole},
};
use crate::versions::{aligned, duration};

/// Lines of the curve.
const CURVE_HEIGHT: usize = 6;
/// Columns of the curve at most.
const CURVE_WIDTH: usize = 100;
/// Columns of the bar at most.
const BAR_WIDTH: usize = 40;
/// Trials and runs that are shown.
const ROWS: usize = 20;
/// Parts of a block, by eighths.
const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
const NONE: &str = "-";

/// How a training ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It has published a result.
    Succeeded,
    /// It has none, and why.
    Failed(String),
}

/// How a training ended, if it did.
pub fn end(job: &FineTuneJob) -> Option<End> {
    match job.status.as_ref()?.phase? {
        Phase::Succeeded => Some(End::Succeeded),
        Phase::Failed => Some(End::Failed(message(job).unwrap_or_else(|| "no reason is given".into()))),
        _ => None,
    }
}

/// The picture: lines of at most `width` characters.
pub fn picture(job: &FineTuneJob, history: &History, now: Timestamp, width: usize) -> Vec<String> {
    let status = job.status.clone().unwrap_or_default();
    let mut lines = vec![title(job, &status)];
    lines.extend(bar(&status, now));
    lines.extend(figures(&status));
    lines.extend(facts(&status));
    for (name, series) in [("loss", &history.loss), ("loss on the validation data", &history.eval)] {
        lines.extend(drawn(name, series, width));
    }
    lines.extend(trials(job, &status));
    lines.extend(runs(&status));
    if let Some(output) = &status.output {
        lines.push(format!("output: {:?} {} at {}", output.kind, output.digest, output.uri));
    }
    lines.extend(message(job));
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
    let ended = status.trials.iter().filter(|trial| is_over(trial.phase)).count();
    if !status.trials.is_empty() {
        parts.push(format!("{ended} of {} trials ended", status.trials.len()));
    }
    parts.extend(status.output.as_ref().map(|output| format!("output {}", output.digest)));
    parts.extend(message(job));
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

fn bar(status: &FineTuneJobStatus, now: Timestamp) -> Option<String> {
    let (step, total) = (status.step?, status.total_steps.filter(|total| *total > 0)?);
    let share = (step as f64 / total as f64).clamp(0.0, 1.0);
    let eighths = (share * (8 * BAR_WIDTH) as f64) as usize;
    let full = eighths / 8;
    let part = PARTS[eighths % 8];
    let rest = BAR_WIDTH - full - usize::from(!part.is_empty());
    let bar = format!("{}{part}{}", "█".repeat(full), "░".repeat(rest));
    let eta = status.eta.as_ref().map(|eta| eta.0.as_second() - now.as_second());
    let left = eta.filter(|left| *left > 0 && step < total);
    let left = left.map(|left| format!(" · {} left", duration(left)));
    let epoch = status.epoch.as_ref().map(|epoch| format!(" · epoch {epoch}"));
    Some(format!(
        "{bar} {:3.0} % · step {step} of {total}{}{}",
        100.0 * share,
        epoch.unwrap_or_default(),
        left.unwrap_or_default()
    ))
}

fn figures(status: &FineTuneJobStatus) -> Option<String> {
    let used = status.resource_use.as_ref();
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

fn trials(job: &FineTuneJob, status: &FineTuneJobStatus) -> Vec<String> {
    let metric = job.spec.sweep.as_ref().map_or("metric", |sweep| sweep.metric.as_str());
    let head = ["TRIAL", "PHASE", "STEP", metric, "SETTINGS"].map(String::from);
    let row = |trial: &TrialStatus| {
        let settings = trial.settings.iter().map(|(name, value)| format!("{name}={value}"));
        [
            trial.name.clone(),
            format!("{:?}", trial.phase),
            trial.step.map_or_else(|| NONE.into(), |step| step.to_string()),
            trial.metric.as_deref().map_or_else(|| NONE.into(), loss),
            settings.collect::<Vec<_>>().join(" "),
        ]
    };
    table(head, status.trials.iter().map(row).collect())
}

fn runs(status: &FineTuneJobStatus) -> Vec<String> {
    let head = ["RUN", "PHASE", "DUE", "OUTPUT"].map(String::from);
    let rows = status.runs.iter().map(|run| {
        let due = run.scheduled.as_ref().map(|time| format!("{:.0}", time.0));
        let output = run.output_digest.as_ref();
        [
            run.name.clone(),
            format!("{:?}", run.phase),
            due.unwrap_or_else(|| NONE.into()),
            output.map_or_else(|| NONE.into(), |digest| digest.chars().take(19).collect()),
        ]
    });
    table(head, rows.collect())
}

fn table<const N: usize>(head: [String; N], mut rows: Vec<[String; N]>) -> Vec<String> {
    if rows.is_empty() {
        return Vec::new();
    }
    let more = rows.len().saturating_sub(ROWS);
    rows.truncate(ROWS);
    rows.insert(0, head);
    let mut lines: Vec<_> = aligned(&rows).lines().map(String::from).collect();
    lines.extend((more > 0).then(|| format!("and {more} more")));
    lines
}

/// What is wrong, or what it waits for.
fn message(job: &FineTuneJob) -> Option<String> {
    let status = job.status.as_ref()?;
    let told = |type_: &str| {
        let found = conditions::find(&status.conditions, type_)?;
        (found.status == "True" && !found.message.is_empty()).then(|| format!("{}: {}", found.reason, found.message))
    };
    told(types::FAILED)
        .or_else(|| told(types::DEGRADED))
        .map(|it| clean(&it))
}

fn is_over(phase: Phase) -> bool {
    matches!(phase, Phase::Succeeded | Phase::Failed)
}

#[cfg(test)]
mod tests;
