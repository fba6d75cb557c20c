//! The Job that reads the sources once.

use api::{
    common::{Placement, PodOverrides},
    names::{ANNOTATION_PLAN, ANNOTATION_SYNC, COMPONENT_INGEST, CONTAINER_INGEST, ingest_job, room_ingest},
};
use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec, PodFailurePolicy},
        core::v1::{
            EmptyDirVolumeSource, EnvVar, PodSpec, ProjectedVolumeSource, ServiceAccountTokenProjection, Volume,
            VolumeProjection,
        },
    },
    apimachinery::pkg::api::resource::Quantity,
};
use protocol::{
    paths::{GATEWAY_TOKEN_DIR, GATEWAY_TOKEN_FILE, INGEST_DIR},
    report::EXIT_INTERRUPTED,
    tune::PLAN_VARIABLE,
};

use super::{Builder, Run, labels, metadata, plan, sources};
use crate::controllers::{
    common::jobs::{blameless, disrupted, permanent},
    llmmodel::build::{
        job::mount,
        pod::{container, literal, memory_and_cpu, placed},
    },
};

/// Memory that it gets at most: it does not grow with the sources.
const MEMORY: &str = "2Gi";
/// What is reserved of it.
const RESERVED: &str = "512Mi";
/// CPU request; it takes what is left over, as reading scanned pages has use for all of it.
const CPU: &str = "500m";
/// Attempts after the first one.
const RETRIES: i32 = 2;
/// Longest run. What it has brought to the gateway by then, the next one does not bring again.
const DEADLINE: i64 = 24 * 3600;
/// Seconds that a pod may take to end: what it has done is at the gateway already.
const GRACE: i64 = 10;
/// Room for documents that are being read, and their pages.
const SCRATCH_SIZE: &str = "10Gi";
const SCRATCH_VOLUME: &str = "work";
pub(super) const TOKEN_VOLUME: &str = "token";
/// How long a token is shown before another one takes its place, in seconds.
const TOKEN_SECONDS: i64 = 3600;

/// Memory and CPU of its pods, for messages.
pub fn size() -> (&'static str, &'static str) {
    (MEMORY, CPU)
}

/// The Job. It is made once and never changed.
pub fn build(builder: &Builder<'_>, run: Run<'_>) -> Job {
    let owner = builder.owner;
    let access: Vec<_> = builder
        .wanted
        .sources
        .iter()
        .filter_map(|source| sources::access(source, run.read.contains(&source.spec.name)))
        .collect();
    let plan = plan::plan(builder, run, access.iter().map(|it| it.source.clone()).collect());
    let plan = serde_json::to_string(&plan).expect("our own types are representable as JSON");
    let mut main = container(&builder.settings.common, CONTAINER_INGEST, vec!["ingest".into()]);
    // Validation refuses Rooms where there is none.
    main.image.clone_from(&builder.settings.common.data_image);
    main.env = Some(vec![EnvVar {
        name: PLAN_VARIABLE.into(),
        value: Some(literal(&plan)),
        value_from: None,
    }]);
    let mut resources = memory_and_cpu(MEMORY, CPU);
    resources
        .requests
        .get_or_insert_default()
        .insert("memory".into(), Quantity(RESERVED.into()));
    main.resources = Some(resources);
    let mounts = main.volume_mounts.get_or_insert_default();
    mounts.push(mount(TOKEN_VOLUME, GATEWAY_TOKEN_DIR, Some(true)));
    mounts.push(mount(SCRATCH_VOLUME, INGEST_DIR, None));
    let mut volumes = vec![token(builder), scratch()];
    for source in access {
        mounts.extend(source.mounts);
        volumes.extend(source.volumes);
    }
    let spec = PodSpec {
        containers: vec![main],
        // Each attempt is a pod of its own, so that the report of each can be read.
        restart_policy: Some("Never".into()),
        termination_grace_period_seconds: Some(GRACE),
        volumes: Some(volumes),
        ..PodSpec::default()
    };
    let overrides = PodOverrides {
        service_account_name: Some(room_ingest(&owner.name)),
        ..PodOverrides::default()
    };
    let mut metadata = metadata(owner, ingest_job(&owner.name, run.number), COMPONENT_INGEST);
    let annotations = metadata.annotations.get_or_insert_default();
    annotations.insert(ANNOTATION_PLAN.into(), run.key.into());
    if let Some(requested) = &owner.requested {
        annotations.insert(ANNOTATION_SYNC.into(), requested.clone());
    }
    let main = || Some(CONTAINER_INGEST.to_owned());
    Job {
        metadata,
        spec: Some(JobSpec {
            active_deadline_seconds: Some(DEADLINE),
            backoff_limit: Some(RETRIES),
            pod_failure_policy: Some(PodFailurePolicy {
                rules: vec![permanent(main()), disrupted(), blameless(main(), &[EXIT_INTERRUPTED])],
            }),
            // Of two that fill a generation the gateway lets the later one go on.
            pod_replacement_policy: Some("Failed".into()),
            template: placed(&Placement::default(), &overrides, labels(owner, COMPONENT_INGEST), spec),
            ..JobSpec::default()
        }),
        status: None,
    }
}

/// The token that the gateway wants to see; no other one is in the pod.
pub(super) fn token(builder: &Builder<'_>) -> Volume {
    let token = ServiceAccountTokenProjection {
        audience: Some(builder.settings.audience.clone()),
        expiration_seconds: Some(TOKEN_SECONDS),
        path: GATEWAY_TOKEN_FILE.into(),
    };
    Volume {
        name: TOKEN_VOLUME.into(),
        projected: Some(ProjectedVolumeSource {
            sources: Some(vec![VolumeProjection {
                service_account_token: Some(token),
                ..VolumeProjection::default()
            }]),
            ..ProjectedVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn scratch() -> Volume {
    Volume {
        name: SCRATCH_VOLUME.into(),
        empty_dir: Some(EmptyDirVolumeSource {
            size_limit: Some(Quantity(SCRATCH_SIZE.into())),
            ..EmptyDirVolumeSource::default()
        }),
        ..Volume::default()
    }
}
