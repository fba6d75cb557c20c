//! The container of a server that is not ours, as far as it differs from the worker's.

use api::{
    llmmodel::ForeignEngine,
    names::{ANNOTATION_METRICS, PORT_API, PORT_METRICS},
};
use k8s_openapi::api::core::v1::{
    Container, ContainerPort, EmptyDirVolumeSource, EnvVar, PodTemplateSpec, Volume, VolumeMount,
};
use protocol::paths::SCRATCH_DIR;

use super::{
    Builder,
    deployment::{port, probe},
    model_pod,
    pod::{literal, variable},
};
use crate::controllers::llmmodel::version::Version;

const HOME_VOLUME: &str = "home";
const SHARED_MEMORY_VOLUME: &str = "shared-memory";
const SHARED_MEMORY_DIR: &str = "/dev/shm";
/// Python looks the user up by it: images know nobody of our number.
const USER_NAME: &str = "atelier";
const METRICS_PATH: &str = "/metrics";

/// Turns the worker's container into that of `engine`.
pub fn container(builder: &Builder<'_>, version: &Version, engine: &ForeignEngine, worker: Container) -> Container {
    let check = |period, failures| Some(probe(&engine.health_path, PORT_API, period, failures));
    let mut mounts = model_pod::mounts(builder, version);
    mounts.extend([(HOME_VOLUME, SCRATCH_DIR), (SHARED_MEMORY_VOLUME, SHARED_MEMORY_DIR)].map(mount));
    Container {
        image: Some(engine.image.clone()),
        // As Kubernetes has it: it is not ours to know what the tag means.
        image_pull_policy: None,
        args: (!engine.args.is_empty()).then(|| engine.args.clone()),
        env: Some(variables(builder, version)),
        ports: Some(ports(engine)),
        startup_probe: check(1, super::deployment::START_SECONDS),
        readiness_probe: check(2, 2),
        liveness_probe: check(10, 6),
        volume_mounts: Some(mounts),
        ..worker
    }
}

/// Volumes that the container writes to. What it keeps in shared memory counts as its memory.
pub fn volumes() -> [Volume; 2] {
    [(HOME_VOLUME, None), (SHARED_MEMORY_VOLUME, Some("Memory"))].map(|(name, medium)| Volume {
        name: name.into(),
        empty_dir: Some(EmptyDirVolumeSource {
            medium: medium.map(Into::into),
            ..EmptyDirVolumeSource::default()
        }),
        ..Volume::default()
    })
}

/// Says where metrics are: to the operator, and to a Prometheus that goes by the usual annotations.
pub fn annotate(pod: &mut PodTemplateSpec, engine: &ForeignEngine) {
    let (port, path) = metrics(engine);
    let annotations = pod.metadata.get_or_insert_default().annotations.get_or_insert_default();
    annotations.insert(ANNOTATION_METRICS.into(), format!("{port}{path}"));
    for (key, value) in [
        ("prometheus.io/scrape", "true".to_owned()),
        ("prometheus.io/port", port.to_string()),
        ("prometheus.io/path", path.to_owned()),
    ] {
        annotations.entry(key.into()).or_insert(value);
    }
}

/// The port of its API.
pub fn api_port(engine: &ForeignEngine) -> u16 {
    number(engine.port)
}

/// The port of its metrics, if it is another one.
pub fn metrics_port(engine: &ForeignEngine) -> Option<u16> {
    let (port, _) = metrics(engine);
    (port != api_port(engine)).then_some(port)
}

fn metrics(engine: &ForeignEngine) -> (u16, &str) {
    let asked = engine.metrics.as_ref();
    let port = asked.and_then(|it| it.port).unwrap_or(engine.port);
    let path = asked.and_then(|it| it.path.as_deref()).unwrap_or(METRICS_PATH);
    (number(port), path)
}

/// The schema keeps it in the range of ports.
fn number(port: i32) -> u16 {
    u16::try_from(port).unwrap_or_default()
}

fn ports(engine: &ForeignEngine) -> Vec<ContainerPort> {
    let metrics = metrics_port(engine).map(|number| port(PORT_METRICS, number));
    [Some(port(PORT_API, api_port(engine))), metrics]
        .into_iter()
        .flatten()
        .collect()
}

/// What arguments can name, and what people set, which wins.
fn variables(builder: &Builder<'_>, version: &Version) -> Vec<EnvVar> {
    let ours = [
        ("MODEL_PATH", model_pod::weights_path(builder, version)),
        ("SERVED_NAME", builder.owner.name.clone()),
        ("CONTEXT_LENGTH", version.served.context_length.to_string()),
        ("TENSOR_PARALLEL", builder.wanted.tensor_parallel.to_string()),
        ("HOME", SCRATCH_DIR.into()),
        ("USER", USER_NAME.into()),
    ];
    let theirs = &builder.wanted.overrides.env;
    let is_theirs = |name: &str| theirs.iter().any(|variable| variable.name == name);
    let ours = ours
        .into_iter()
        .filter(|(name, _)| !is_theirs(name))
        .map(|(name, value)| EnvVar {
            name: name.into(),
            value: Some(literal(&value)),
            value_from: None,
        });
    ours.chain(theirs.iter().map(variable)).collect()
}

fn mount((name, path): (&str, &str)) -> VolumeMount {
    VolumeMount {
        name: name.into(),
        mount_path: path.into(),
        ..VolumeMount::default()
    }
}
