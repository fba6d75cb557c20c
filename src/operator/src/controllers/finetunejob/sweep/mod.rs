//! The search for the best settings: a FineTuneJob for each trial, all on the data of their parent. Pure.

mod median;
mod schema;
mod space;

use api::{
    FineTuneJob, FineTuneJobStatus,
    conditions::{self, types},
    finetunejob::{OutputStatus, Phase, ReportStatus, Sweep, SweepAlgorithm, TrialStatus},
    names, reasons,
};
use jiff::Timestamp;

use super::{
    build::Builder,
    decide::{self, End, Plan, Stage, begun, identity, key_of},
    dereference::Observed,
    validate::EVAL_LOSS,
};
use crate::controllers::common::trouble::Trouble;
pub use space::{Candidate, candidates, settled};

/// What is to be done for a sweep.
pub fn decide(
    builder: &Builder<'_>,
    observed: &Observed,
    status: &FineTuneJobStatus,
    now: Timestamp,
    candidates: &[Candidate],
    plan: &mut Plan,
) -> Stage {
    let wanted = builder.wanted;
    if let Some(known) = decide::finished(builder, observed, status, now, plan) {
        return known;
    }
    let others = observed
        .children
        .iter()
        .filter(|child| key_of(*child) != Some(&wanted.key));
    let others: Vec<_> = others.collect();
    if !others.is_empty() {
        // Trials of an earlier spec end first; those that have not begun may never do.
        let is_idle = |child: &&FineTuneJob| begun::is_idle(child);
        let (idle, begun): (Vec<_>, Vec<_>) = others.into_iter().partition(is_idle);
        let (ended, running): (Vec<_>, Vec<_>) = begun.into_iter().partition(|child| has_ended(phase_of(child)));
        plan.delete_children.extend(idle.into_iter().map(identity));
        if running.is_empty() {
            plan.delete_children.extend(ended.into_iter().map(identity));
        }
        return Stage::Sweeping(0, candidates.len());
    }
    if decide::forget_others(builder, observed, plan) || begun::forget_idle(builder, observed, status, plan) {
        return Stage::Preparing(None);
    }
    let suspend = decide::is_suspended(builder, observed);
    match decide::data(builder, observed, status, suspend, plan) {
        Ok(dataset) => plan.dataset = Some(dataset),
        Err(stage) => return stage,
    }
    let known: &[TrialStatus] = if status.plan == plan.key { &status.trials } else { &[] };
    let trials = trials(builder, observed, known, candidates, suspend, plan);
    let ended = trials.iter().filter(|trial| has_ended(trial.phase)).count();
    plan.trials = Some(trials);
    match ended == candidates.len() {
        true => best(builder, observed, plan.trials.as_deref().unwrap_or_default()),
        false if suspend => Stage::Suspended,
        false => Stage::Sweeping(ended, candidates.len()),
    }
}

/// The rows of all trials that have begun; the next ones begin while there is room.
fn trials(
    builder: &Builder<'_>,
    observed: &Observed,
    known: &[TrialStatus],
    candidates: &[Candidate],
    suspend: bool,
    plan: &mut Plan,
) -> Vec<TrialStatus> {
    let Some(sweep) = &builder.wanted.spec.sweep else {
        return Vec::new();
    };
    let mut rows: Vec<(usize, TrialStatus)> = Vec::new();
    for (number, settings) in (1..).zip(candidates) {
        let name = names::trial(&builder.owner.name, number);
        let before = known.iter().find(|trial| trial.name == name);
        let child = observed.child(&name);
        match (before, child) {
            (Some(before), Some(child)) if before.reason.as_deref() == Some(reasons::STOPPED) => {
                plan.delete_children.push(identity(child));
                rows.push((number, before.clone()));
            }
            // It would wait for what its spec has no more: it begins again.
            (_, Some(child)) if begun::is_idle(child) && !begun::is_of_shape(builder, child) => {
                plan.delete_children.push(identity(child));
                rows.push((number, row(before, child, settings, sweep)));
            }
            (_, Some(child)) => rows.push((number, row(before, child, settings, sweep))),
            // It was stopped, or somebody deleted it after its end.
            (Some(before), None) if has_ended(before.phase) => rows.push((number, before.clone())),
            // Somebody deleted it before: it begins again.
            (Some(before), None) => {
                let again = TrialStatus {
                    phase: Phase::Pending,
                    ..before.clone()
                };
                rows.push((number, again));
                plan.create.extend(builder.trial(number, settings));
            }
            (None, None) => {}
        }
    }
    if stops_poor(sweep) {
        stop_poor(&mut rows);
    }
    let most = usize::try_from(sweep.parallel_trials).unwrap_or(1);
    for (number, settings) in (1..).zip(candidates).filter(|_| !suspend) {
        let active = rows.iter().filter(|(_, row)| !has_ended(row.phase)).count();
        if active >= most {
            break;
        }
        if rows.iter().any(|(begun, _)| *begun == number) {
            continue;
        }
        plan.create.extend(builder.trial(number, settings));
        let begun = TrialStatus {
            name: names::trial(&builder.owner.name, number),
            phase: Phase::Pending,
            settings: settings.clone(),
            metric: None,
            step: None,
            reason: None,
            curve: Vec::new(),
        };
        rows.push((number, begun));
    }
    rows.sort_by_key(|(number, _)| *number);
    rows.into_iter().map(|(_, row)| row).collect()
}

