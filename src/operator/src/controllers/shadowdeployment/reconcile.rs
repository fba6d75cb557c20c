//! One pass over one ShadowDeployment, as a table of contents.

use std::time::Duration;

use api::{ShadowDeployment, names, reasons, shadowdeployment::ShadowDeploymentSpec};
use jiff::Timestamp;
use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::Time};
use kube::{ResourceExt, api::ObjectMeta, runtime::controller::Action};
use shadow::report::Fault;

use super::{
    Context, apply,
    arms::Arm,
    collect::Look,
    decide::{self, Stage},
    dereference::{self, Observed},
    evidence::Evidence,
    leave, report, route,
    status::{self, Facts},
    validate::{self, Owner, Wanted},
};
use crate::controllers::common::{
    apply::ApplyError,
    dereference::read,
    reconcile::{BEHIND, PROGRESS, ReconcileError, SETTLED, WAITING, is_behind, settled},
    trouble::Trouble,
};

/// Brings one ShadowDeployment closer to its verdict; `seen` is what its watch knows of it.
pub async fn reconcile(
    context: &Context,
    namespace: &str,
    name: &str,
    seen: &ObjectMeta,
) -> Result<Action, ReconcileError> {
    let Some(shadow) = read::<ShadowDeployment>(&context.cluster, namespace, name).await? else {
        return Ok(Action::await_change());
    };
    if is_behind(&shadow.metadata, seen) {
        return Ok(Action::requeue(BEHIND));
    }
    let Some(owner) = Owner::new(&shadow) else {
        return Ok(Action::await_change());
    };
    if shadow.metadata.deletion_timestamp.is_some() {
        return leave::leave(context, &shadow, &owner).await;
    }
    // Before there is anything that would be left behind.
    if context.settings.collects && !owner.paused {
        leave::hold(&context.cluster, &shadow, &owner).await?;
    }
    // Noted before they are read: what changes later is for the next pass.
    context.references.note(namespace, name, &shadow.spec);
    let mut observed = dereference::observe(&context.cluster, &owner, &shadow).await?;
    let wanted = validate::validate(&shadow, &context.settings);
    let before = shadow.status.clone().unwrap_or_default();
    let now = Timestamp::now();
    let look = match &wanted {
        Ok(wanted) if !owner.paused && before.verdict.is_none() => {
            let started = before.started.as_ref().map(|started| started.0);
            match started {
                Some(_) => Some(context.runs.look(&context.pairs, &owner, wanted, started, now).await),
                None => None,
            }
        }
        _ => None,
    };
    let evidence = look.as_ref().and_then(|look| look.evidence.as_ref());
    let stage = decide::decide(&decide::Facts {
        wanted: wanted.as_ref(),
        observed: &observed,
        evidence,
        silence: look.as_ref().and_then(|look| look.silence.as_deref()),
        before: &before,
    });
    let built = wanted
        .as_ref()
        .ok()
        .filter(|_| !owner.paused)
        .and_then(|wanted| evidence_report(&owner, wanted, &stage, evidence?, &shadow, &observed));
    let (report, fault) = match built.transpose() {
        Ok(report) => (report, None),
        Err(fault) => {
            tracing::error!(namespace, name, %fault, "a report contradicts itself: this is a defect of the operator");
            let message = format!("the report contradicts itself, which is a defect of the operator: {fault}");
            (None, Some(Trouble::new(reasons::INVALID_SPEC, message)))
        }
    };
    let mut applied = match &report {
        Some(report) => apply::report(&context.cluster, &owner, report, &observed).await,
        None => Ok(()),
    };
    if let (Ok(()), Some(report)) = (&applied, &report) {
        // Before the verdict is told: afterwards nobody comes back to it.
        tell(context, &owner, report).await?;
    }
    // Once the status says that there may be a route: it is looked for from then on, whatever the spec asks.
    if applied.is_ok() && wanted.is_ok() && !owner.paused && route::is_told(Some(&before)) {
        applied = lead(context, &owner, &shadow.spec, &stage, &mut observed).await;
    }
    if let Err(ApplyError::Cluster(error)) = &applied
        && error.is_namespace_leaving()
    {
        return Ok(Action::requeue(SETTLED));
    }
    let failure = fault.or_else(|| applied.as_ref().err().and_then(ApplyError::refusal));
    let report = report.filter(|_| applied.is_ok()).map(|report| report.name_any());
    let facts = Facts {
        shadow: &shadow,
        observed: &observed,
        owner: &owner,
        stage: &stage,
        evidence,
        report: report.as_deref(),
        failure: failure.as_ref(),
    };
    let after = status::compute(&facts, &Time(now));
    let written = status::write(&context.cluster, &owner, &shadow, &after).await;
    if written.map_err(ReconcileError::Status)? {
        for notice in status::notices(&before, &after) {
            context.events.publish(&shadow, &notice).await;
        }
    }
    applied?;
    if after.verdict.is_some() {
        context.runs.forget(&owner);
    }
    let next = next(&stage, &owner, look.as_ref());
    Ok(Action::requeue(
        route::look_in(&before, &after).map_or(next, |look| look.min(next)),
    ))
}

