//! What exists now: one FineTuneJob and everything that it depends on, read from the API server.

use api::{
    FineTuneJob, LlmModel,
    common::ModelVersionRef,
    names::{self, COMPONENT_DATA, CONTAINER_DATA, CONTAINER_TRAIN, LABEL_COMPONENT, LABEL_PARENT},
    reasons,
};
use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::ControllerRevision,
    batch::v1::Job,
    core::v1::{Event, PersistentVolumeClaim, Pod, Service},
    networking::v1::NetworkPolicy,
};
use kube::ResourceExt;
use protocol::tune::{DataOutcome, DataProgress, TrainOutcome, TrainProgress};
use tokio::try_join;

use super::{outcome::is_first, validate::Owner};
use crate::{
    cluster::{Cluster, ClusterError},
    controllers::{
        common::{
            dereference::{self, DereferenceError, events_of, read},
            ownership::owned,
            trouble::Trouble,
        },
        llmmodel::version::Version,
    },
};

/// Lines of a log among which the last progress is.
const PROGRESS_LINES: i64 = 20;

/// What belongs to one FineTuneJob.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Its volume.
    pub claim: Option<PersistentVolumeClaim>,
    /// Its steps.
    pub jobs: Vec<Job>,
    /// Pods of these.
    pub pods: Vec<Pod>,
    /// How pods find each other.
    pub services: Vec<Service>,
    /// How they are protected.
    pub policies: Vec<NetworkPolicy>,
    /// Events about Jobs and pods that hang.
    pub events: Vec<Event>,
    /// What the step that runs says of itself.
    pub progress: Option<Progress>,
    /// What it starts from, where it has not started.
    pub base: Option<Base>,
    /// The FineTuneJob that made it.
    pub parent: Option<Box<FineTuneJob>>,
    /// FineTuneJobs that it made.
    pub children: Vec<FineTuneJob>,
}

/// How far a step is.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// Data are read.
    Data(DataProgress),
    /// Weights change.
    Train(TrainProgress),
}

/// What a training starts from.
#[derive(Clone, Debug)]
pub enum Base {
    /// This version.
    Ready(Box<Version>),
    /// Nothing yet, or nothing that can be trained.
    Missing(Trouble),
}

/// Everything that belongs to `owner`.
///
/// # Errors
/// See [`DereferenceError`].
pub async fn observe(cluster: &Cluster, owner: &Owner, job: &FineTuneJob) -> Result<Observed, DereferenceError> {
    let namespace = owner.namespace.as_str();
    let labels = names::selector_string(&names::job_labels(&owner.name));
    let labels = labels.as_str();
    let claim = names::tune_claim(owner.root());
    let (claim, services, policies, jobs) = try_join!(
        cluster.get::<PersistentVolumeClaim>(namespace, &claim),
        cluster.list::<Service>(namespace, labels),
        cluster.list::<NetworkPolicy>(namespace, labels),
        cluster.list::<Job>(namespace, labels),
    )?;
    // After their Jobs: one that has ended has pods that say how.
    let pods = cluster.list::<Pod>(namespace, labels).await?;
    let jobs = owned(jobs, &owner.reference);
    let has_children = job.spec.sweep.is_some() || job.spec.schedule.is_some();
    let children = match has_children {
        true => {
            let labels = format!("{LABEL_PARENT}={}", owner.name);
            cluster.list::<FineTuneJob>(namespace, &labels).await?
        }
        false => Vec::new(),
    };
    let parent = match &owner.parent {
        Some(parent) => read::<FineTuneJob>(cluster, namespace, &parent.name)
            .await?
            .map(Box::new),
        None => None,
    };
    let has_started = jobs.iter().any(|it| it.name_any() == names::train_job(&owner.name));
    let is_over = job.status.as_ref().is_some_and(|status| status.completed.is_some());
    let base = match has_started || has_children {
        true => None,
        // A change of the spec starts it anew: the next pass looks at the base.
        false if is_over && job.status.as_ref().and_then(|it| it.observed_generation) == job.metadata.generation => {
            None
        }
        false => Some(base(cluster, namespace, job).await?),
    };
    let events = events_of(cluster, namespace, &pods, &jobs).await;
    let progress = progress_of(cluster, namespace, &pods).await;
    Ok(Observed {
        created: job.metadata.creation_timestamp.as_ref().map(|time| time.0),
        claim,
        services: owned(services, &owner.reference),
        policies: owned(policies, &owner.reference),
        children: owned(children, &owner.reference),
        jobs,
        pods,
        events,
        progress,
        base,
        parent,
    })
}