/// Whether trials are compared on their way, which validation allows by the validation loss only.
fn stops_poor(sweep: &Sweep) -> bool {
    sweep.stop_poor.unwrap_or(sweep.algorithm == SweepAlgorithm::ASHA)
}

/// Marks trials that are not worth going on with. They are deleted once the status says so: without its row, a deleted
/// trial would begin again.
fn stop_poor(rows: &mut [(usize, TrialStatus)]) {
    let all: Vec<_> = rows.iter().map(|(_, row)| row.clone()).collect();
    for (index, (_, row)) in rows
        .iter_mut()
        .enumerate()
        .filter(|(_, (_, row))| !has_ended(row.phase))
    {
        let others: Vec<_> = all
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index)
            .map(|(_, it)| it)
            .collect();
        if median::is_poor(row, &others) {
            row.phase = Phase::Failed;
            row.reason = Some(reasons::STOPPED.into());
        }
    }
}

/// What a trial does.
fn row(before: Option<&TrialStatus>, child: &FineTuneJob, settings: &Candidate, sweep: &Sweep) -> TrialStatus {
    let status = child.status.clone().unwrap_or_default();
    let mut curve = before.map(|before| before.curve.clone()).unwrap_or_default();
    if let (Some(step), Some(loss)) = (status.step, &status.eval_loss)
        && stops_poor(sweep)
    {
        median::note(&mut curve, step, loss, median::points(sweep.max_trials));
    }
    let found = match sweep.metric.as_str() {
        EVAL_LOSS => status.eval_loss.clone(),
        suite => status.output.as_ref().and_then(|output| {
            let scores = output.evaluation.iter().find(|score| score.suite == suite);
            scores.map(|score| score.score.clone())
        }),
    };
    TrialStatus {
        name: child.metadata.name.clone().unwrap_or_default(),
        phase: phase_of(child),
        settings: settings.clone(),
        metric: found.or_else(|| before.and_then(|before| before.metric.clone())),
        step: status.step,
        reason: conditions::find(&status.conditions, types::COMPLETE)
            .filter(|_| has_ended(phase_of(child)))
            .map(|condition| condition.reason.clone()),
        curve,
    }
}

/// The trial that is published.
fn best(builder: &Builder<'_>, observed: &Observed, trials: &[TrialStatus]) -> Stage {
    let is_loss = builder
        .wanted
        .spec
        .sweep
        .as_ref()
        .is_some_and(|sweep| sweep.metric == EVAL_LOSS);
    let published = trials.iter().filter_map(|trial| {
        let status = observed.child(&trial.name)?.status.as_ref()?;
        let output = status.output.clone().filter(|_| trial.phase == Phase::Succeeded)?;
        let value: f64 = trial.metric.as_ref()?.parse().ok()?;
        let rank = if is_loss { value } else { -value };
        Some((rank, trial.name.clone(), output, status.report.clone()))
    });
    let best = published.min_by(|left, right| left.0.total_cmp(&right.0));
    if let Some((_, name, output, report)) = best {
        return ended(name, output, report);
    }
    let why = trials.iter().take(5).map(|trial| {
        let reason = trial.reason.as_deref().unwrap_or("no value of the metric");
        format!("{}: {reason}", trial.name)
    });
    let why: Vec<_> = why.collect();
    let message = format!(
        "none of the {} trials has published anything with a value of spec.sweep.metric ({}); `kubectl describe ftj` of \
         a trial tells more",
        trials.len(),
        why.join(", ")
    );
    Stage::Ended(End::Failed(Trouble::new(reasons::NO_TRIAL_PASSED, message)))
}

fn ended(name: String, output: OutputStatus, report: Option<ReportStatus>) -> Stage {
    Stage::Ended(End::Best(name, Box::new(output), report.map(Box::new)))
}

/// Where a child is on its way.
pub fn phase_of(child: &FineTuneJob) -> Phase {
    let phase = child.status.as_ref().and_then(|status| status.phase);
    phase.unwrap_or(Phase::Pending)
}

/// Whether a phase is the last one.
pub fn has_ended(phase: Phase) -> bool {
    matches!(phase, Phase::Succeeded | Phase::Failed)
}

#[cfg(test)]
mod tests;
