//! The runs of a schedule: which one begins, which ones are not needed any more. Pure.

use api::{
    FineTuneJob, FineTuneJobStatus,
    conditions::{self, types},
    finetunejob::RunStatus,
    names::ANNOTATION_SCHEDULED,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::Timetable;
use crate::controllers::finetunejob::{
    build::Builder,
    decide::{Plan, Stage, identity, is_suspended, key_of},
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
    let active = runs.iter().find(|(_, run)| !has_ended(phase_of(run)));
    let mut active = active.map(|(_, run)| run.name_any());

    let finished = runs.iter().filter(|(_, run)| has_ended(phase_of(run)));
    for (_, run) in finished.skip(KEPT) {
        let is_published = published.is_some_and(|(_, it)| it.name_any() == run.name_any());
        plan.delete_children.extend((!is_published).then(|| identity(*run)));
    }
    let is_left = |run: &FineTuneJob| !plan.delete_children.iter().any(|(name, _)| *name == run.name_any());
    let mut rows: Vec<_> = runs
        .iter()
        .filter(|(_, run)| is_left(run))
        .map(|(scheduled, run)| row(*scheduled, run))
        .collect();

    let is_stopped = timetable.suspended || is_suspended(builder, observed);
    let after = last.max(observed.created).unwrap_or(now);
    let due = timetable
        .due(uid, after, now)
        .filter(|_| active.is_none() && !is_stopped);
    if let Some(due) = due {
        let run = builder.run(due);
        active = Some(run.name_any());
        plan.last_scheduled = Some(due);
        rows.insert(0, row(due, &run));
        plan.create.push(run);
    }
    plan.next_scheduled = match is_stopped {
        true => None,
        false => timetable.next(uid, plan.last_scheduled.unwrap_or(after), now),
    };
    plan.runs = Some(rows);
    match is_stopped && active.is_none() {
        true => Stage::Suspended,
        false => Stage::Following(active),
    }
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
        dataset_digest: status.dataset.map(|dataset| dataset.digest),
        output_digest: status.output.map(|output| output.digest),
    }
}

#[cfg(test)]
mod tests;
