//! What all pods have in common: security, placement, additions by people.

use std::collections::BTreeMap;

use api::{
    common::{Placement, PodOverrides},
    names,
};
use k8s_openapi::{
    api::core::v1::{
        Affinity, Capabilities, Container, EmptyDirVolumeSource, EnvVar, NodeAffinity, NodeSelector,
        NodeSelectorRequirement, NodeSelectorTerm, PodSecurityContext, PodSpec, PodTemplateSpec, ResourceRequirements,
        SeccompProfile, SecurityContext, Volume, VolumeMount,
    },
    apimachinery::pkg::api::resource::Quantity,
};
use kube::api::ObjectMeta;
use protocol::paths::{SCRATCH_DIR, TERMINATION_LOG};

use super::Builder;
use crate::controllers::llmmodel::validate::Settings;

/// The user and the group of all pods: nobody in particular, and not root.
pub const USER: i64 = 65532;
const SCRATCH_VOLUME: &str = "scratch";
const SCRATCH_SIZE: &str = "64Mi";
const ZONE: &str = "topology.kubernetes.io/zone";

/// A container of the worker image with a read-only root file system and a small scratch directory.
pub fn container(settings: &Settings, name: &str, args: Vec<String>) -> Container {
    Container {
        name: name.into(),
        image: Some(settings.worker_image.clone()),
        image_pull_policy: Some(settings.worker_pull_policy.as_str().into()),
        args: Some(args),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".into()]),
                ..Capabilities::default()
            }),
            read_only_root_filesystem: Some(true),
            ..SecurityContext::default()
        }),
        // Without words of its own, a failed container's last log lines tell why.
        termination_message_path: Some(TERMINATION_LOG.into()),
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        volume_mounts: Some(vec![VolumeMount {
            name: SCRATCH_VOLUME.into(),
            mount_path: SCRATCH_DIR.into(),
            ..VolumeMount::default()
        }]),
        ..Container::default()
    }
}

/// Memory as request and limit, CPU as request only.
pub fn memory_and_cpu(memory: &str, cpu: &str) -> ResourceRequirements {
    let quantity = |name: &str, value: &str| (name.to_owned(), Quantity(value.into()));
    ResourceRequirements {
        limits: Some([quantity("memory", memory)].into()),
        requests: Some([quantity("cpu", cpu), quantity("memory", memory)].into()),
        ..ResourceRequirements::default()
    }
}

/// An argument that Kubernetes passes on as it is, whatever it looks like.
pub fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

/// A variable as people set it.
pub fn variable(variable: &api::common::EnvVar) -> EnvVar {
    EnvVar {
        name: variable.name.clone(),
        value: Some(literal(&variable.value)),
        value_from: None,
    }
}

/// A pod with these containers: restricted, placed as the spec says, without a token.
pub fn template(builder: &Builder<'_>, labels: BTreeMap<String, String>, spec: PodSpec) -> PodTemplateSpec {
    placed(&builder.wanted.placement, &builder.wanted.overrides, labels, spec)
}

/// A pod with these containers: restricted, in this place, with these additions, without a token.
pub fn placed(
    placement: &Placement,
    overrides: &PodOverrides,
    labels: BTreeMap<String, String>,
    spec: PodSpec,
) -> PodTemplateSpec {
    // Ours win: the selector and the security settings depend on them.
    let mut all = overrides.labels.clone();
    all.extend(labels);
    let mut volumes = spec.volumes.unwrap_or_default();
    let fs_group = spec.security_context.as_ref().and_then(|security| security.fs_group);
    volumes.push(Volume {
        name: SCRATCH_VOLUME.into(),
        empty_dir: Some(EmptyDirVolumeSource {
            size_limit: Some(Quantity(SCRATCH_SIZE.into())),
            ..EmptyDirVolumeSource::default()
        }),
        ..Volume::default()
    });
    let mut tolerations = spec.tolerations.unwrap_or_default();
    tolerations.extend(placement.tolerations.iter().map(Into::into));
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(all),
            annotations: some(overrides.annotations.clone(), BTreeMap::is_empty),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            affinity: in_zones(spec.affinity, &placement.zones),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            node_selector: some(placement.node_selector.clone(), BTreeMap::is_empty),
            priority_class_name: placement.priority_class_name.clone(),
            runtime_class_name: placement.runtime_class_name.clone(),
            security_context: Some(PodSecurityContext {
                fs_group,
                run_as_group: Some(USER),
                run_as_non_root: Some(true),
                run_as_user: Some(USER),
                seccomp_profile: Some(SeccompProfile {
                    type_: "RuntimeDefault".into(),
                    ..SeccompProfile::default()
                }),
                ..PodSecurityContext::default()
            }),
            service_account_name: overrides.service_account_name.clone(),
            tolerations: some(tolerations, Vec::is_empty),
            volumes: Some(volumes),
            ..spec
        }),
    }
}

/// Labels of the pods of the prepare Job.
pub fn prepare_labels(builder: &Builder<'_>) -> BTreeMap<String, String> {
    let mut labels = names::model_labels(&builder.owner.name);
    labels.insert(names::LABEL_COMPONENT.into(), names::COMPONENT_PREPARE.into());
    labels
}

/// What the pod needs itself, in one of these zones if there are any.
fn in_zones(affinity: Option<Affinity>, zones: &[String]) -> Option<Affinity> {
    if zones.is_empty() {
        return affinity;
    }
    let in_zones = NodeSelectorTerm {
        match_expressions: Some(vec![NodeSelectorRequirement {
            key: ZONE.into(),
            operator: "In".into(),
            values: Some(zones.to_vec()),
        }]),
        ..NodeSelectorTerm::default()
    };
    Some(Affinity {
        node_affinity: Some(NodeAffinity {
            required_during_scheduling_ignored_during_execution: Some(NodeSelector {
                node_selector_terms: vec![in_zones],
            }),
            ..NodeAffinity::default()
        }),
        ..affinity.unwrap_or_default()
    })
}

fn some<T>(value: T, is_empty: impl FnOnce(&T) -> bool) -> Option<T> {
    (!is_empty(&value)).then_some(value)
}
