//! How many replicas a version has where the spec leaves that to the load.
//!
//! ```text
//!  HorizontalPodAutoscaler   chooses among minReplicas (at least 1) and maxReplicas
//!  the operator              0 -> 1   a gateway holds a request
//!                            n -> 0   no request for idleSeconds, as all gateways know, although it was ready
//! ```
//!
//! The Deployment's number is the HorizontalPodAutoscaler's: what is applied repeats the number that was
//! read, under the resource version that it was read with. A change in between refuses the write, and the
//! next pass reads again. To send no number instead would not do: a field that its only manager no longer
//! sends is removed, which means 1.

use std::time::Duration;

use api::{
    llmmodel::{Autoscaling, RolloutStrategy},
    names::ANNOTATION_REPLICAS,
};
use k8s_openapi::{
    api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler},
    jiff::Timestamp,
};
use kube::ResourceExt;

use super::{
    super::{
        build::{Builder, keep_all},
        demand::Demand,
        dereference::{Observed, version_of},
        drift,
    },
    Plan,
};

/// Between looks at gateways that do not know how long a model was idle.
const UNKNOWN: Duration = Duration::from_secs(10);
/// Between looks at an autoscaler that works: its status changes with each measurement, so it is not watched.
const LOOK: Duration = Duration::from_secs(60);
/// Between looks at one that does not, or has not looked around yet.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Sets the replicas of all live versions. Where traffic is about to move from one to the other, or back,
/// neither becomes smaller.
pub fn plan(plan: &mut Plan, builder: &Builder<'_>, observed: &Observed, current: Option<&str>, now: Timestamp) {
    let Some(asked) = &builder.wanted.autoscaling else {
        return;
    };
    let is_coming = |version: Option<&str>| version != current && has_ready(observed, version);
    let moves = plan.children.iter().any(|it| is_coming(version_of(&it.deployment)));
    let deployment = current.and_then(|current| observed.deployment(current));
    let serving = replicas(deployment);
    let demand = Demand {
        idle: observed
            .demand
            .idle
            .zip(age(deployment, now))
            .map(|(idle, age)| idle.min(age)),
        ..observed.demand
    };
    for children in &mut plan.children {
        let deployment = &mut children.deployment;
        let Some(version) = version_of(&*deployment).map(ToOwned::to_owned) else {
            continue;
        };
        let replicas = if builder.wanted.replicas == 0 {
            0
        } else if current == Some(version.as_str()) {
            of_serving(asked, &demand, serving, moves)
        } else {
            let replicas = of_candidate(asked, observed.deployment(&version), serving);
            if builder.wanted.strategy == RolloutStrategy::Recreate {
                // It waits without pods until those of the other version, whose number it takes over, are gone.
                let annotations = deployment.annotations_mut();
                annotations.insert(ANNOTATION_REPLICAS.into(), replicas.to_string());
            }
            replicas
        };
        if let Some(spec) = &mut deployment.spec {
            spec.replicas = Some(replicas);
        }
        // A candidate gets no traffic that it could be measured by.
        let keeps = moves || current != Some(version.as_str());
        if let Some(hpa) = children.hpa.as_mut().filter(|_| keeps) {
            keep_all(hpa);
        }
    }
    let look = match observed.hpas.iter().any(works) {
        true => LOOK,
        false => LOOK_AGAIN,
    };
    plan.look_in = Some(look_in(asked, &demand, serving).unwrap_or(look).min(look));
}

/// Stamps a Deployment whose number of replicas is not the operator's alone: `live` is what it was read as.
pub fn stamped(mut deployment: Deployment, live: Option<&Deployment>) -> Deployment {
    let replicas = deployment.spec.as_mut().and_then(|spec| spec.replicas.take());
    let mut deployment = drift::stamped(deployment);
    if let Some(spec) = &mut deployment.spec {
        spec.replicas = replicas;
    }
    deployment.metadata.resource_version = live.and_then(|live| live.metadata.resource_version.clone());
    deployment
}

/// Fewest replicas of a model that is asked.
fn fewest(asked: &Autoscaling) -> i32 {
    asked.min_replicas.max(1)
}

fn of_serving(asked: &Autoscaling, demand: &Demand, live: Option<i32>, moves: bool) -> i32 {
    match (live, &asked.scale_to_zero) {
        (Some(0), Some(_)) if demand.held == 0 => 0,
        (None | Some(0), _) => fewest(asked),
        (Some(_), Some(zero)) if !moves && demand.held == 0 && demand.is_idle_for(zero.idle_seconds) => 0,
        (Some(live), _) => live,
    }
}

/// As many as the version that it is to replace has: its traffic comes all at once.
fn of_candidate(asked: &Autoscaling, live: Option<&Deployment>, serving: Option<i32>) -> i32 {
    let waiting = live.and_then(|live| live.annotations().get(ANNOTATION_REPLICAS)?.parse().ok());
    let numbers = [replicas(live), serving, waiting, Some(fewest(asked))];
    let most = numbers.into_iter().flatten().max().unwrap_or(1);
    most.min(asked.max_replicas)
}

/// When the last replicas may stop.
fn look_in(asked: &Autoscaling, demand: &Demand, serving: Option<i32>) -> Option<Duration> {
    let (Some(zero), Some(1..)) = (&asked.scale_to_zero, serving) else {
        return None;
    };
    let whole = Duration::from_secs(u64::from(zero.idle_seconds.unsigned_abs()));
    let left = demand.idle.map(|idle| whole.saturating_sub(idle));
    Some(left.map_or(UNKNOWN, |left| left + Duration::from_secs(1)))
}

/// Whether an autoscaler measures, or need not.
fn works(hpa: &HorizontalPodAutoscaler) -> bool {
    let conditions = hpa.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut active = conditions.filter(|it| it.type_ == "ScalingActive");
    active.any(|it| it.status == "True" || it.reason.as_deref() == Some("ScalingDisabled"))
}

fn has_ready(observed: &Observed, version: Option<&str>) -> bool {
    let deployment = version.and_then(|version| observed.deployment(version));
    let ready = deployment.and_then(|it| it.status.as_ref()?.ready_replicas);
    ready.is_some_and(|ready| ready > 0)
}

/// How long all replicas that may not be missing have been ready: loading is no idleness.
fn age(deployment: Option<&Deployment>, now: Timestamp) -> Option<Duration> {
    let conditions = deployment?.status.as_ref()?.conditions.as_ref()?;
    let available = conditions
        .iter()
        .find(|it| it.type_ == "Available" && it.status == "True")?;
    let seconds = now.as_second() - available.last_transition_time.as_ref()?.0.as_second();
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
}

fn replicas(deployment: Option<&Deployment>) -> Option<i32> {
    // The API server fills it in.
    deployment?.spec.as_ref()?.replicas
}
