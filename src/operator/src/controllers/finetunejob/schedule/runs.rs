//! The runs of a schedule: which one begins, which ones are not needed any more. Pure.

use api::{
    FineTuneJob, FineTuneJobStatus,
    conditions::{self, types},
    finetunejob::{ConcurrencyPolicy, RunStatus},
    names::ANNOTATION_SCHEDULED,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::Timetable;
use crate::controllers::finetunejob::{
    build::Builder,
    decide::{Plan, Stage, begun, identity, is_suspended, key_of},
    dereference::Observed,
    sweep::{has_ended, phase_of},
};

/// Finished runs that are kept, beside the last one that published something.
const KEPT: usize = 10;

/// What is to be done for a schedule.
pub fn decide(
    builder: &Builder<'_>,
    observed: &Observed,
    status: &FineTuneJobStatus,
    now: Timestamp,
    timetable: &Timetable,
    plan: &mut Plan,
) -> Stage {
    let uid = &builder.owner.uid;
    let mut runs: Vec<(Timestamp, &FineTuneJob)> = observed
        .children
        .iter()
        .filter_map(|child| Some((scheduled(child)?, child)))
        .collect();
    runs.sort_by_key(|(scheduled, _)| std::cmp::Reverse(*scheduled));
    let last = runs.first().map(|(scheduled, _)| *scheduled);
    let last = last.max(status.last_scheduled.as_ref().map(|time| time.0));
    plan.last_scheduled = last;
    let published = runs.iter().find(|(_, run)| output_of(run).is_some());
    plan.output = published.and_then(|(_, run)| output_of(run)).cloned();
    let (idle, active) = under_way(builder, &runs);
    plan.delete_children.extend(idle.iter().map(|run| identity(*run)));
    let mut newest = active.first().map(|run| run.name_any());

    let finished = runs.iter().filter(|(_, run)| has_ended(phase_of(run)));
    for (_, run) in finished.skip(KEPT) {
        let is_published = published.is_some_and(|(_, it)| it.name_any() == run.name_any());
        plan.delete_children.extend((!is_published).then(|| identity(*run)));
    }
    let is_stopped = timetable.suspended || is_suspended(builder, observed);
    let after = last.max(observed.created).unwrap_or(now);
    // One that never began is made anew as the spec is now, whatever the time.
    let anew = || {
        this_minute(now)
            .filter(|_| !idle.is_empty())
            .filter(|time| last.is_none_or(|last| *time > last))
    };
    let due = timetable.due(uid, after, now).or_else(anew);
    let due = due.filter(|_| !is_stopped && timetable.has_room(active.len()));
    if due.is_some() && timetable.policy == ConcurrencyPolicy::Replace {
        plan.delete_children.extend(active.iter().map(|run| identity(*run)));
    }
    let is_left = |run: &FineTuneJob| !plan.delete_children.iter().any(|(name, _)| *name == run.name_any());
    let mut rows: Vec<_> = runs
        .iter()
        .filter(|(_, run)| is_left(run))
        .map(|(scheduled, run)| row(*scheduled, run))
        .collect();
    if let Some(due) = due {
        let run = builder.run(due);
        newest = Some(run.name_any());
        plan.last_scheduled = Some(due);
        rows.insert(0, row(due, &run));
        plan.create.push(run);
    }
    plan.next_scheduled = match is_stopped {
        true => None,
        false => timetable.next(uid, plan.last_scheduled.unwrap_or(after), now),
    };
    plan.runs = Some(rows);
    match is_stopped && newest.is_none() {
        true => Stage::Suspended,
        false => Stage::Following(newest),
    }
}

/// Runs that have not begun and are of an earlier spec, and all others that have not ended.
fn under_way<'a>(
    builder: &Builder<'_>,
    runs: &[(Timestamp, &'a FineTuneJob)],
) -> (Vec<&'a FineTuneJob>, Vec<&'a FineTuneJob>) {
    let is_outdated = |run: &FineTuneJob| key_of(run) != Some(&builder.wanted.key) || !begun::is_of_shape(builder, run);
    let unfinished = runs.iter().map(|(_, run)| *run).filter(|run| !has_ended(phase_of(run)));
    unfinished.partition(|run| begun::is_idle(run) && is_outdated(run))
}

/// Runs are told apart by minutes.
fn this_minute(now: Timestamp) -> Option<Timestamp> {
    let second = now.as_second();
    Timestamp::from_second(second - second.rem_euclid(60)).ok()
}

fn scheduled(child: &FineTuneJob) -> Option<Timestamp> {
    child.annotations().get(ANNOTATION_SCHEDULED)?.parse().ok()
}

fn output_of(child: &FineTuneJob) -> Option<&api::finetunejob::OutputStatus> {
    child.status.as_ref()?.output.as_ref()
}

fn row(scheduled: Timestamp, run: &FineTuneJob) -> RunStatus {
    let status = run.status.clone().unwrap_or_default();
    let phase = phase_of(run);
    RunStatus {
        name: run.name_any(),
        scheduled: Some(Time(scheduled)),
        phase,
        reason: conditions::find(&status.conditions, types::COMPLETE)
            .filter(|_| has_ended(phase))
            .map(|condition| condition.reason.clone()),
        plan: key_of(run).cloned(),
        base_digest: status.base.map(|base| base.digest),
        dataset_digest: status.dataset.map(|dataset| dataset.digest),
        output_digest: status.output.map(|output| output.digest),
    }
}

#[cfg(test)]
mod tests;
