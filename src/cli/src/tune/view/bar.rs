//! How far a training is: a bar.

use api::{FineTuneJob, FineTuneJobStatus, finetunejob::SweepAlgorithm};
use k8s_openapi::jiff::Timestamp;

use super::{is_at_work, is_over};
use crate::versions::duration;

/// Columns of the bar at most.
pub const WIDTH: usize = 40;
/// Columns that are left for what is said beside it.
const BESIDE: usize = 24;
/// Parts of a block, by eighths.
const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// The bar of steps, or that of trials of a sweep.
pub fn of(job: &FineTuneJob, status: &FineTuneJobStatus, now: Timestamp, width: usize) -> Option<String> {
    let columns = width.saturating_sub(BESIDE).clamp(1, WIDTH);
    if let Some((ended, all)) = ended(job, status) {
        let words = format!("{ended} of {all} trials ended");
        return Some(format!("{} · {words}", drawn(ended as f64 / all as f64, columns)));
    }
    let (step, total) = (status.step?, status.total_steps.filter(|total| *total > 0)?);
    let eta = status.eta.as_ref().map(|eta| eta.0.as_second() - now.as_second());
    let left = eta.filter(|left| *left > 0 && step < total && status.phase.is_some_and(is_at_work));
    let left = left.map(|left| format!(" · {} left", duration(left)));
    let epoch = status.epoch.as_ref().map(|epoch| format!(" · epoch {epoch}"));
    Some(format!(
        "{} · step {step} of {total}{}{}",
        drawn(step as f64 / total as f64, columns),
        epoch.unwrap_or_default(),
        left.unwrap_or_default()
    ))
}

fn drawn(share: f64, columns: usize) -> String {
    let share = share.clamp(0.0, 1.0);
    let eighths = (share * (8 * columns) as f64) as usize;
    let full = eighths / 8;
    let part = PARTS[eighths % 8];
    let rest = columns - full - usize::from(!part.is_empty());
    format!("{}{part}{} {:3.0} %", "█".repeat(full), "░".repeat(rest), 100.0 * share)
}

/// How many trials have ended, of how many there will be; nothing without a sweep.
pub fn ended(job: &FineTuneJob, status: &FineTuneJobStatus) -> Option<(usize, usize)> {
    let sweep = job.spec.sweep.as_ref()?;
    let most = usize::try_from(sweep.max_trials).unwrap_or_default();
    let all = match sweep.algorithm {
        SweepAlgorithm::Grid => {
            let sizes = sweep.space.iter().map(|it| it.values.len());
            most.min(sizes.fold(1, usize::saturating_mul))
        }
        SweepAlgorithm::Random | SweepAlgorithm::ASHA => most,
    };
    let ended = status.trials.iter().filter(|trial| is_over(trial.phase)).count();
    Some((ended, all.max(status.trials.len()).max(1)))
}
