//! What exists now: one LlmModel and everything that belongs to it, read from the API server.

use std::sync::Arc;

use api::{
    LlmModel,
    names::{
        self, ANNOTATION_APPLIED, ANNOTATION_MEMORY, COMPONENT_PREPARE, CONTAINER_PREPARE, LABEL_COMPONENT,
        LABEL_VERSION,
    },
};
use k8s_openapi::api::{
    apps::v1::{ControllerRevision, Deployment},
    autoscaling::v2::HorizontalPodAutoscaler,
    batch::v1::Job,
    core::v1::{ConfigMap, Event, PersistentVolumeClaim, Pod, Service},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
    resource::v1::ResourceClaimTemplate,
};
use kube::{Resource, ResourceExt};
use protocol::{PrepareOutcome, Progress, Traffic, WantedAdapters};
use serde::{Deserialize, Serialize};
use tokio::try_join;

use super::{
    adapters::Reports,
    build,
    demand::Demand,
    follow::Followed,
    plan::Growth,
    recollection::{Before, Kinds},
    shadows::Comparisons,
    validate::Owner,
    version::Version,
};
use crate::{
    cluster::{self, Cluster, ClusterError},
    controllers::common::{dereference::events_of, gateway_api::Routes, jobs},
    gateways::Gateways,
};

/// Lines of a log among which the last progress is.
const PROGRESS_LINES: i64 = 20;

/// What belongs to one LlmModel. What is not children is looked at anew in each pass, and not kept with them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Observed {
    /// Snapshots of versions.
    pub revisions: Vec<ControllerRevision>,
    /// Pods of versions.
    pub deployments: Vec<Deployment>,
    /// How they are found.
    pub services: Vec<Service>,
    /// How they are guarded.
    pub pdbs: Vec<PodDisruptionBudget>,
    /// How they are protected.
    pub network_policies: Vec<NetworkPolicy>,
    /// What chooses their number.
    pub hpas: Vec<HorizontalPodAutoscaler>,
    /// Prepare steps.
    pub jobs: Vec<Job>,
    /// Where compressed weights are kept.
    pub claims: Vec<PersistentVolumeClaim>,
    /// What pods claim their devices by.
    pub device_claims: Vec<ResourceClaimTemplate>,
    /// Which adapters pods are to have.
    pub config_maps: Vec<ConfigMap>,
    /// Pods of versions and of prepare steps, whoever their direct owner is.
    pub pods: Vec<Pod>,
    /// Events about those pods and Jobs that hang.
    #[serde(skip)]
    pub events: Vec<Event>,
    /// How far the prepare step that runs is.
    #[serde(skip)]
    pub progress: Option<Progress>,
    /// What gateways have seen, or why they do not tell; only while a version is on trial.
    #[serde(skip)]
    pub traffic: Option<Result<Arc<Traffic>, String>>,
    /// The ways in beside Atelier's gateway, of a model that asks for one.
    #[serde(skip)]
    pub routes: Routes,
    /// What pods say of their adapters, by their names.
    #[serde(skip)]
    pub adapters: Reports,
    /// What the gateways say, where the last replica may stop.
    #[serde(skip)]
    pub demand: Demand,
    /// The FineTuneJobs that the spec names.
    #[serde(skip)]
    pub followed: Followed,
    /// The ShadowDeployments that compare its versions.
    #[serde(skip)]
    pub comparisons: Comparisons,
}

