//! One pass over one FineTuneJob, as a table of contents.

use std::time::Duration;

use api::FineTuneJob;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{api::ObjectMeta, runtime::controller::Action};

use super::{
    Context, apply,
    build::Builder,
    decide::{self, End, Plan, Stage},
    dereference::{self, Base, Observed},
    status::{self, Facts},
    validate::{self, Owner, Wanted},
};
use crate::controllers::{
    common::{
        apply::ApplyError,
        dereference::read,
        reconcile::{BEHIND, LOOK_AGAIN, PROGRESS, ReconcileError, SETTLED, WAITING, is_behind, settled},
    },
    llmmodel::diagnose,
};

/// Brings one FineTuneJob closer to what its spec asks for; `seen` is what its watch knows of it.
pub async fn reconcile(
    context: &Context,
    namespace: &str,
    name: &str,
    seen: &ObjectMeta,
) -> Result<Action, ReconcileError> {
    let Some(job) = read::<FineTuneJob>(&context.cluster, namespace, name).await? else {
        return Ok(Action::await_change());
    };
    if is_behind(&job.metadata, seen) {
        return Ok(Action::requeue(BEHIND));
    }
    // Everything below it goes by its owner reference.
    let Some(owner) = Owner::new(&job).filter(|_| job.metadata.deletion_timestamp.is_none()) else {
        return Ok(Action::await_change());
    };
    let observed = dereference::observe(&context.cluster, &owner, &job).await?;
    let wanted = validate::validate(&job, &context.settings);
    let now = Timestamp::now();
    let before = job.status.clone().unwrap_or_default();
    let plan = match &wanted {
        Ok(wanted) => {
            let builder = Builder {
                owner: &owner,
                wanted,
                settings: &context.settings,
            };
            decide::decide(&builder, &observed, &before, now)
        }
        Err(trouble) => Plan {
            stage: Stage::Refused(trouble.clone()),
            ..Plan::default()
        },
    };
    context.waiting.note(namespace, name, awaited(&job, &observed, &plan));
    let applied = match owner.paused {
        true => Ok(()),
        false => apply::apply(&context.cluster, &owner, &plan, &observed).await,
    };
    if let Err(ApplyError::Cluster(error)) = &applied
        && error.is_namespace_leaving()
    {
        return Ok(Action::requeue(SETTLED));
    }
    let failure = applied.as_ref().err().and_then(ApplyError::refusal);
    let facts = Facts {
        job: &job,
        owner: &owner,
        wanted: wanted.as_ref().ok(),
        observed: &observed,
        plan: &plan,
        failure: failure.as_ref(),
    };
    let after = status::compute(&facts, &Time(now));
    let key = format!("{namespace}/{name}");
    let is_quiet = status::differs_in_figures_only(&before, &after) && !context.written.may_write(&key);
    if job.status.as_ref() != Some(&after) && !is_quiet {
        let written = status::write(&context.cluster, &owner, &job, &after).await;
        written.map_err(ReconcileError::Status)?;
        context.written.wrote(&key);
        for notice in status::notices(&before, &after) {
            context.events.publish(&job, &notice).await;
        }
    }
    applied?;
    Ok(Action::requeue(next(
        &plan,
        &observed,
        wanted.as_ref().ok(),
        &before,
        now,
    )))
}

/// The LlmModel that it waits for, if it waits for one.
fn awaited(job: &FineTuneJob, observed: &Observed, plan: &Plan) -> Option<String> {
    let is_waiting = matches!(observed.base, Some(Base::Missing(_))) && !matches!(plan.stage, Stage::Ended(_));
    let tokenizer = job.spec.architecture.as_ref().map(|shape| &shape.tokenizer);
    let base = job.spec.base.as_ref().or(tokenizer)?;
    is_waiting.then(|| base.name.clone())
}

/// When to look again.
fn next(
    plan: &Plan,
    observed: &Observed,
    wanted: Option<&Wanted>,
    before: &api::FineTuneJobStatus,
    now: Timestamp,
) -> Duration {
    let settled = settled();
    let hangs = observed.pods.iter().any(diagnose::needs_events)
        || observed.jobs.iter().any(|job| diagnose::hangs(job, &observed.pods));
    match &plan.stage {
        Stage::Refused(_) | Stage::Unknown => settled,
        // The spec may have changed meanwhile.
        Stage::Ended(end) if *end != End::Known => PROGRESS,
        Stage::Ended(_) => {
            let ttl = wanted.and_then(|wanted| wanted.spec.ttl_seconds_after_finished);
            let left = ttl.zip(before.completed.as_ref()).map(|(ttl, completed)| {
                let age = now.as_second().saturating_sub(completed.0.as_second());
                i64::from(ttl).saturating_sub(age)
            });
            let left = left.and_then(|left| u64::try_from(left).ok()).filter(|left| *left > 0);
            left.map_or(settled, |left| settled.min(Duration::from_secs(left + 1)))
        }
        _ if hangs => LOOK_AGAIN,
        Stage::Waiting(_) | Stage::Queued | Stage::Suspended => WAITING,
        Stage::Following(None) => {
            let until = plan
                .next_scheduled
                .and_then(|next| Duration::try_from(next.duration_since(now)).ok());
            until.map_or(settled, |until| settled.min(until + BEHIND))
        }
        Stage::Preparing(_) | Stage::Training(_) | Stage::Sweeping(..) | Stage::Following(Some(_)) => PROGRESS,
    }
}
