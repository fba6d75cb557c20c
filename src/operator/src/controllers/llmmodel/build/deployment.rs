//! The pods of a version.

use api::{
    llmmodel::Task,
    names::{ANNOTATION_APPLIED, ANNOTATION_CHAT_TEMPLATE, CONTAINER_WORKER, PORT_ADMIN, PORT_API},
};
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{
            Affinity, Container, ContainerPort, DownwardAPIVolumeFile, DownwardAPIVolumeSource, EnvVar, HTTPGetAction,
            Lifecycle, LifecycleHandler, ObjectFieldSelector, PodAffinity, PodAffinityTerm, PodSpec, Probe,
            SleepAction, TopologySpreadConstraint, Volume, VolumeMount,
        },
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use protocol::{
    paths::MODEL_DIR,
    ports::{WORKER_ADMIN, WORKER_API},
};

use super::{
    Builder,
    pod::{container, literal, memory_and_cpu, template},
    weights,
};
use crate::controllers::llmmodel::{canonical, quantity, version::Version};

/// Seconds that a pod still answers after its endpoint is withdrawn: the news has to reach the gateway.
const PRE_STOP_SECONDS: i64 = 5;
/// Seconds for requests under way when a pod is stopped, unless the spec says otherwise.
const GRACE_SECONDS: i64 = 60;
/// Seconds for loading and warming up: weights of hundreds of gigabytes come from slow disks too.
const START_SECONDS: i32 = 1800;
const HOSTNAME: &str = "kubernetes.io/hostname";
const TEMPLATE_VOLUME: &str = "chat-template";
const TEMPLATE_DIR: &str = "/chat-template";
const TEMPLATE_FILE: &str = "template.jinja";