/// What a training starts from: the version that the spec names, or the one that serves now.
async fn base(cluster: &Cluster, namespace: &str, job: &FineTuneJob) -> Result<Base, ClusterError> {
    let tokenizer = job.spec.architecture.as_ref().map(|shape| &shape.tokenizer);
    let (field, reference) = match (&job.spec.base, tokenizer) {
        (Some(base), _) => ("spec.base", base),
        (None, Some(tokenizer)) => ("spec.architecture.tokenizer", tokenizer),
        (None, None) => return Ok(missing(reasons::INVALID_SPEC, "spec needs base or architecture")),
    };
    let ModelVersionRef { name, version } = reference;
    let Some(raw) = cluster.get_raw::<LlmModel>(namespace, name).await? else {
        let message = format!(
            "LlmModel {name}, which {field} names, does not exist in this namespace: create it, and this goes on"
        );
        return Ok(missing(reasons::BASE_NOT_READY, message));
    };
    let Ok(model) = serde_json::from_value::<LlmModel>(raw) else {
        let message = format!(
            "LlmModel {name}, which {field} names, is none that this release knows: apply the CRDs of this release"
        );
        return Ok(missing(reasons::BASE_UNSUITABLE, message));
    };
    if let Some(why) = unsuitable(&model) {
        let message = format!("LlmModel {name}, which {field} names, cannot be trained: {why}");
        return Ok(missing(reasons::BASE_UNSUITABLE, message));
    }
    let current = || model.status.as_ref()?.current_version.clone();
    let Some(wanted) = version.clone().or_else(current) else {
        let message = format!(
            "LlmModel {name}, which {field} names, has no version yet: `kubectl describe llm {name}` tells why; this goes on when it has one"
        );
        return Ok(missing(reasons::BASE_NOT_READY, message));
    };
    let revision = cluster
        .get::<ControllerRevision>(namespace, &names::version_child(name, &wanted))
        .await?;
    Ok(match revision.as_ref().and_then(Version::from_revision) {
        Some(version) if version.compression.is_some() => {
            let message = format!(
                "version {wanted} of LlmModel {name}, which {field} names, is compressed: train on a model without \
                 spec.compress, or use method QLoRA on that"
            );
            missing(reasons::BASE_UNSUITABLE, message)
        }
        Some(version) => Base::Ready(Box::new(version)),
        None => {
            let message = format!(
                "LlmModel {name}, which {field} names, has no version {wanted}: `kubectl get llm {name} -o yaml` lists those that it has"
            );
            missing(reasons::BASE_NOT_READY, message)
        }
    })
}

/// Why a model is none to start from: there are no weights of it that a pod could read.
fn unsuitable(model: &LlmModel) -> Option<&'static str> {
    let source = &model.spec.source;
    if source.provider.is_some() {
        return Some("somebody else hosts it");
    }
    source
        .fine_tune_job
        .is_some()
        .then_some("it follows a FineTuneJob: train on that one's own base")
}

fn missing(reason: &str, message: impl Into<String>) -> Base {
    Base::Missing(Trouble::new(reason, message))
}

/// How far the step that runs says it is, by the tail of its log.
async fn progress_of(cluster: &Cluster, namespace: &str, pods: &[Pod]) -> Option<Progress> {
    let runs = |pod: &&Pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        phase == Some("Running") && pod.metadata.deletion_timestamp.is_none() && is_first(pod)
    };
    let created = |pod: &&Pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let pod = pods.iter().filter(runs).max_by_key(created)?;
    let is_data = pod.labels().get(LABEL_COMPONENT).is_some_and(|it| it == COMPONENT_DATA);
    let container = if is_data { CONTAINER_DATA } else { CONTAINER_TRAIN };
    let pod = pod.name_any();
    match cluster.tail(namespace, &pod, container, PROGRESS_LINES).await {
        Ok(text) => text.lines().rev().find_map(|line| progress(line, is_data)),
        Err(error) => {
            tracing::debug!(namespace, pod, %error, "failed to learn how far a training is");
            None
        }
    }
}

fn progress(line: &str, is_data: bool) -> Option<Progress> {
    if is_data {
        return match DataOutcome::parse(line)? {
            DataOutcome::Running(progress) => Some(Progress::Data(progress)),
            DataOutcome::Ready(_) | DataOutcome::Failed(_) => None,
        };
    }
    match TrainOutcome::parse(line)? {
        TrainOutcome::Running(progress) | TrainOutcome::Interrupted(progress) => Some(Progress::Train(progress)),
        _ => None,
    }
}

impl Observed {
    /// The Job of that name.
    pub fn job(&self, name: &str) -> Option<&Job> {
        self.jobs.iter().find(|job| job.name_any() == name)
    }

    /// The pods of a Job, newest first.
    pub fn pods_of(&self, job: &Job) -> Vec<&Pod> {
        dereference::pods_of(&self.pods, job)
    }

    /// The trial or run of that name.
    pub fn child(&self, name: &str) -> Option<&FineTuneJob> {
        self.children.iter().find(|child| child.name_any() == name)
    }
}
