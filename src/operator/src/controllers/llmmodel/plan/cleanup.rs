//! What is no longer needed, and when it may go.

use std::time::Duration;

use api::{
    ShadowDeployment,
    names::{self, ANNOTATION_RETIRED},
};
use k8s_openapi::{
    api::{
        apps::v1::{ControllerRevision, Deployment},
        autoscaling::v2::HorizontalPodAutoscaler,
        batch::v1::Job,
        core::v1::{ConfigMap, PersistentVolumeClaim, Service},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
        resource::v1::ResourceClaimTemplate,
    },
    jiff::Timestamp,
};
use kube::{Resource, ResourceExt};

use super::{Plan, Target, deployment_name};
use crate::{
    cluster,
    controllers::llmmodel::{
        build::Builder,
        dereference::{Observed, version_of},
        version::Version,
    },
    http_route::HttpRoute,
};

/// Seconds between the switch to another version and the end of the one before: every gateway has to
/// hear of the switch first.
const DRAIN_SECONDS: i64 = 15;

/// An object to delete.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deletion {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The very object that was looked at.
    pub uid: String,
}

/// Kinds that are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The pods of a version.
    Deployment,
    /// How they were found.
    Service,
    /// How they were guarded.
    PodDisruptionBudget,
    /// How they were protected.
    NetworkPolicy,
    /// A prepare step.
    Job,
    /// A version beyond the history's limit.
    ControllerRevision,
    /// Compressed weights that no version needs.
    PersistentVolumeClaim,
    /// What chose the number of pods.
    HorizontalPodAutoscaler,
    /// What pods claimed their devices by.
    ResourceClaimTemplate,
    /// Which adapters pods had.
    ConfigMap,
    /// A way in that is wanted no more.
    HttpRoute,
    /// A comparison of a version that is known no more.
    ShadowDeployment,
}

impl Kind {
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deployment => cluster::kind::<Deployment>(),
            Self::Service => cluster::kind::<Service>(),
            Self::PodDisruptionBudget => cluster::kind::<PodDisruptionBudget>(),
            Self::NetworkPolicy => cluster::kind::<NetworkPolicy>(),
            Self::Job => cluster::kind::<Job>(),
            Self::ControllerRevision => cluster::kind::<ControllerRevision>(),
            Self::PersistentVolumeClaim => cluster::kind::<PersistentVolumeClaim>(),
            Self::HorizontalPodAutoscaler => cluster::kind::<HorizontalPodAutoscaler>(),
            Self::ResourceClaimTemplate => cluster::kind::<ResourceClaimTemplate>(),
            Self::ConfigMap => cluster::kind::<ConfigMap>(),
            Self::HttpRoute => cluster::kind::<HttpRoute>(),
            Self::ShadowDeployment => cluster::kind::<ShadowDeployment>(),
        }
    }
}

/// Adds to `plan` what becomes of everything but the versions `kept`.
pub fn plan(plan: &mut Plan, builder: &Builder<'_>, observed: &Observed, kept: &[&str], now: Timestamp) {
    let is_kept = |version: &str| kept.contains(&version);
    let mut draining = Vec::new();
    for deployment in &observed.deployments {
        let Some(version) = version_of(deployment) else {
            continue;
        };
        let retired = deployment.annotations().get(ANNOTATION_RETIRED);
        if is_kept(version) {
            plan.revive.extend(retired.map(|_| deployment_name(builder, version)));
            continue;
        }
        match rest(deployment, retired, now) {
            Rest::Begins => {
                plan.retire.push(deployment.name_any());
                draining.push(version);
                wait(plan, DRAIN_SECONDS);
            }
            Rest::Seconds(seconds) => {
                draining.push(version);
                wait(plan, seconds);
            }
            Rest::Over => delete(plan, Kind::Deployment, deployment),
        }
    }
    let target = plan.target.clone();
    for comparison in super::shadow::forgotten(builder, observed, &target) {
        delete(plan, Kind::ShadowDeployment, comparison);
    }
    let is_over =
        |version: Option<&str>| version.is_some_and(|version| !is_kept(version) && !draining.contains(&version));
    delete_all(plan, Kind::Service, &observed.services, |it| is_over(version_of(it)));
    delete_all(plan, Kind::PodDisruptionBudget, &observed.pdbs, |it| {
        is_over(version_of(it))
    });
    // What serves no more keeps its pods to the end of the drain.
    delete_all(plan, Kind::HorizontalPodAutoscaler, &observed.hpas, |it| {
        builder.wanted.autoscaling.is_none() || !version_of(it).is_some_and(is_kept)
    });
    // Pods that finish their last requests are protected to their end, which a watch tells.
    let has_pods = |version: Option<&str>| observed.pods.iter().any(|pod| version_of(pod) == version);
    delete_all(plan, Kind::NetworkPolicy, &observed.network_policies, |it| {
        is_over(version_of(it)) && !has_pods(version_of(it))
    });
    jobs(plan, observed);
    history(plan, builder, observed, &|version| is_over(Some(version)));
    claims(plan, builder, observed);
    device_claims(plan, observed);
    let has_adapters = plan.adapters.is_some();
    delete_all(plan, Kind::ConfigMap, &observed.config_maps, |_| !has_adapters);
    let has_route = builder.wanted.route.is_some();
    delete_all(plan, Kind::HttpRoute, &observed.routes.found, |_| !has_route);
}

