//! What the Jobs of a training have in common.

use api::names::{self, ANNOTATION_PLAN, ANNOTATION_SHAPE, LABEL_VOLUME};
use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec, PodFailurePolicy},
        core::v1::{
            Affinity, Container, EnvVar, PersistentVolumeClaimVolumeSource, PodAffinity, PodAffinityTerm,
            PodSecurityContext, PodSpec, Volume, VolumeMount,
        },
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use protocol::{
    paths::TUNE_DIR,
    report::{EXIT_INTERRUPTED, EXIT_MEMBER_LOST},
    tune::PLAN_VARIABLE,
};
use serde::Serialize;

use super::{Builder, claim};
use crate::controllers::{
    common::jobs::{blameless, disrupted, permanent},
    llmmodel::build::pod::{USER, literal, placed, variable},
};

const TUNE_VOLUME: &str = "tune";
const HOSTNAME: &str = "kubernetes.io/hostname";

/// Gives the container its plan, the volume, and what people add.
pub fn equip(builder: &Builder<'_>, container: &mut Container, plan: &impl Serialize) {
    let plan = serde_json::to_string(plan).expect("our own types are representable as JSON");
    let additions = builder.wanted.spec.pod_overrides.iter().flat_map(|it| &it.env);
    let mut env: Vec<EnvVar> = additions.map(variable).collect();
    env.push(EnvVar {
        name: PLAN_VARIABLE.into(),
        value: Some(literal(&plan)),
        value_from: None,
    });
    container.env = Some(env);
    container.volume_mounts.get_or_insert_default().push(VolumeMount {
        name: TUNE_VOLUME.into(),
        mount_path: TUNE_DIR.into(),
        ..VolumeMount::default()
    });
}

/// What is special about a Job.
pub struct Shape<'a> {
    /// Its name.
    pub name: String,
    /// What part of the training it is.
    pub component: &'a str,
    /// Whether its pods wait.
    pub suspend: bool,
    /// Pods that work together, each with a number.
    pub members: u32,
    /// Seconds that a pod may take to end.
    pub grace: i64,
}

/// A Job whose pods say in their last words what came of it. It is made once and never changed but for `suspend`.
pub fn build(builder: &Builder<'_>, shape: Shape<'_>, spec: PodSpec) -> Job {
    let Shape {
        name,
        component,
        suspend,
        members,
        grace,
    } = shape;
    let asked = &builder.wanted.spec;
    let main = spec.containers.first().map(|container| container.name.clone());
    let mut volumes = spec.volumes.unwrap_or_default();
    volumes.push(Volume {
        name: TUNE_VOLUME.into(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
            claim_name: builder.volume(),
            read_only: None,
        }),
        ..Volume::default()
    });
    let spec = PodSpec {
        affinity: (!claim::is_shared(builder)).then(|| together(builder)),
        // Each attempt is a pod of its own, so that the report of each can be read.
        restart_policy: Some("Never".into()),
        // A fresh volume belongs to root.
        security_context: Some(PodSecurityContext {
            fs_group: Some(USER),
            ..PodSecurityContext::default()
        }),
        termination_grace_period_seconds: Some(grace),
        volumes: Some(volumes),
        ..spec
    };
    let mut metadata = builder.metadata(name, component);
    let made_from = [
        (ANNOTATION_PLAN.to_owned(), builder.wanted.key.clone()),
        (ANNOTATION_SHAPE.to_owned(), builder.wanted.shape.clone()),
    ];
    metadata.annotations = Some(made_from.into());
    let mut labels = builder.labels(component);
    labels.insert(LABEL_VOLUME.into(), builder.volume());
    let several = (members > 1).then(|| i32::try_from(members).unwrap_or(i32::MAX));
    Job {
        metadata,
        spec: Some(JobSpec {
            // What ails all members of a group is counted once for each.
            backoff_limit: Some(asked.retries.saturating_mul(several.unwrap_or(1))),
            completion_mode: several.map(|_| "Indexed".into()),
            completions: several,
            parallelism: several,
            pod_failure_policy: Some(PodFailurePolicy {
                rules: vec![
                    permanent(main.clone()),
                    disrupted(),
                    blameless(main, &[EXIT_INTERRUPTED, EXIT_MEMBER_LOST]),
                ],
            }),
            // Two pods at one checkpoint would be one too many.
            pod_replacement_policy: Some("Failed".into()),
            suspend: suspend.then_some(true),
            template: placed(
                &asked.placement.clone().unwrap_or_default(),
                &asked.pod_overrides.clone().unwrap_or_default(),
                labels,
                spec,
            ),
            ..JobSpec::default()
        }),
        status: None,
    }
}

/// A volume that one node mounts keeps the pods that need it on that node.
fn together(builder: &Builder<'_>) -> Affinity {
    let labels = [(LABEL_VOLUME.to_owned(), builder.volume())];
    Affinity {
        pod_affinity: Some(PodAffinity {
            required_during_scheduling_ignored_during_execution: Some(vec![PodAffinityTerm {
                label_selector: Some(LabelSelector {
                    match_labels: Some(labels.into()),
                    ..LabelSelector::default()
                }),
                topology_key: HOSTNAME.into(),
                ..PodAffinityTerm::default()
            }]),
            ..PodAffinity::default()
        }),
        ..Affinity::default()
    }
}

/// Label by which Kueue takes charge of a Job.
pub const QUEUE: &str = "kueue.x-k8s.io/queue-name";

/// Lets a queue decide when the pods of a Job start.
pub fn queued(builder: &Builder<'_>, mut job: Job) -> Job {
    let Some(queue) = &builder.wanted.spec.queue_name else {
        return job;
    };
    job.metadata
        .labels
        .get_or_insert_default()
        .insert(QUEUE.into(), queue.clone());
    if let Some(spec) = &mut job.spec {
        spec.suspend = Some(true);
    }
    job
}

/// The container's image and names, for a step that is no worker.
pub fn of_data_image(builder: &Builder<'_>, mut container: Container) -> Container {
    // Validation refuses FineTuneJobs where there is none.
    container.image.clone_from(&builder.settings.data_image);
    container.name = names::CONTAINER_DATA.into();
    container
}