/// Everything that belongs to `owner`: what changed since `before` is read.
///
/// # Errors
/// See [`ClusterError`].
pub async fn observe(cluster: &Cluster, owner: &Owner, before: Before) -> Result<Observed, ClusterError> {
    let namespace = owner.namespace.as_str();
    let labels = names::selector_string(&names::model_labels(&owner.name));
    let labels = labels.as_str();
    let Before { observed, changed, .. } = before;
    let is_all = observed.is_none();
    let known = observed.unwrap_or_default();
    let lister = Lister {
        cluster,
        namespace,
        labels,
        changed: &changed,
        is_all,
    };
    let (
        revisions,
        deployments,
        services,
        pdbs,
        network_policies,
        hpas,
        jobs,
        claims,
        device_claims,
        config_maps,
        pods,
    ) = try_join!(
        lister.list(known.revisions),
        lister.list(known.deployments),
        lister.list(known.services),
        lister.list(known.pdbs),
        lister.list(known.network_policies),
        lister.list(known.hpas),
        lister.list(known.jobs),
        lister.list(known.claims),
        lister.device_claims(known.device_claims),
        lister.list(known.config_maps),
        lister.list(known.pods),
    )?;
    let pods = match jobs.iter().any(|job| is_unexplained(job, &pods)) {
        true => cluster.list::<Pod>(namespace, labels).await?,
        false => pods,
    };
    let events = events_of(cluster, namespace, &pods, &jobs).await;
    let progress = progress_of(cluster, namespace, &pods).await;
    Ok(Observed {
        revisions: owned(revisions, owner),
        deployments: owned(deployments, owner),
        services: owned(services, owner),
        pdbs: owned(pdbs, owner),
        network_policies: owned(network_policies, owner),
        hpas: owned(hpas, owner),
        jobs: owned(jobs, owner),
        claims: owned(claims, owner),
        device_claims: owned(device_claims, owner),
        config_maps: owned(config_maps, owner),
        pods,
        events,
        progress,
        traffic: None,
        routes: Routes::default(),
        adapters: Reports::new(),
        demand: Demand::default(),
        followed: Followed::default(),
        comparisons: Comparisons::default(),
    })
}

/// Lists kinds that changed.
struct Lister<'a> {
    cluster: &'a Cluster,
    namespace: &'a str,
    labels: &'a str,
    changed: &'a Kinds,
    is_all: bool,
}

impl Lister<'_> {
    /// The objects of one kind, which are those `known` unless it changed.
    async fn list<K: cluster::Kind>(&self, known: Vec<K>) -> Result<Vec<K>, ClusterError> {
        match self.is_all || self.changed.contains(cluster::kind::<K>()) {
            true => self.cluster.list::<K>(self.namespace, self.labels).await,
            false => Ok(known),
        }
    }

    /// What pods claim devices by; none in a cluster that has this API switched off.
    async fn device_claims(
        &self,
        known: Vec<ResourceClaimTemplate>,
    ) -> Result<Vec<ResourceClaimTemplate>, ClusterError> {
        match self.list(known).await {
            Err(error) if error.status() == Some(404) => Ok(Vec::new()),
            answer => answer,
        }
    }
}

/// Whether a Job has ended of which no known pod tells how: it may have been read after its pods, or the watch of
/// pods lags behind. To take its report for lost would be to do its work again.
fn is_unexplained(job: &Job, pods: &[Pod]) -> bool {
    let is_its = |pod: &&Pod| {
        let mut owners = pod.owner_references().iter();
        owners.any(|owner| Some(&owner.uid) == job.meta().uid.as_ref())
    };
    let phase = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.clone());
    let phases: Vec<_> = pods.iter().filter(is_its).filter_map(phase).collect();
    let is_known = |wanted: &str| phases.iter().any(|phase| phase == wanted);
    match (jobs::ended(job, "Complete"), jobs::ended(job, "Failed")) {
        (Some(_), _) => !is_known("Succeeded"),
        (_, Some(_)) => !is_known("Failed") || is_known("Running") || is_known("Pending"),
        (None, None) => false,
    }
}

/// What gateways have seen, if a version of the model is on trial.
pub async fn traffic(gateways: &Gateways, model: &LlmModel) -> Option<Result<Arc<Traffic>, String>> {
    model.status.as_ref()?.canary.as_ref()?;
    Some(gateways.traffic().await.map_err(|error| error.to_string()))
}

