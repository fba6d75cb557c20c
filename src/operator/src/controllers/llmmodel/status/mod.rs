//! What is reported: computed from what the API server returned, written only when it says something
//! new. Pure but for the one write.

mod adapters;
mod autoscaling;
mod download;
mod evaluation;
mod findings;
mod notices;
mod route;
mod versions;
mod weights;

use api::{
    LlmModel, LlmModelStatus,
    conditions::{self, types},
    llmmodel::MemoryEstimate,
    names,
};
use k8s_openapi::{
    api::apps::v1::Deployment,
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
};
use kube::ResourceExt;
use serde_json::json;

use super::{
    compression::Compression,
    dereference::Observed,
    plan::Plan,
    trouble::Trouble,
    validate::{Owner, Settings, Suite},
};
use crate::cluster::{Cluster, ClusterError};
pub use notices::notices;

/// What the status is computed from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The object with its status before.
    pub model: &'a LlmModel,
    /// Who it is.
    pub owner: &'a Owner,
    /// This installation.
    pub settings: &'a Settings,
    /// The children after the writes.
    pub observed: &'a Observed,
    /// What was decided.
    pub plan: &'a Plan,
    /// How the spec wants weights compressed.
    pub compression: Option<&'a Compression>,
    /// What the spec wants versions evaluated on.
    pub suites: &'a [Suite],
    /// What keeps the wanted version from going ahead.
    pub trouble: Option<&'a Trouble>,
    /// Why the pods of the current version are not ready.
    pub current_trouble: Option<&'a Trouble>,
}

/// How many pods there are of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replicas {
    /// Wanted.
    pub wanted: i32,
    /// There.
    pub all: i32,
    /// Ready.
    pub ready: i32,
    /// The Deployment has nothing left to do.
    pub complete: bool,
}

/// The pods of a Deployment.
pub fn replicas(deployment: Option<&Deployment>) -> Replicas {
    let Some(deployment) = deployment else {
        return Replicas::default();
    };
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let Some(status) = &deployment.status else {
        return Replicas {
            wanted,
            ..Replicas::default()
        };
    };
    let count = |count: Option<i32>| count.unwrap_or(0);
    let all = count(status.replicas);
    let is_seen = status.observed_generation >= deployment.metadata.generation;
    Replicas {
        wanted,
        all,
        ready: count(status.ready_replicas),
        complete: is_seen
            && all == wanted
            && count(status.updated_replicas) == wanted
            && count(status.available_replicas) == wanted,
    }
}

/// The version that answers requests: the wanted one as soon as all its replicas are ready.
pub fn current(model: &LlmModel, observed: &Observed, plan: &Plan, paused: bool) -> Option<String> {
    let before = model.status.as_ref().and_then(|status| status.current_version.clone());
    // One that has to wait for the pods of another has none, and all of those.
    let has_arrived = |pods: Replicas| pods.complete && autoscaling::is_sized(model, pods);
    let may_take_over = plan.may_take_over() && !paused;
    let arrived = plan
        .target
        .version()
        .filter(|version| may_take_over && has_arrived(replicas(observed.deployment(&version.name))));
    arrived.map(|version| version.name.clone()).or(before)
}

/// The status that follows from the facts.
pub fn compute(facts: &Facts<'_>, now: &Time) -> LlmModelStatus {
    let Facts {
        model,
        owner,
        settings,
        observed,
        plan,
        ..
    } = facts;
    let target = &plan.target;
    let before = model.status.clone().unwrap_or_default();
    let current = current(model, observed, plan, owner.paused);
    let canary = match owner.paused {
        // It goes on when the pause is over.
        true => before.canary.clone(),
        false => plan.canary(before.canary.as_ref(), current.as_deref()),
    };
    let pods = replicas(current.as_deref().and_then(|name| observed.deployment(name)));
    let generation = model.metadata.generation;
    let adapters = adapters::list(facts, current.as_deref());
    let mut found = findings::findings(facts, current.as_deref(), pods);
    found.list.extend(adapters::finding(&adapters));
    found.list.extend(route::finding(facts));
    let mut conditions = conditions::merge(&before.conditions, found.list, generation, now);
    if found.is_ready_of_before {
        // It says nothing about the spec as it is now, which is still on its way.
        let known = generation_of_before(&before.conditions, generation);
        if let Some(ready) = conditions.iter_mut().find(|condition| condition.type_ == types::READY) {
            ready.observed_generation = known;
        }
    }
    let wanted = target.candidate().map(|version| version.name.clone());
    let shown = target
        .candidate()
        .cloned()
        .or_else(|| observed.version(current.as_deref()?));
    let estimate = shown.map(|version| {
        let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let estimate = version.estimate();
        MemoryEstimate {
            weights: bytes(estimate.weights),
            kv_per_token: bytes(estimate.kv_per_token),
            activations: bytes(estimate.activations),
            total: bytes(estimate.total),
        }
    });
    let selected = current.clone().or_else(|| wanted.clone());
    LlmModelStatus {
        observed_generation: generation,
        conditions,
        versions: versions::list(facts, current.as_deref(), canary.as_ref(), now),
        canary,
        candidate_version: wanted.filter(|wanted| Some(wanted) != current.as_ref()),
        estimate,
        replicas: Some(pods.all),
        ready_replicas: Some(pods.ready),
        ready: Some(format!("{}/{}", pods.ready, autoscaling::wanted(model, pods))),
        selector: selected.map(|version| names::selector_string(&names::serving_selector(&owner.name, &version))),
        url: Some(format!(
            "http://{}.{}.svc/v1",
            names::GATEWAY,
            settings.gateway_namespace
        )),
        current_version: current,
        adapters,
        measured: None,
        download: download::status(facts),
    }
}

/// The generation that a model is ready of, while the present one is on its way.
fn generation_of_before(conditions: &[Condition], generation: Option<i64>) -> Option<i64> {
    let ready = conditions::find(conditions, types::READY);
    let known = ready.and_then(|ready| ready.observed_generation);
    if conditions::is_true(conditions, types::READY) {
        return known;
    }
    // That the present one is not ready may have been said of it already.
    known.min(generation.map(|generation| generation - 1))
}

/// Writes `status` if it differs from what is there; says whether it did.
///
/// # Errors
/// See [`ClusterError`].
pub async fn write(
    cluster: &Cluster,
    model: &LlmModel,
    owner: &Owner,
    status: &LlmModelStatus,
) -> Result<bool, ClusterError> {
    if model.status.as_ref() == Some(status) {
        return Ok(false);
    }
    // The uid keeps it from a successor of the same name.
    let body = json!({
        "apiVersion": format!("{}/{}", names::GROUP, names::VERSION),
        "kind": "LlmModel",
        "metadata": {"name": model.name_any(), "uid": owner.uid},
        "status": status,
    });
    let manager = names::FIELD_MANAGER_LLMMODEL;
    cluster
        .apply_status::<LlmModel>(manager, &owner.namespace, &owner.name, &body)
        .await?;
    Ok(true)
}

#[cfg(test)]
mod tests;
