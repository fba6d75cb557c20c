//! The pods of a version.

use api::{
    llmmodel::Task,
    names::{ANNOTATION_APPLIED, CONTAINER_WORKER, PORT_ADMIN, PORT_API},
};
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{
            Container, ContainerPort, HTTPGetAction, Lifecycle, LifecycleHandler, PodSpec, Probe, SleepAction,
            TopologySpreadConstraint,
        },
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use protocol::ports::{WORKER_ADMIN, WORKER_API};

use super::{
    Builder, adapters, engine,
    model_pod::{self, HOSTNAME},
    pod::{container, literal, template},
    traces,
};
use crate::controllers::llmmodel::{canonical, version::Version};

/// Seconds that a pod still answers after its endpoint is withdrawn: the news has to reach the gateway.
const PRE_STOP_SECONDS: i64 = 5;
/// Seconds for requests under way when a pod is stopped, unless the spec says otherwise.
const GRACE_SECONDS: i64 = 60;
/// Seconds for loading and warming up: weights of hundreds of gigabytes come from slow disks too.
pub const START_SECONDS: i32 = 1800;

/// The Deployment of a version.
pub fn build(builder: &Builder<'_>, version: &Version) -> Deployment {
    let wanted = builder.wanted;
    let selector = builder.selector(version);
    let foreign = version.served.engine.as_ref();
    let main = worker(builder, version);
    let main = match foreign {
        Some(engine) => engine::container(builder, version, engine, main),
        None => main,
    };
    let mut spec = PodSpec {
        termination_grace_period_seconds: Some(grace(builder) + PRE_STOP_SECONDS),
        topology_spread_constraints: Some(spread(builder, version)),
        ..model_pod::spec(builder, version, main)
    };
    if foreign.is_some() {
        spec.volumes.get_or_insert_default().extend(engine::volumes());
    }
    if adapters::are_possible(builder, version) {
        spec.volumes.get_or_insert_default().extend(adapters::volumes(builder));
        adapters::add_pull_secrets(builder, &mut spec.image_pull_secrets);
    }
    let mut pod = template(builder, builder.serving_labels(version), spec);
    model_pod::annotate(&mut pod, version);
    if let Some(engine) = foreign {
        engine::annotate(&mut pod, engine);
    }
    // Pods tell by it whether they are as the Deployment wants them now.
    let digest = canonical::digest(&pod, 16);
    let metadata = pod.metadata.get_or_insert_default();
    let annotations = metadata.annotations.get_or_insert_default();
    annotations.insert(ANNOTATION_APPLIED.into(), digest);
    Deployment {
        metadata: builder.version_metadata(version),
        spec: Some(DeploymentSpec {
            replicas: Some(wanted.replicas),
            revision_history_limit: Some(1),
            selector: LabelSelector {
                match_labels: Some(selector),
                ..LabelSelector::default()
            },
            // A pod that serves goes only when its successor is ready.
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".into()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_surge: Some(IntOrString::Int(1)),
                    max_unavailable: Some(IntOrString::Int(0)),
                }),
            }),
            template: pod,
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

fn worker(builder: &Builder<'_>, version: &Version) -> Container {
    let mut worker = container(builder.settings, CONTAINER_WORKER, args(builder, version));
    let mounts = worker.volume_mounts.get_or_insert_default();
    mounts.extend(model_pod::mounts(builder, version));
    if adapters::are_possible(builder, version) {
        mounts.extend(adapters::mounts(builder));
    }
    let env = traces::variables(builder, version);
    worker.env = (!env.is_empty()).then_some(env);
    worker.ports = Some(vec![port(PORT_API, WORKER_API), port(PORT_ADMIN, WORKER_ADMIN)]);
    worker.resources = Some(model_pod::resources(builder, version));
    worker.lifecycle = Some(Lifecycle {
        pre_stop: Some(LifecycleHandler {
            sleep: Some(SleepAction {
                seconds: pre_stop(builder, version),
            }),
            ..LifecycleHandler::default()
        }),
        ..Lifecycle::default()
    });
    worker.startup_probe = Some(probe("/readyz", PORT_ADMIN, 1, START_SECONDS));
    worker.readiness_probe = Some(probe("/readyz", PORT_ADMIN, 2, 2));
    worker.liveness_probe = Some(probe("/healthz", PORT_ADMIN, 10, 6));
    worker
}

fn args(builder: &Builder<'_>, version: &Version) -> Vec<String> {
    let served = &version.served;
    let mut args = vec!["serve".to_owned()];
    match builder.wanted.task {
        // The worker's default.
        Task::Generate => {}
        Task::Embed => args.extend(["--task".to_owned(), "embed".to_owned()]),
        Task::Rerank => args.extend(["--task".to_owned(), "rerank".to_owned()]),
    }
    args.extend(model_pod::args(builder, version));
    let mut add = |flag: &str, value: &str| args.extend([flag.to_owned(), literal(value)]);
    add("--served-name", &builder.owner.name);
    add("--max-queue", &served.max_queue.to_string());
    if !served.prefix_cache {
        add("--prefix-cache", "false");
    }
    if adapters::are_possible(builder, version) {
        args.extend(adapters::args(&model_pod::memory(builder, version)));
    }
    let mut add = |flag: &str, value: &str| args.extend([flag.to_owned(), literal(value)]);
    add("--listen", &format!("0.0.0.0:{WORKER_API}"));
    add("--admin-listen", &format!("0.0.0.0:{WORKER_ADMIN}"));
    args
}

/// Seconds for requests under way.
fn grace(builder: &Builder<'_>) -> i64 {
    let given = builder.wanted.overrides.termination_grace_period_seconds;
    given.unwrap_or(GRACE_SECONDS)
}

/// Our worker answers what it has begun when it is told to stop. Others break off, so they are told only when that
/// time is over.
fn pre_stop(builder: &Builder<'_>, version: &Version) -> i64 {
    match version.served.engine {
        Some(_) => grace(builder).max(PRE_STOP_SECONDS),
        None => PRE_STOP_SECONDS,
    }
}

/// A port that bears a name.
pub fn port(name: &str, number: u16) -> ContainerPort {
    ContainerPort {
        name: Some(name.into()),
        container_port: number.into(),
        protocol: Some("TCP".into()),
        ..ContainerPort::default()
    }
}

/// A check of `path` at the port of that name.
pub fn probe(path: &str, port: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.into()),
            port: IntOrString::String(port.into()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        timeout_seconds: Some(5),
        ..Probe::default()
    }
}

/// Over nodes, and over zones unless that is switched off; as far as there is room.
fn spread(builder: &Builder<'_>, version: &Version) -> Vec<TopologySpreadConstraint> {
    let over = |key: &str| TopologySpreadConstraint {
        label_selector: Some(LabelSelector {
            match_labels: Some(builder.selector(version)),
            ..LabelSelector::default()
        }),
        max_skew: 1,
        topology_key: key.into(),
        when_unsatisfiable: "ScheduleAnyway".into(),
        ..TopologySpreadConstraint::default()
    };
    let zones = builder.wanted.placement.spread_over_zones;
    let mut constraints = vec![over(HOSTNAME)];
    constraints.extend(zones.then(|| over("topology.kubernetes.io/zone")));
    constraints
}