/// How far the newest prepare step that runs says it is. A pod's report can be read when it has ended; until
/// then its log tells.
async fn progress_of(cluster: &Cluster, namespace: &str, pods: &[Pod]) -> Option<Progress> {
    let runs = |pod: &&Pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        let is_prepare = pod
            .labels()
            .get(LABEL_COMPONENT)
            .is_some_and(|it| it == COMPONENT_PREPARE);
        is_prepare && phase == Some("Running") && pod.metadata.deletion_timestamp.is_none()
    };
    let created = |pod: &&Pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let pod = pods.iter().filter(runs).max_by_key(created)?.name_any();
    match cluster.tail(namespace, &pod, CONTAINER_PREPARE, PROGRESS_LINES).await {
        Ok(text) => text.lines().rev().find_map(|line| match PrepareOutcome::parse(line)? {
            PrepareOutcome::Running(progress) => Some(progress),
            PrepareOutcome::Ready(_) | PrepareOutcome::Failed(_) => None,
        }),
        Err(error) => {
            tracing::debug!(namespace, pod, %error, "failed to learn how far a prepare step is");
            None
        }
    }
}

/// Those that this very LlmModel owns: one of the same name may have been deleted a moment ago.
fn owned<K: Resource>(objects: Vec<K>, owner: &Owner) -> Vec<K> {
    let is_ours = |object: &K| {
        object
            .owner_references()
            .iter()
            .any(|reference| reference.uid == owner.uid)
    };
    objects.into_iter().filter(is_ours).collect()
}

/// The version that an object's labels name.
pub fn version_of<K: Resource>(object: &K) -> Option<&str> {
    object.labels().get(LABEL_VERSION).map(String::as_str)
}

impl Observed {
    /// The version of that name, if its snapshot is in the history.
    pub fn version(&self, name: &str) -> Option<Version> {
        let revision = self
            .revisions
            .iter()
            .find(|revision| version_of(*revision) == Some(name))?;
        Version::from_revision(revision)
    }

    /// What its replicas get instead of the estimate.
    pub fn growth(&self, version: &str) -> Option<Growth> {
        let revision = self
            .revisions
            .iter()
            .find(|revision| version_of(*revision) == Some(version))?;
        serde_json::from_str(revision.annotations().get(ANNOTATION_MEMORY)?).ok()
    }

    /// All versions in the history, newest first.
    pub fn versions(&self) -> Vec<Version> {
        let mut revisions: Vec<_> = self.revisions.iter().collect();
        revisions.sort_by_key(|revision| std::cmp::Reverse(revision.revision));
        revisions.into_iter().filter_map(Version::from_revision).collect()
    }

    /// The claim that holds the compressed weights of a key.
    pub fn claim(&self, model: &str, key: &str) -> Option<&PersistentVolumeClaim> {
        let name = names::weights_claim(model, key);
        self.claims.iter().find(|claim| claim.name_any() == name)
    }

    /// The adapters that the pods of a model are to have, if any were wanted so far.
    pub fn wanted_adapters(&self, model: &str) -> Option<WantedAdapters> {
        let mut lists = self.config_maps.iter().filter(|it| build::is_adapters(it, model));
        lists.find_map(build::adapters_of)
    }

    /// The Deployment of a version.
    pub fn deployment(&self, version: &str) -> Option<&Deployment> {
        self.deployments
            .iter()
            .find(|deployment| version_of(*deployment) == Some(version))
    }

    /// The pods of a version, newest first. Those on their way out do not count, nor those of a template
    /// that was replaced: they may stay, as they were, until a newer one is ready.
    pub fn pods_of(&self, version: &str) -> Vec<&Pod> {
        let template = self.deployment(version).and_then(|deployment| {
            let template = deployment.spec.as_ref()?.template.metadata.as_ref()?;
            template.annotations.as_ref()?.get(ANNOTATION_APPLIED)
        });
        self.newest(|pod| version_of(pod) == Some(version) && pod.annotations().get(ANNOTATION_APPLIED) == template)
    }

    /// The pods of a Job, newest first.
    pub fn pods_of_job(&self, job: &Job) -> Vec<&Pod> {
        let uid = job.uid();
        self.newest(|pod| {
            pod.owner_references()
                .iter()
                .any(|owner| Some(&owner.uid) == uid.as_ref())
        })
    }

    fn newest(&self, belongs: impl Fn(&Pod) -> bool) -> Vec<&Pod> {
        let mut pods: Vec<_> = self
            .pods
            .iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none() && belongs(pod))
            .collect();
        pods.sort_by_key(|pod| {
            let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
            std::cmp::Reverse((created, pod.name_any()))
        });
        pods
    }
}

#[cfg(test)]
mod tests;