/// Leaves the report with the gateway, which shows it to people with the words of pairs where these are kept.
async fn tell(context: &Context, owner: &Owner, report: &ConfigMap) -> Result<(), ReconcileError> {
    let text = report.data.as_ref().and_then(|data| data.get(names::REPORT_KEY));
    let Some(text) = text else { return Ok(()) };
    let Owner {
        namespace, name, uid, ..
    } = owner;
    let kept = context.pairs.keep_report(namespace, name, uid, text).await;
    if !kept.map_err(ReconcileError::Report)? {
        tracing::info!(
            namespace,
            name,
            "the gateway keeps no report of a comparison; its ConfigMap has it"
        );
    }
    Ok(())
}

/// Leads requests to the models beside Atelier's gateway, where the spec asks for it.
async fn lead(
    context: &Context,
    owner: &Owner,
    spec: &ShadowDeploymentSpec,
    stage: &Stage,
    observed: &mut Observed,
) -> Result<(), ApplyError> {
    let arms = match stage {
        Stage::Comparing(arms, None) => Some(arms),
        _ => None,
    };
    match route::build(owner, spec, observed, arms) {
        Ok(way) => apply::way(&context.cluster, owner, way.as_ref(), observed).await,
        Err(trouble) => {
            observed.routes.trouble = Some(trouble);
            Ok(())
        }
    }
}

/// The report, when there is a verdict.
pub(super) fn evidence_report(
    owner: &Owner,
    wanted: &Wanted,
    stage: &Stage,
    evidence: &Evidence,
    shadow: &ShadowDeployment,
    observed: &Observed,
) -> Option<Result<ConfigMap, Fault>> {
    let Stage::Decided(outcome) = stage else {
        return None;
    };
    let spec = &wanted.spec;
    let digest = |model: &str, version: &str| {
        let models = [&observed.model, &observed.other].into_iter().flatten();
        let status = models
            .filter(|it| it.name_any() == model)
            .find_map(|it| it.status.as_ref())?;
        let mut versions = status.versions.iter();
        versions.find(|it| it.name == version)?.digest.clone()
    };
    let arm = |model: &str, version: &Option<String>| {
        let version = version.clone().unwrap_or_else(|| "unknown".into());
        Arm {
            weights: digest(model, &version),
            model: model.into(),
            version,
        }
    };
    let (primary, candidate) = &outcome.versions;
    let other = spec.candidate.model.as_ref().unwrap_or(&spec.model.name);
    let started = shadow.status.as_ref().and_then(|status| status.started.as_ref());
    let started = started.map_or_else(String::new, |started| started.0.to_string());
    Some(report::build(&report::Source {
        owner,
        wanted,
        evidence,
        outcome,
        arms: (&arm(&spec.model.name, primary), &arm(other, candidate)),
        started: &started,
    }))
}

/// When to look again.
fn next(stage: &Stage, owner: &Owner, look: Option<&Look>) -> Duration {
    match stage {
        _ if owner.paused => settled(),
        _ if look.is_some_and(|look| look.more) => Duration::ZERO,
        Stage::Comparing(..) => PROGRESS,
        Stage::Waiting(_) => WAITING,
        // Watches tell of another spec, and of models that change.
        Stage::Refused(_) | Stage::Decided(_) | Stage::Over => settled(),
    }
}