/// Adds to `plan` that everything goes but the history, which has no pods.
pub fn clear(plan: &mut Plan, observed: &Observed) {
    // Whatever it was for, its controller goes first.
    delete_all(plan, Kind::HorizontalPodAutoscaler, &observed.hpas, |_| true);
    delete_all(plan, Kind::Deployment, &observed.deployments, |_| true);
    delete_all(plan, Kind::Job, &observed.jobs, |_| true);
    delete_all(plan, Kind::Service, &observed.services, |_| true);
    delete_all(plan, Kind::PodDisruptionBudget, &observed.pdbs, |_| true);
    let has_pods = |version: Option<&str>| observed.pods.iter().any(|pod| version_of(pod) == version);
    delete_all(plan, Kind::NetworkPolicy, &observed.network_policies, |it| {
        !has_pods(version_of(it))
    });
    delete_all(plan, Kind::PersistentVolumeClaim, &observed.claims, |_| true);
    delete_all(plan, Kind::ResourceClaimTemplate, &observed.device_claims, |_| true);
    delete_all(plan, Kind::ConfigMap, &observed.config_maps, |_| true);
    delete_all(plan, Kind::HttpRoute, &observed.routes.found, |_| true);
}

enum Rest {
    Begins,
    Seconds(i64),
    Over,
}

fn rest(deployment: &Deployment, retired: Option<&String>, now: Timestamp) -> Rest {
    let ready = deployment
        .status
        .as_ref()
        .and_then(|status| status.ready_replicas)
        .unwrap_or(0);
    if ready == 0 {
        return Rest::Over;
    }
    let Some(since) = retired.and_then(|text| text.parse::<Timestamp>().ok()) else {
        return Rest::Begins;
    };
    match since.as_second() + DRAIN_SECONDS - now.as_second() {
        seconds @ 1.. => Rest::Seconds(seconds.min(DRAIN_SECONDS)),
        _ => Rest::Over,
    }
}

fn wait(plan: &mut Plan, seconds: i64) {
    let wait = Duration::from_secs(seconds.unsigned_abs());
    plan.drained_in = Some(plan.drained_in.map_or(wait, |before| before.min(wait)));
}

/// Jobs of other sources, and one that has to be built anew.
fn jobs(plan: &mut Plan, observed: &Observed) {
    let wanted: Vec<_> = plan.jobs.iter().map(ResourceExt::name_any).collect();
    delete_all(plan, Kind::Job, &observed.jobs, |job| !wanted.contains(&job.name_any()));
}

/// Compressed weights go with the last version that was served from them.
fn claims(plan: &mut Plan, builder: &Builder<'_>, observed: &Observed) {
    let is_left = |name: &str| {
        !plan
            .delete
            .iter()
            .any(|it| it.kind == Kind::ControllerRevision && it.name == name)
    };
    let left = observed
        .revisions
        .iter()
        .filter(|revision| is_left(&revision.name_any()));
    let mut needed: Vec<String> = left
        .filter_map(Version::from_revision)
        .filter_map(|version| version.artifact())
        .collect();
    needed.extend(plan.target.candidate().and_then(Version::artifact));
    let wanted = builder.wanted;
    // Until the spec's own version is known or rejected its Job writes there.
    let is_underway = plan.jobs.iter().any(|job| {
        wanted.compress.as_ref().is_some_and(|compression| {
            let key = compression.key(&wanted.source);
            job.name_any() == names::prepare_job(&builder.owner.name, &key)
        })
    });
    if let Some(compression) = wanted
        .compress
        .as_ref()
        .filter(|_| is_underway && plan.snapshot.is_none())
    {
        needed.push(compression.key(&wanted.source));
    }
    let needed: Vec<_> = needed
        .iter()
        .map(|key| names::weights_claim(&builder.owner.name, key))
        .collect();
    delete_all(plan, Kind::PersistentVolumeClaim, &observed.claims, |claim| {
        !needed.contains(&claim.name_any())
    });
}

/// What pods claim devices by goes when no pod will: each pod has its claim from its start.
fn device_claims(plan: &mut Plan, observed: &Observed) {
    let live = observed.deployments.iter().filter_map(|it| it.spec.as_ref());
    let live = live.filter_map(|it| it.template.spec.as_ref());
    let planned = plan
        .jobs
        .iter()
        .filter_map(|it| it.spec.as_ref()?.template.spec.as_ref());
    let claims = live.chain(planned).flat_map(|pod| pod.resource_claims.iter().flatten());
    let mut needed: Vec<_> = claims
        .filter_map(|claim| claim.resource_claim_template_name.clone())
        .collect();
    needed.extend(plan.device_claims.as_ref().map(ResourceExt::name_any));
    delete_all(plan, Kind::ResourceClaimTemplate, &observed.device_claims, |it| {
        !needed.contains(&it.name_any())
    });
}

fn history(plan: &mut Plan, builder: &Builder<'_>, observed: &Observed, is_over: &dyn Fn(&str) -> bool) {
    let mut old: Vec<_> = observed
        .revisions
        .iter()
        .filter(|revision| version_of(*revision).is_some_and(is_over))
        .collect();
    old.sort_by_key(|revision| std::cmp::Reverse(revision.revision));
    // While the wanted version is not known, its report may be in any of them.
    if matches!(plan.target, Target::Known(_)) {
        for revision in old.into_iter().skip(builder.wanted.history_limit) {
            delete(plan, Kind::ControllerRevision, revision);
        }
    }
}

fn delete_all<K: Resource>(plan: &mut Plan, kind: Kind, objects: &[K], is_over: impl Fn(&K) -> bool) {
    for object in objects.iter().filter(|object| is_over(object)) {
        delete(plan, kind, object);
    }
}

/// What is being deleted already is left to its end.
fn delete<K: Resource>(plan: &mut Plan, kind: Kind, object: &K) {
    if object.meta().deletion_timestamp.is_none() {
        plan.delete.push(Deletion {
            kind,
            name: object.name_any(),
            uid: object.uid().unwrap_or_default(),
        });
    }
}
