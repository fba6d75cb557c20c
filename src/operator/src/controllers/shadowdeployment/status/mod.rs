//! What is reported: computed from what was seen and decided, and written only when it says something new. Pure but for
//! the one write.

mod findings;

use api::{
    ShadowDeployment, ShadowDeploymentStatus, conditions,
    conditions::types,
    names, reasons,
    shadowdeployment::{Interval, MetricStatus},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt;
use serde_json::json;

use super::{
    decide::{Stage, decimal, percent},
    dereference::Observed,
    evidence::{Evidence, Found},
    validate::Owner,
};
use crate::{
    cluster::{Cluster, ClusterError},
    controllers::common::{notices::transitions, trouble::Trouble},
    events::Notice,
};

/// What the status is computed from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The object with its status before.
    pub shadow: &'a ShadowDeployment,
    /// What exists.
    pub observed: &'a Observed,
    /// Who it is.
    pub owner: &'a Owner,
    /// How far it is.
    pub stage: &'a Stage,
    /// What all pairs say, where all have been read.
    pub evidence: Option<&'a Evidence>,
    /// Name of the report, once it is written.
    pub report: Option<&'a str>,
    /// Why the report could not be written.
    pub failure: Option<&'a Trouble>,
}

/// The status that follows from the facts.
pub fn compute(facts: &Facts<'_>, now: &Time) -> ShadowDeploymentStatus {
    let before = facts.shadow.status.clone().unwrap_or_default();
    let mut after = before.clone();
    let generation = facts.shadow.metadata.generation;
    after.observed_generation = generation;
    if let (Stage::Comparing(arms, _), None, false) = (facts.stage, &before.started, facts.owner.paused) {
        // Whole seconds, as the API server keeps them.
        let now = Timestamp::from_second(now.0.as_second()).unwrap_or(now.0);
        after.started = Some(Time(now));
        after.primary_version = Some(arms.primary.version.clone());
        after.candidate_version = Some(arms.candidate.version.clone());
    }
    if let (Some(evidence), Stage::Comparing(..) | Stage::Waiting(_) | Stage::Decided(_)) =
        (facts.evidence, facts.stage)
    {
        measured(&mut after, evidence);
    }
    // What nobody can look up is not said yet.
    if let (Stage::Decided(outcome), Some(report)) = (facts.stage, facts.report) {
        after.verdict = Some(outcome.verdict);
        after.reason = Some(outcome.reason.clone());
        after.report = Some(report.to_owned());
    }
    let found = findings::findings(facts, &before, &after);
    after.conditions = conditions::merge(&before.conditions, found, generation, now);
    after
}

fn measured(status: &mut ShadowDeploymentStatus, evidence: &Evidence) {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    status.pairs = Some(number(evidence.pairs));
    status.dropped = Some(number(evidence.dropped()));
    status.metrics = evidence.metrics.iter().map(row).collect();
    let primary = evidence.metrics.first();
    status.smallest_detectable_difference = primary.and_then(|found| found.detectable_share).map(percent);
    status.baseline = primary.and_then(|found| found.baseline).map(decimal);
}

fn row(found: &Found) -> MetricStatus {
    MetricStatus {
        metric: found.metric,
        primary: found.primary.map(decimal),
        candidate: found.candidate.map(decimal),
        difference: found.difference.map(decimal),
        interval: found.interval.map(|interval| Interval {
            low: decimal(interval.low),
            high: decimal(interval.high),
        }),
        verdict: found.verdict,
    }
}

/// What is worth telling about the change from one status to the next.
pub fn notices(before: &ShadowDeploymentStatus, after: &ShadowDeploymentStatus) -> Vec<Notice> {
    let types = [
        (types::COMPLETE, "Decide"),
        (types::READY, "Compare"),
        (types::DEGRADED, "Compare"),
        (types::PAUSED, "Pause"),
        (types::ROUTE_ACCEPTED, "Route"),
    ];
    let quiet = [
        reasons::AS_EXPECTED,
        reasons::DECIDED,
        reasons::FORGETTING,
        reasons::ROUTE_PENDING,
    ];
    let is_warning = |told: &Condition| {
        let is_on_the_way =
            [reasons::MODEL_NOT_READY, reasons::COMPARING, reasons::PAUSED].contains(&told.reason.as_str());
        (told.type_ == types::DEGRADED && told.status == "True")
            || (told.type_ == types::ROUTE_ACCEPTED && told.status == "False")
            || (told.type_ == types::READY && told.status == "False" && !is_on_the_way)
    };
    transitions(&before.conditions, &after.conditions, &types, &quiet, is_warning)
}

/// Writes `status` if it differs from what is there; says whether it did.
///
/// # Errors
/// See [`ClusterError`].
pub async fn write(
    cluster: &Cluster,
    owner: &Owner,
    shadow: &ShadowDeployment,
    status: &ShadowDeploymentStatus,
) -> Result<bool, ClusterError> {
    if shadow.status.as_ref() == Some(status) {
        return Ok(false);
    }
    // The uid keeps it from a successor of the same name.
    let body = json!({
        "apiVersion": format!("{}/{}", names::GROUP, names::VERSION),
        "kind": "ShadowDeployment",
        "metadata": {"name": shadow.name_any(), "uid": owner.uid},
        "status": status,
    });
    cluster
        .apply_status::<ShadowDeployment>(
            names::FIELD_MANAGER_SHADOWDEPLOYMENT,
            &owner.namespace,
            &owner.name,
            &body,
        )
        .await?;
    Ok(true)
}
