//! What pods that load a version's weights have in common: those that serve it and those that evaluate it.

use std::collections::BTreeMap;

use api::names::{ANNOTATION_CHAT_TEMPLATE, LABEL_VOLUME};
use k8s_openapi::{
    api::core::v1::{
        Affinity, Container, DownwardAPIVolumeFile, DownwardAPIVolumeSource, ObjectFieldSelector, PodAffinity,
        PodAffinityTerm, PodSpec, PodTemplateSpec, ResourceRequirements, Volume, VolumeMount,
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use protocol::paths::{CACHE_WEIGHTS, MODEL_DIR, TUNED_DIR};

use super::{
    Builder, devices, node_cache,
    pod::{literal, memory_and_cpu},
    weights,
};
use crate::controllers::llmmodel::{accelerator::Accelerator, follow, quantity, version::Version};

/// Where pods are apart from each other.
pub const HOSTNAME: &str = "kubernetes.io/hostname";
const TEMPLATE_VOLUME: &str = "chat-template";
const TEMPLATE_DIR: &str = "/chat-template";
const TEMPLATE_FILE: &str = "template.jinja";
const TUNED_VOLUME: &str = "tuned";

/// A pod whose main container loads the weights.
pub fn spec(builder: &Builder<'_>, version: &Version, main: Container) -> PodSpec {
    let is_compressed = version.artifact().is_some();
    let must_be_fetched = !is_compressed && weights::must_be_fetched(&version.source);
    let mut volumes = weights::served(builder, version);
    volumes.extend(version.served.chat_template.is_some().then(template_volume));
    let tuned = version.tuned.as_ref();
    volumes.extend(tuned.map(|tuned| weights::claim(TUNED_VOLUME, &tuned.place.claim, true)));
    let volume = follow::claim_of(version).map(of_volume);
    let peers = is_compressed.then(|| builder.selector(version));
    PodSpec {
        affinity: together(builder, [peers, volume].into_iter().flatten()),
        containers: vec![main],
        init_containers: must_be_fetched.then(|| {
            let source = &version.source;
            let prepare = weights::prepare_container(builder, source, Some(&version.report));
            let all = weights::before_prepare(builder, source).into_iter().chain([prepare]);
            all.collect()
        }),
        image_pull_secrets: weights::pull_secrets(&version.source).filter(|_| !is_compressed),
        resource_claims: devices::claims(builder),
        tolerations: devices::tolerations(builder.wanted.accelerator.as_ref()),
        volumes: Some(volumes),
        ..PodSpec::default()
    }
}

/// What the main container mounts.
pub fn mounts(builder: &Builder<'_>, version: &Version) -> Vec<VolumeMount> {
    let template = version.served.chat_template.is_some().then(|| VolumeMount {
        name: TEMPLATE_VOLUME.into(),
        mount_path: TEMPLATE_DIR.into(),
        read_only: Some(true),
        ..VolumeMount::default()
    });
    let mut mounts = match node_cache::of_version(builder, version) {
        Some(_) => node_cache::mounts(version).into(),
        None => vec![weights::mount()],
    };
    mounts.extend(template);
    mounts.extend(version.tuned.as_ref().map(|tuned| VolumeMount {
        name: TUNED_VOLUME.into(),
        mount_path: TUNED_DIR.into(),
        // Data and checkpoints on the volume are no business of those that serve.
        sub_path: Some(tuned.place.path.clone()),
        read_only: Some(true),
        ..VolumeMount::default()
    }));
    mounts
}

/// What the main container is told of the model: everything that changes answers.
pub fn args(builder: &Builder<'_>, version: &Version) -> Vec<String> {
    let served = &version.served;
    let threads = quantity::ceiling(&builder.wanted.cpu).unwrap_or(1).max(1);
    let mut args = Vec::new();
    let mut add = |flag: &str, value: &str| args.extend([flag.to_owned(), literal(value)]);
    add("--model", &weights_path(builder, version));
    add("--digest", &version.report.digest);
    add("--context-length", &served.context_length.to_string());
    add(
        "--max-concurrent-sequences",
        &served.max_concurrent_sequences.to_string(),
    );
    add("--max-batch-tokens", &served.max_batch_tokens.to_string());
    add("--dtype", &served.dtype);
    add("--threads", &threads.to_string());
    let accelerator = builder.wanted.accelerator.as_ref();
    if accelerator.is_some_and(Accelerator::is_nvidia) {
        add("--device", "cuda");
    }
    if let Some(text) = &served.system_prompt {
        add("--system-prompt", text);
    }
    if served.chat_template.is_some() {
        add("--chat-template", &format!("{TEMPLATE_DIR}/{TEMPLATE_FILE}"));
    }
    if let Some(tuned) = &version.tuned {
        add("--tuned", TUNED_DIR);
        add("--tuned-digest", &tuned.digest);
        add("--tuned-base", version.base_digest());
    }
    if node_cache::of_version(builder, version).is_some() {
        args.extend(node_cache::args(builder));
    }
    args
}

/// Puts the chat template where the pod reads it from, and says which volume of a training it mounts.
pub fn annotate(pod: &mut PodTemplateSpec, version: &Version) {
    if let (Some(text), Some(metadata)) = (&version.served.chat_template, &mut pod.metadata) {
        let annotations = metadata.annotations.get_or_insert_default();
        annotations.insert(ANNOTATION_CHAT_TEMPLATE.into(), text.clone());
    }
    label(pod, follow::claim_of(version));
}

/// What the main container gets.
pub fn resources(builder: &Builder<'_>, version: &Version) -> ResourceRequirements {
    let mut resources = memory_and_cpu(&memory(builder, version), &builder.wanted.cpu);
    devices::add(&mut resources, builder.wanted.accelerator.as_ref());
    resources
}

/// Memory of one replica, as a quantity; an estimate is rounded up to whole mebibytes.
pub fn memory(builder: &Builder<'_>, version: &Version) -> String {
    let given = builder.wanted.memory.clone();
    given.unwrap_or_else(|| format!("{}Mi", version.estimate().total.div_ceil(1 << 20)))
}

/// Where the main container finds the weights; a source can be one directory of them as a whole.
pub fn weights_path(builder: &Builder<'_>, version: &Version) -> String {
    if node_cache::of_version(builder, version).is_some() {
        return format!("{MODEL_DIR}/{CACHE_WEIGHTS}");
    }
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

/// Label of pods that mount the volume of a training.
fn of_volume(claim: &str) -> BTreeMap<String, String> {
    [(LABEL_VOLUME.to_owned(), claim.to_owned())].into()
}

/// All pods with one of these sets of labels on one node, where no other one can mount their volume.
fn together(builder: &Builder<'_>, peers: impl Iterator<Item = BTreeMap<String, String>>) -> Option<Affinity> {
    let term = |labels| PodAffinityTerm {
        label_selector: Some(LabelSelector {
            match_labels: Some(labels),
            ..LabelSelector::default()
        }),
        topology_key: HOSTNAME.into(),
        ..PodAffinityTerm::default()
    };
    let terms: Vec<_> = peers.map(term).collect();
    let is_needed = !terms.is_empty() && !builder.settings.storage.is_shared();
    is_needed.then(|| Affinity {
        pod_affinity: Some(PodAffinity {
            required_during_scheduling_ignored_during_execution: Some(terms),
            ..PodAffinity::default()
        }),
        ..Affinity::default()
    })
}

/// Where a pod runs that mounts the volume of a training: beside all others that do.
pub fn beside(builder: &Builder<'_>, claim: Option<&str>) -> Option<Affinity> {
    together(builder, claim.map(of_volume).into_iter())
}

/// Lets other pods find the node that a volume of a training is on.
pub fn label(pod: &mut PodTemplateSpec, claim: Option<&str>) {
    if let (Some(claim), Some(metadata)) = (claim, &mut pod.metadata) {
        metadata.labels.get_or_insert_default().extend(of_volume(claim));
    }
}