/// The Deployment of a version.
pub fn build(builder: &Builder<'_>, version: &Version) -> Deployment {
    let wanted = builder.wanted;
    let selector = builder.selector(version);
    let is_compressed = version.artifact().is_some();
    let mut volumes = weights::served(builder, version);
    volumes.extend(version.served.chat_template.is_some().then(template_volume));
    let must_be_fetched = !is_compressed && weights::must_be_fetched(&version.source);
    let spec = PodSpec {
        affinity: (is_compressed && !builder.settings.storage.is_shared()).then(|| together(builder, version)),
        containers: vec![worker(builder, version)],
        init_containers: must_be_fetched.then(|| {
            vec![weights::prepare_container(
                builder,
                &version.source,
                Some(&version.report),
            )]
        }),
        image_pull_secrets: weights::pull_secrets(&version.source).filter(|_| !is_compressed),
        termination_grace_period_seconds: Some(
            wanted
                .overrides
                .termination_grace_period_seconds
                .unwrap_or(GRACE_SECONDS)
                + PRE_STOP_SECONDS,
        ),
        topology_spread_constraints: Some(spread(builder, version)),
        volumes: Some(volumes),
        ..PodSpec::default()
    };
    let mut pod = template(builder, builder.serving_labels(version), spec);
    if let (Some(text), Some(metadata)) = (&version.served.chat_template, &mut pod.metadata) {
        let annotations = metadata.annotations.get_or_insert_default();
        annotations.insert(ANNOTATION_CHAT_TEMPLATE.into(), text.clone());
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
    let wanted = builder.wanted;
    let mut worker = container(builder.settings, CONTAINER_WORKER, args(builder, version));
    let mounts = worker.volume_mounts.get_or_insert_default();
    mounts.push(weights::mount());
    if version.served.chat_template.is_some() {
        mounts.push(VolumeMount {
            name: TEMPLATE_VOLUME.into(),
            mount_path: TEMPLATE_DIR.into(),
            read_only: Some(true),
            ..VolumeMount::default()
        });
    }
    let env = wanted.overrides.env.iter().map(|variable| EnvVar {
        name: variable.name.clone(),
        value: Some(literal(&variable.value)),
        value_from: None,
    });
    let env: Vec<_> = env.collect();
    worker.env = (!env.is_empty()).then_some(env);
    worker.ports = Some(vec![port(PORT_API, WORKER_API), port(PORT_ADMIN, WORKER_ADMIN)]);
    worker.resources = Some(memory_and_cpu(&memory(builder, version), &wanted.cpu));
    worker.lifecycle = Some(Lifecycle {
        pre_stop: Some(LifecycleHandler {
            sleep: Some(SleepAction {
                seconds: PRE_STOP_SECONDS,
            }),
            ..LifecycleHandler::default()
        }),
        ..Lifecycle::default()
    });
    worker.startup_probe = Some(probe("/readyz", 1, START_SECONDS));
    worker.readiness_probe = Some(probe("/readyz", 2, 2));
    worker.liveness_probe = Some(probe("/healthz", 10, 6));
    worker
}

/// Memory of one replica, as a quantity; an estimate is rounded up to whole mebibytes.
pub fn memory(builder: &Builder<'_>, version: &Version) -> String {
    let given = builder.wanted.memory.clone();
    given.unwrap_or_else(|| format!("{}Mi", version.estimate().total.div_ceil(1 << 20)))
}

fn args(builder: &Builder<'_>, version: &Version) -> Vec<String> {
    let served = &version.served;
    let threads = quantity::ceiling(&builder.wanted.cpu).unwrap_or(1).max(1);
    let mut args = vec!["serve".to_owned()];
    let mut add = |flag: &str, value: &str| args.extend([flag.to_owned(), literal(value)]);
    match builder.wanted.task {
        // The worker's default.
        Task::Generate => {}
        Task::Embed => add("--task", "embed"),
        Task::Rerank => add("--task", "rerank"),
    }
    add("--model", &weights_path(version));
    add("--digest", &version.report.digest);
    add("--served-name", &builder.owner.name);
    add("--context-length", &served.context_length.to_string());
    add(
        "--max-concurrent-sequences",
        &served.max_concurrent_sequences.to_string(),
    );
    add("--max-batch-tokens", &served.max_batch_tokens.to_string());
    add("--max-queue", &served.max_queue.to_string());
    if !served.prefix_cache {
        add("--prefix-cache", "false");
    }
    add("--dtype", &served.dtype);
    add("--threads", &threads.to_string());
    add("--listen", &format!("0.0.0.0:{WORKER_API}"));
    add("--admin-listen", &format!("0.0.0.0:{WORKER_ADMIN}"));
    if let Some(text) = &served.system_prompt {
        add("--system-prompt", text);
    }
    if served.chat_template.is_some() {
        add("--chat-template", &format!("{TEMPLATE_DIR}/{TEMPLATE_FILE}"));
    }
    args
}

/// Where the worker finds the weights; a source can be one directory of them as a whole.
fn weights_path(version: &Version) -> String {
    match version.file() {
        "." => MODEL_DIR.into(),
        file => format!("{MODEL_DIR}/{file}"),
    }
}

fn template_volume() -> Volume {
    Volume {
        name: TEMPLATE_VOLUME.into(),
        downward_api: Some(DownwardAPIVolumeSource {
            items: Some(vec![DownwardAPIVolumeFile {
                path: TEMPLATE_FILE.into(),
                field_ref: Some(ObjectFieldSelector {
                    api_version: Some("v1".into()),
                    field_path: format!("metadata.annotations['{ANNOTATION_CHAT_TEMPLATE}']"),
                }),
                ..DownwardAPIVolumeFile::default()
            }]),
            ..DownwardAPIVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn port(name: &str, number: u16) -> ContainerPort {
    ContainerPort {
        name: Some(name.into()),
        container_port: number.into(),
        protocol: Some("TCP".into()),
        ..ContainerPort::default()
    }
}

fn probe(path: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.into()),
            port: IntOrString::String(PORT_ADMIN.into()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        timeout_seconds: Some(5),
        ..Probe::default()
    }
}

/// All pods on one node: no other one can mount their volume.
fn together(builder: &Builder<'_>, version: &Version) -> Affinity {
    Affinity {
        pod_affinity: Some(PodAffinity {
            required_during_scheduling_ignored_during_execution: Some(vec![PodAffinityTerm {
                label_selector: Some(LabelSelector {
                    match_labels: Some(builder.selector(version)),
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
