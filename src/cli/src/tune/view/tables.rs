//! Trials of a sweep and runs of a schedule.

use api::{
    FineTuneJob, FineTuneJobStatus,
    finetunejob::{Phase, TrialStatus},
};

use super::is_over;
use crate::{tune::text::loss, versions::aligned};

/// Trials and runs that are shown.
const ROWS: usize = 20;
const NONE: &str = "-";

/// The trials: those under way and the best ones, where there are many.
pub fn trials(job: &FineTuneJob, status: &FineTuneJobStatus) -> Vec<String> {
    let metric = job.spec.sweep.as_ref().map_or("metric", |sweep| sweep.metric.as_str());
    let head = ["TRIAL", "PHASE", "STEP", metric, "SETTINGS"].map(String::from);
    let mut ranked: Vec<_> = status.trials.iter().collect();
    // The best is the one with the least loss, or with the highest score. Those without a value come last.
    let rank = |trial: &TrialStatus| {
        let value = trial.metric.as_ref().and_then(|text| text.parse::<f64>().ok());
        let value = value.filter(|value| value.is_finite());
        value.map_or(f64::INFINITY, |value| if metric == "evalLoss" { value } else { -value })
    };
    ranked.sort_by(|one, other| rank(one).total_cmp(&rank(other)));
    let best = ranked
        .iter()
        .find(|it| it.phase == Phase::Succeeded && rank(it).is_finite());
    let best = best.map(|it| it.name.clone());
    ranked.sort_by_key(|trial| is_over(trial.phase));
    let shown: Vec<_> = ranked.iter().take(ROWS).map(|it| &it.name).collect();
    let row = |trial: &TrialStatus| {
        let settings = trial.settings.iter().map(|(name, value)| format!("{name}={value}"));
        let mark = if best.as_ref() == Some(&trial.name) { " *" } else { "" };
        let metric = trial.metric.as_deref().map_or_else(|| NONE.into(), loss);
        [
            trial.name.clone(),
            phase(trial.phase, trial.reason.as_deref()),
            trial.step.map_or_else(|| NONE.into(), |step| step.to_string()),
            format!("{metric}{mark}"),
            settings.collect::<Vec<_>>().join(" "),
        ]
    };
    let rows = status.trials.iter().filter(|trial| shown.contains(&&trial.name));
    table(head, rows.map(row).collect(), status.trials.len())
}

/// The runs, newest first.
pub fn runs(status: &FineTuneJobStatus) -> Vec<String> {
    let head = ["RUN", "PHASE", "DUE", "OUTPUT"].map(String::from);
    let rows = status.runs.iter().take(ROWS).map(|run| {
        let due = run.scheduled.as_ref().map(|time| format!("{:.0}", time.0));
        let output = run.output_digest.as_ref();
        [
            run.name.clone(),
            phase(run.phase, run.reason.as_deref()),
            due.unwrap_or_else(|| NONE.into()),
            output.map_or_else(|| NONE.into(), |digest| digest.chars().take(19).collect()),
        ]
    });
    table(head, rows.collect(), status.runs.len())
}

/// A phase, with the reason where it alone says too little.
fn phase(phase: Phase, reason: Option<&str>) -> String {
    match reason.filter(|reason| is_over(phase) && *reason != "Published") {
        Some(reason) => format!("{phase:?} ({reason})"),
        None => format!("{phase:?}"),
    }
}

fn table<const N: usize>(head: [String; N], mut rows: Vec<[String; N]>, all: usize) -> Vec<String> {
    if rows.is_empty() {
        return Vec::new();
    }
    let more = all.saturating_sub(rows.len());
    rows.insert(0, head);
    let mut lines: Vec<_> = aligned(&rows).lines().map(String::from).collect();
    lines.extend((more > 0).then(|| format!("and {more} more")));
    lines
}
