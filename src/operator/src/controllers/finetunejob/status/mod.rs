//! What is reported: computed from what was seen and decided, written only when it says something new, and figures not
//! all the time. Pure but for the one write.

mod figures;
mod findings;
mod notices;

use api::{
    FineTuneJob, FineTuneJobStatus, conditions,
    finetunejob::{OutputStatus, Phase},
    llmmodel::EvaluationScore,
    names,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use protocol::tune::{self, TrainReport};
use serde_json::json;

use super::{
    decide::{End, Plan, Stage},
    dereference::{Observed, Progress},
    validate::{Owner, Wanted},
};
use crate::{
    cluster::{Cluster, ClusterError},
    controllers::common::trouble::Trouble,
};
pub use figures::differs_in_figures_only;
pub use notices::notices;

/// What the status is computed from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The object with its status before.
    pub job: &'a FineTuneJob,
    /// Who it is.
    pub owner: &'a Owner,
    /// What its spec asks for, where that makes sense.
    pub wanted: Option<&'a Wanted>,
    /// What exists.
    pub observed: &'a Observed,
    /// What was decided.
    pub plan: &'a Plan,
    /// Why children could not be written.
    pub failure: Option<&'a Trouble>,
}

/// The status that follows from the facts.
pub fn compute(facts: &Facts<'_>, now: &Time) -> FineTuneJobStatus {
    let Facts {
        job,
        owner,
        plan,
        observed,
        ..
    } = *facts;
    let before = job.status.clone().unwrap_or_default();
    let is_same = plan.key.is_none() || before.plan == plan.key;
    let mut after = match is_same {
        true => before.clone(),
        // Figures of another training; what it published stays until there is something newer.
        false => FineTuneJobStatus {
            output: before.output.clone(),
            runs: before.runs.clone(),
            last_scheduled: before.last_scheduled.clone(),
            ..FineTuneJobStatus::default()
        },
    };
    after.observed_generation = job.metadata.generation;
    after.plan = plan.key.clone().or(before.plan.clone());
    after.dataset = plan.dataset.clone().or(after.dataset);
    after.base = plan.base.clone().or(after.base);
    // Another Job is next once there are data.
    let has_told = before.dataset.is_none() && after.dataset.is_some();
    after.lost = plan.lost.or(after.lost.filter(|_| !has_told));
    if let Some(trials) = &plan.trials {
        after.trials.clone_from(trials);
    }
    if let Some(runs) = &plan.runs {
        after.runs.clone_from(runs);
        after.last_scheduled = plan.last_scheduled.map(Time).or(after.last_scheduled);
        after.next_scheduled = plan.next_scheduled.map(Time);
    }
    after.output = plan.output.clone().or(after.output);
    if let (Some(Progress::Train(progress)), Some(wanted), Stage::Training(_)) =
        (&observed.progress, facts.wanted, &plan.stage)
    {
        figures::note(&mut after, progress, owner, wanted, now);
    }
    end(facts, &mut after, now);
    after.phase = phase(facts, &before, &after);
    let found = findings::findings(facts, &after);
    after.conditions = conditions::merge(&before.conditions, found, job.metadata.generation, now);
    after
}

/// What is left of a training that is over; of one that is not, that it is not.
fn end(facts: &Facts<'_>, after: &mut FineTuneJobStatus, now: &Time) {
    let Stage::Ended(end) = &facts.plan.stage else {
        let is_refused = matches!(facts.plan.stage, Stage::Refused(_) | Stage::Unknown);
        if !is_refused && after.completed.take().is_some() {
            // It starts anew, with whatever is there to learn from.
            after.report = None;
            after.outcome = None;
            after.step = None;
            after.dataset.clone_from(&facts.plan.dataset);
        }
        return;
    };
    if *end == End::Known {
        return;
    }
    let claim = names::tune_claim(facts.owner.root());
    after.completed.get_or_insert_with(|| now.clone());
    after.lost = None;
    after.eta = None;
    after.tokens_per_second = None;
    after.resource_use = None;
    match end {
        End::Published(report) => {
            figures::settle(after, report);
            after.report = Some(figures::report(report));
            let base = after.base.as_ref().map(|base| base.version.clone());
            after.output = Some(output(report, &claim, base));
        }
        End::Rejected(report) => {
            figures::settle(after, report);
            after.report = Some(figures::report(report));
        }
        End::Best(_, output, report) => {
            after.output = Some((**output).clone());
            after.report = report.as_ref().map(|report| (**report).clone());
            after.eval_loss = report.as_ref().and_then(|report| report.eval_loss.clone());
        }
        End::Failed(_) => after.report = None,
        End::Unchanged | End::Known => {}
    }
    after.outcome = findings::outcome(end, after);
}

