//! The Job that trains.

use api::{
    finetunejob::BaseStatus,
    names::{ANNOTATION_BASE, COMPONENT_TRAIN, CONTAINER_PREPARE, CONTAINER_TRAIN, PORT_ADMIN, train_job},
};
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Container, PodSpec, Volume, VolumeMount},
};
use kube::ResourceExt;
use protocol::{paths::SUITES_DIR, ports::WORKER_ADMIN};

use super::{Builder, Start, job, memory, plans};
use crate::controllers::llmmodel::{
    build::{
        deployment::port,
        job::mount,
        pod::{container, memory_and_cpu},
        weights::{self, PREPARE_CPU, PREPARE_MEMORY, Reading},
    },
    version::Version,
};

/// CPU request when the spec gives none: it takes what is free.
pub const CPU: &str = "500m";
/// Seconds that a pod may take to save its state when it is stopped.
const GRACE: i64 = 120;

/// The Job.
pub fn build(builder: &Builder<'_>, start: Start<'_>) -> Job {
    let spec = &builder.wanted.spec;
    let source = &start.base.source;
    let listen = format!("0.0.0.0:{WORKER_ADMIN}");
    let args = ["train", "--admin-listen", &listen].map(Into::into).into();
    let mut main = container(builder.settings, CONTAINER_TRAIN, args);
    let resources = spec.resources.clone().unwrap_or_default();
    main.resources = Some(memory_and_cpu(
        &memory::of(builder, start.base),
        resources.cpu.as_deref().unwrap_or(CPU),
    ));
    main.ports = Some(vec![port(PORT_ADMIN, WORKER_ADMIN)]);
    job::equip(builder, &mut main, &plans::train(builder, start));
    let mut volumes = vec![weights::volume(weights::MODEL_VOLUME, source)];
    volumes.extend(weights::credentials(source));
    let mounts = main.volume_mounts.get_or_insert_default();
    mounts.push(weights::mount());
    suites(builder, &mut volumes, mounts);
    let overrides = spec.pod_overrides.as_ref();
    let pod = PodSpec {
        containers: vec![main],
        init_containers: weights::must_be_fetched(source).then(|| vec![fetcher(builder, start.base)]),
        image_pull_secrets: weights::pull_secrets(source),
        subdomain: (builder.wanted.members > 1).then(|| train_job(&builder.owner.name)),
        volumes: Some(volumes),
        ..PodSpec::default()
    };
    let shape = job::Shape {
        name: train_job(&builder.owner.name),
        component: COMPONENT_TRAIN,
        suspend: start.suspend,
        members: builder.wanted.members,
        grace: overrides
            .and_then(|it| it.termination_grace_period_seconds)
            .unwrap_or(GRACE),
    };
    let mut job = job::queued(builder, job::build(builder, shape, pod));
    // The model may have another version when it ends.
    let base = serde_json::to_string(&status(start.base)).expect("our own types are representable as JSON");
    job.annotations_mut().insert(ANNOTATION_BASE.into(), base);
    job
}

/// A base as the status has it.
pub fn status(base: &Version) -> BaseStatus {
    BaseStatus {
        version: base.name.clone(),
        digest: base.report.digest.clone(),
    }
}

/// Fetches the base, as pods do that serve it.
fn fetcher(builder: &Builder<'_>, base: &Version) -> Container {
    let Reading { args, mounts } = weights::reading(&base.source, Some(&base.report), None);
    let mut container = container(builder.settings, CONTAINER_PREPARE, args);
    container.volume_mounts.get_or_insert_default().extend(mounts);
    container.resources = Some(memory_and_cpu(PREPARE_MEMORY, PREPARE_CPU));
    container
}

/// Mounts suites that do not come with the worker.
pub fn suites(builder: &Builder<'_>, volumes: &mut Vec<Volume>, mounts: &mut Vec<VolumeMount>) {
    for (name, source) in &builder.wanted.suites {
        let Some(source) = source else { continue };
        let volume = format!("suite-{name}");
        mounts.push(mount(&volume, &format!("{SUITES_DIR}/{name}"), Some(true)));
        volumes.push(weights::volume(&volume, source));
    }
}
