//! Weights that the pods of a node share, in a directory of the node for each namespace.

use api::llmmodel::Task;
use api::names::CONTAINER_NODE_CACHE;
use k8s_openapi::api::core::v1::{Capabilities, Container, HostPathVolumeSource, SecurityContext, Volume, VolumeMount};
use protocol::paths::{CACHE_DAMAGED, CACHE_ENTRIES, CACHE_LOCK, CACHE_PACKED, MODEL_DIR, NODE_CACHE_DIR, PACKED_DIR};

use super::{
    Builder,
    pod::{USER, container, memory_and_cpu},
    weights,
};
use crate::controllers::llmmodel::{source::Source, validate::NodeCache, version::Version};

const VOLUME: &str = "node-cache";

/// The cache that pods use which fetch a source; `None` when they do not.
pub fn of<'a>(builder: &'a Builder<'_>, source: &Source) -> Option<&'a NodeCache> {
    let is_asked = builder.wanted.placement.node_cache == Some(true) && builder.wanted.compress.is_none();
    let cache = builder.settings.node_cache.as_ref()?;
    (is_asked && weights::must_be_fetched(source)).then_some(cache)
}

/// The cache that the pods of a version use.
pub fn of_version<'a>(builder: &'a Builder<'_>, version: &Version) -> Option<&'a NodeCache> {
    of(builder, &version.source).filter(|_| version.artifact().is_none())
}

/// The directory of the namespace on the node.
pub fn volume(builder: &Builder<'_>, cache: &NodeCache) -> Volume {
    let root = cache.host_path.trim_end_matches('/');
    Volume {
        name: VOLUME.into(),
        host_path: Some(HostPathVolumeSource {
            path: format!("{root}/{}", builder.owner.namespace),
            type_: Some("DirectoryOrCreate".into()),
        }),
        ..Volume::default()
    }
}

/// Hands the directory, which the kubelet makes as root, over to the user of all other containers.
pub fn owner(builder: &Builder<'_>) -> Container {
    let args = ["own", NODE_CACHE_DIR, "--user"].map(str::to_owned);
    let args = args.into_iter().chain([USER.to_string()]).collect();
    let base = container(builder.settings, CONTAINER_NODE_CACHE, args);
    Container {
        security_context: Some(SecurityContext {
            capabilities: Some(Capabilities {
                add: Some(vec!["CHOWN".into()]),
                drop: Some(vec!["ALL".into()]),
            }),
            run_as_group: Some(0),
            run_as_non_root: Some(false),
            run_as_user: Some(0),
            ..base.security_context.unwrap_or_default()
        }),
        volume_mounts: Some(vec![mount()]),
        resources: Some(memory_and_cpu(weights::PREPARE_MEMORY, weights::PREPARE_CPU)),
        ..base
    }
}

/// The whole of it, to fetch to.
pub fn mount() -> VolumeMount {
    VolumeMount {
        name: VOLUME.into(),
        mount_path: NODE_CACHE_DIR.into(),
        ..VolumeMount::default()
    }
}

/// What a version's main container sees of it: its own model, to read, and what its engine makes of that.
pub fn mounts(version: &Version) -> [VolumeMount; 2] {
    let digest = version.report.digest.trim_start_matches("sha256:");
    let inside = |directory: &str, path: &str, read_only| VolumeMount {
        name: VOLUME.into(),
        mount_path: path.into(),
        sub_path: Some(format!("{directory}/{digest}")),
        read_only,
        ..VolumeMount::default()
    };
    [
        inside(CACHE_ENTRIES, MODEL_DIR, Some(true)),
        inside(CACHE_PACKED, PACKED_DIR, None),
    ]
}

/// What a version's main container is told of it.
pub fn args(builder: &Builder<'_>) -> Vec<String> {
    let mut args = vec![
        "--weights-lock".to_owned(),
        format!("{MODEL_DIR}/{CACHE_LOCK}"),
        "--damage-note".to_owned(),
        format!("{PACKED_DIR}/{CACHE_DAMAGED}"),
    ];
    // Encoders have nothing to keep.
    if builder.wanted.task == Task::Generate {
        args.extend(["--cache-dir".to_owned(), PACKED_DIR.to_owned()]);
    }
    args
}