/// What was published, where.
fn output(report: &TrainReport, claim: &str, base_version: Option<String>) -> OutputStatus {
    let digits = report.digest.trim_start_matches("sha256:");
    OutputStatus {
        digest: report.digest.clone(),
        uri: format!("pvc://{claim}/outputs/{digits}"),
        kind: match report.kind {
            tune::OutputKind::Adapter => api::finetunejob::OutputKind::Adapter,
            tune::OutputKind::Weights => api::finetunejob::OutputKind::Weights,
        },
        base_version,
        evaluation: report
            .suites
            .iter()
            .take(16)
            .map(|score| EvaluationScore {
                suite: score.suite.clone(),
                score: score.score.clone(),
                questions: i32::try_from(score.questions).unwrap_or(i32::MAX),
                // It would not have been published otherwise.
                passed: true,
            })
            .collect(),
    }
}

fn phase(facts: &Facts<'_>, before: &FineTuneJobStatus, after: &FineTuneJobStatus) -> Option<Phase> {
    Some(match &facts.plan.stage {
        Stage::Unknown => return before.phase,
        // Nothing is done until the spec changes.
        Stage::Refused(_) => Phase::Failed,
        Stage::Waiting(_) | Stage::Queued => Phase::Pending,
        Stage::Preparing(_) => Phase::Preparing,
        Stage::Suspended => Phase::Suspended,
        Stage::Training(_) => match &facts.observed.progress {
            Some(Progress::Train(progress)) if progress.stage == "Evaluating" => Phase::Evaluating,
            Some(Progress::Train(progress)) if progress.stage == "Publishing" => Phase::Publishing,
            Some(Progress::Train(_)) => Phase::Training,
            // Its pod is on its way, or says nothing for a moment.
            _ => before.phase.filter(|phase| is_active(*phase)).unwrap_or(Phase::Pending),
        },
        Stage::Sweeping(..) | Stage::Following(Some(_)) => Phase::Training,
        Stage::Following(None) if before.output.is_some() => Phase::Succeeded,
        Stage::Following(None) => Phase::Pending,
        // A spec that was refused meanwhile has a phase of its own.
        Stage::Ended(_) => return after.outcome.as_ref().map(|outcome| outcome.phase).or(before.phase),
    })
}

fn is_active(phase: Phase) -> bool {
    matches!(phase, Phase::Training | Phase::Evaluating | Phase::Publishing)
}

/// Writes `status`.
///
/// # Errors
/// See [`ClusterError`].
pub async fn write(
    cluster: &Cluster,
    owner: &Owner,
    job: &FineTuneJob,
    status: &FineTuneJobStatus,
) -> Result<(), ClusterError> {
    // The uid keeps it from a successor of the same name.
    let body = json!({
        "apiVersion": format!("{}/{}", names::GROUP, names::VERSION),
        "kind": "FineTuneJob",
        "metadata": {"name": job.name_any(), "uid": owner.uid},
        "status": status,
    });
    let manager = names::FIELD_MANAGER_FINETUNEJOB;
    cluster
        .apply_status::<FineTuneJob>(manager, &owner.namespace, &owner.name, &body)
        .await
}

#[cfg(test)]
mod tests;
