//! The Jobs that verify and compress weights before anything serves them.

use api::names;
use k8s_openapi::api::{
    batch::v1::{Job, JobSpec, PodFailurePolicy},
    core::v1::{Container, PodSecurityContext, PodSpec, VolumeMount},
};
use protocol::{
    PrepareReport,
    paths::{CALIBRATION_DIR, STORE_DIR},
};

use super::{
    Builder, model_pod,
    pod::{USER, container, literal, memory_and_cpu, prepare_labels, template},
    weights::{self, Reading},
};
use crate::controllers::{
    common::jobs::{disrupted, permanent},
    llmmodel::{compression::Compression, follow, quantity, source::Source},
};

const STORE_VOLUME: &str = "store";
const CALIBRATION_VOLUME: &str = "calibration";

/// Attempts after the first one; the pause between them doubles from 10 s on.
const RETRIES: i32 = 6;

/// The Job that looks at the wanted source.
pub fn look(builder: &Builder<'_>) -> Job {
    let source = &builder.wanted.source;
    let claim = follow::claim_of_source(source);
    let spec = PodSpec {
        affinity: model_pod::beside(builder, claim),
        containers: vec![weights::prepare_container(builder, source, None)],
        init_containers: weights::before_prepare(builder, source).map(|first| vec![first]),
        image_pull_secrets: weights::pull_secrets(source),
        volumes: Some(weights::volumes(builder, source)),
        ..PodSpec::default()
    };
    labelled(job(builder, name(builder, &source.key()), spec), claim)
}

fn labelled(mut job: Job, claim: Option<&str>) -> Job {
    if let Some(spec) = &mut job.spec {
        model_pod::label(&mut spec.template, claim);
    }
    job
}

/// The Job that compresses the wanted source, given what is known of it.
pub fn compress(builder: &Builder<'_>, compression: &Compression, report: &PrepareReport) -> Job {
    let source = &builder.wanted.source;
    let key = compression.key(source);
    let mut volumes = weights::volumes(builder, source);
    volumes.push(weights::claim(
        STORE_VOLUME,
        &names::weights_claim(&builder.owner.name, &key),
        false,
    ));
    let text = compression.calibration.as_ref();
    volumes.extend(text.map(|text| weights::volume(CALIBRATION_VOLUME, text)));
    let claim = follow::claim_of_source(source);
    let spec = PodSpec {
        affinity: model_pod::beside(builder, claim),
        containers: vec![compressor(builder, compression, report)],
        image_pull_secrets: weights::pull_secrets(source),
        // A fresh volume belongs to root.
        security_context: Some(PodSecurityContext {
            fs_group: Some(USER),
            ..PodSecurityContext::default()
        }),
        volumes: Some(volumes),
        ..PodSpec::default()
    };
    labelled(job(builder, name(builder, &key), spec), claim)
}

/// Memory of the container that compresses: the estimate, or what replicas get if that is more.
pub fn compress_memory(builder: &Builder<'_>, compression: &Compression, report: &PrepareReport) -> String {
    let estimate = format!("{}Mi", compression.estimate(report).memory.div_ceil(1 << 20));
    let given = builder.wanted.memory.clone();
    let more = given.filter(|given| quantity::nanos(given) > quantity::nanos(&estimate));
    more.unwrap_or(estimate)
}

fn compressor(builder: &Builder<'_>, compression: &Compression, report: &PrepareReport) -> Container {
    let Reading { mut args, mut mounts } = weights::reading(&builder.wanted.source, Some(report), None);
    for (flag, value) in compression.flags() {
        args.extend([flag.to_owned(), literal(&value)]);
    }
    args.extend(["--store".to_owned(), STORE_DIR.to_owned()]);
    mounts.push(mount(STORE_VOLUME, STORE_DIR, None));
    if let Some(path) = compression.calibration.as_ref().and_then(Source::path) {
        args.extend([
            "--calibration".to_owned(),
            literal(&format!("{CALIBRATION_DIR}/{path}")),
        ]);
        mounts.push(mount(CALIBRATION_VOLUME, CALIBRATION_DIR, Some(true)));
    }
    let mut container = container(builder.settings, names::CONTAINER_PREPARE, args);
    container.volume_mounts.get_or_insert_default().extend(mounts);
    let memory = compress_memory(builder, compression, report);
    container.resources = Some(memory_and_cpu(&memory, &builder.wanted.cpu));
    container
}

/// A mount of a volume.
pub fn mount(name: &str, path: &str, read_only: Option<bool>) -> VolumeMount {
    VolumeMount {
        name: name.into(),
        mount_path: path.into(),
        read_only,
        ..VolumeMount::default()
    }
}

/// Name of a prepare Job; `key` tells what it prepares.
fn name(builder: &Builder<'_>, key: &str) -> String {
    names::prepare_job(&builder.owner.name, key)
}

/// A Job whose pods say in their last words what came of it.
pub fn job(builder: &Builder<'_>, name: String, spec: PodSpec) -> Job {
    let labels = prepare_labels(builder);
    let main = spec.containers.first().map(|container| container.name.clone());
    let spec = PodSpec {
        // Each attempt is a pod of its own, so that the report of each can be read.
        restart_policy: Some("Never".into()),
        termination_grace_period_seconds: Some(5),
        ..spec
    };
    Job {
        metadata: builder.metadata(name, labels.clone()),
        spec: Some(JobSpec {
            backoff_limit: Some(RETRIES),
            pod_failure_policy: Some(PodFailurePolicy {
                rules: vec![permanent(main), disrupted()],
            }),
            template: template(builder, labels, spec),
            ..JobSpec::default()
        }),
        status: None,
    }
}
