//! How a pod gets at the weights: volumes, mounts, and what `prepare` is told.

use api::llmmodel::OciSource;
use api::names::{self, CONTAINER_PREPARE};
use k8s_openapi::api::core::v1::{
    Container, EmptyDirVolumeSource, ImageVolumeSource, KeyToPath, LocalObjectReference,
    PersistentVolumeClaimVolumeSource, ProjectedVolumeSource, SecretProjection, SecretVolumeSource, Volume,
    VolumeMount, VolumeProjection,
};
use protocol::{
    PrepareReport,
    paths::{MODEL_DIR, NODE_CACHE_DIR},
};

use super::{
    Builder, node_cache,
    pod::{container, literal, memory_and_cpu},
};
use crate::controllers::llmmodel::{source::Source, validate::NodeCache, version::Version};

/// Name of the volume with the weights.
pub const MODEL_VOLUME: &str = "model";
const HEADERS_VOLUME: &str = "headers";
const TOKEN_VOLUME: &str = "token";
const CREDENTIALS_VOLUME: &str = "credentials";
/// Where the files with request headers lie.
const HEADERS_DIR: &str = "/headers";
/// Where the object store's settings lie.
const CREDENTIALS_DIR: &str = "/credentials";
/// Where the access token lies.
const TOKEN_DIR: &str = "/token";
const TOKEN_FILE: &str = "token";
/// Memory of the prepare step: fetching and hashing need little, however large the weights are.
pub const PREPARE_MEMORY: &str = "256Mi";
/// CPU of the prepare step.
pub const PREPARE_CPU: &str = "100m";

/// Volumes of a pod that serves a version.
pub fn served(builder: &Builder<'_>, version: &Version) -> Vec<Volume> {
    match version.artifact() {
        Some(key) => vec![claim(
            MODEL_VOLUME,
            &names::weights_claim(&builder.owner.name, &key),
            true,
        )],
        None => volumes(builder, &version.source),
    }
}

/// A volume from a claim.
pub fn claim(name: &str, claim: &str, read_only: bool) -> Volume {
    Volume {
        name: name.into(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
            claim_name: claim.into(),
            read_only: read_only.then_some(true),
        }),
        ..Volume::default()
    }
}

/// A volume from a source, which is empty when the source has to be fetched.
pub fn volume(name: &str, source: &Source) -> Volume {
    let base = Volume {
        name: name.into(),
        ..Volume::default()
    };
    match source {
        Source::Oci(oci) if !oci.is_artifact() => Volume {
            image: Some(ImageVolumeSource {
                reference: Some(oci.image.clone()),
                pull_policy: oci.pull_policy.map(|policy| policy.as_str().into()),
            }),
            ..base
        },
        Source::Oci(_) | Source::Http(_) | Source::HuggingFace(_) | Source::ObjectStore(_) => Volume {
            empty_dir: Some(EmptyDirVolumeSource::default()),
            ..base
        },
        Source::PersistentVolumeClaim(found) => claim(name, &found.claim_name, true),
    }
}

/// Volumes of a pod that reads the source.
pub fn volumes(builder: &Builder<'_>, source: &Source) -> Vec<Volume> {
    let model = match node_cache::of(builder, source) {
        Some(cache) => node_cache::volume(builder, cache),
        None => volume(MODEL_VOLUME, source),
    };
    [Some(model), credentials(source)].into_iter().flatten().collect()
}

/// The volume with what a container needs to fetch the source, if it needs anything.
pub fn credentials(source: &Source) -> Option<Volume> {
    let secret = |volume: &str, name: &str, items| Volume {
        name: volume.into(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(name.into()),
            items,
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    };
    match source {
        Source::Http(http) => {
            let headers = http.headers_secret_ref.as_ref();
            headers.map(|headers| secret(HEADERS_VOLUME, &headers.name, None))
        }
        Source::HuggingFace(hub) => hub.token_secret_ref.as_ref().map(|token| {
            let item = KeyToPath {
                key: token.key.clone(),
                path: TOKEN_FILE.into(),
                mode: None,
            };
            secret(TOKEN_VOLUME, &token.name, Some(vec![item]))
        }),
        Source::ObjectStore(store) => {
            let credentials = store.credentials_secret_ref.as_ref();
            credentials.map(|credentials| secret(CREDENTIALS_VOLUME, &credentials.name, None))
        }
        Source::Oci(oci) if oci.is_artifact() => registry_credentials(oci),
        Source::Oci(_) | Source::PersistentVolumeClaim(_) => None,
    }
}

/// Logins for the registry of an artifact: one file of each Secret.
fn registry_credentials(oci: &OciSource) -> Option<Volume> {
    let sources = oci
        .pull_secrets
        .iter()
        .enumerate()
        .map(|(number, secret)| VolumeProjection {
            secret: Some(SecretProjection {
                name: secret.name.clone(),
                items: Some(vec![KeyToPath {
                    key: ".dockerconfigjson".into(),
                    path: format!("{number}.json"),
                    mode: None,
                }]),
                optional: None,
            }),
            ..VolumeProjection::default()
        });
    (!oci.pull_secrets.is_empty()).then(|| Volume {
        name: CREDENTIALS_VOLUME.into(),
        projected: Some(ProjectedVolumeSource {
            sources: Some(sources.collect()),
            default_mode: None,
        }),
        ..Volume::default()
    })
}

/// The mount of a container that only reads the weights.
pub fn mount() -> VolumeMount {
    VolumeMount {
        name: MODEL_VOLUME.into(),
        mount_path: MODEL_DIR.into(),
        read_only: Some(true),
        ..VolumeMount::default()
    }
}

/// Registry credentials for the source.
pub fn pull_secrets(source: &Source) -> Option<Vec<LocalObjectReference>> {
    let Source::Oci(oci) = source else { return None };
    if oci.is_artifact() {
        return None;
    }
    let secrets: Vec<_> = oci
        .pull_secrets
        .iter()
        .map(|secret| LocalObjectReference {
            name: secret.name.clone(),
        })
        .collect();
    (!secrets.is_empty()).then_some(secrets)
}

/// Weights that every pod has to fetch first.
pub fn must_be_fetched(source: &Source) -> bool {
    match source {
        Source::Oci(oci) => oci.is_artifact(),
        Source::Http(_) | Source::HuggingFace(_) | Source::ObjectStore(_) => true,
        Source::PersistentVolumeClaim(_) => false,
    }
}

/// What has to run before `prepare`.
pub fn before_prepare(builder: &Builder<'_>, source: &Source) -> Option<Container> {
    node_cache::of(builder, source).map(|_| node_cache::owner(builder))
}

/// The container that verifies the weights, and fetches them first where the source asks for it.
/// `known` is what was found there before: nothing else may be there now.
pub fn prepare_container(builder: &Builder<'_>, source: &Source, known: Option<&PrepareReport>) -> Container {
    let Reading { args, mounts } = reading(source, known, node_cache::of(builder, source));
    let mut container = container(builder.settings, CONTAINER_PREPARE, args);
    container.volume_mounts.get_or_insert_default().extend(mounts);
    container.resources = Some(memory_and_cpu(PREPARE_MEMORY, PREPARE_CPU));
    container
}

/// How `prepare` gets at a source.
pub struct Reading {
    /// Its arguments, the subcommand first.
    pub args: Vec<String>,
    /// What its container mounts for it.
    pub mounts: Vec<VolumeMount>,
}

/// What `prepare` is told to read, given what was found there before, and the node's cache if it is to use that.
pub fn reading(source: &Source, known: Option<&PrepareReport>, cache: Option<&NodeCache>) -> Reading {
    let mut args = vec!["prepare".to_owned()];
    let mut add = |flag: &str, value: &str| args.extend([flag.to_owned(), literal(value)]);
    let to = cache.map_or(MODEL_DIR, |_| NODE_CACHE_DIR);
    let mut model = mount();
    let mut credentials = None;
    let read_only = |name: &str, path: &str| VolumeMount {
        name: name.into(),
        mount_path: path.into(),
        read_only: Some(true),
        ..VolumeMount::default()
    };
    let sha256 = match source {
        Source::Http(http) => {
            add("--url", &http.url);
            add("--to", to);
            model.read_only = None;
            if http.headers_secret_ref.is_some() {
                add("--headers-file", HEADERS_DIR);
                credentials = Some(read_only(HEADERS_VOLUME, HEADERS_DIR));
            }
            Some(http.sha256.as_str())
        }
        Source::HuggingFace(hub) => {
            add("--hugging-face", &hub.repo);
            add("--to", to);
            // A branch moves on; what is served does not.
            let commit = known.and_then(|report| report.revision.as_deref());
            add("--revision", commit.unwrap_or(&hub.revision));
            hub.files.iter().for_each(|file| add("--file", file));
            if let Some(endpoint) = &hub.endpoint {
                add("--endpoint", endpoint);
            }
            model.read_only = None;
            if hub.token_secret_ref.is_some() {
                add("--token-file", &format!("{TOKEN_DIR}/{TOKEN_FILE}"));
                credentials = Some(read_only(TOKEN_VOLUME, TOKEN_DIR));
            }
            known.map(|report| report.digest.as_str())
        }
        Source::ObjectStore(store) => {
            add("--object-store", &store.uri);
            add("--to", to);
            if let Some(version) = known.and_then(|report| report.revision.as_deref()) {
                add("--object-version", version);
            }
            model.read_only = None;
            if store.credentials_secret_ref.is_some() {
                add("--credentials-dir", CREDENTIALS_DIR);
                credentials = Some(read_only(CREDENTIALS_VOLUME, CREDENTIALS_DIR));
            }
            // An object may be replaced; what is served may not.
            known.map(|report| report.digest.as_str())
        }
        Source::Oci(oci) if oci.is_artifact() => {
            add("--oci", &oci.image);
            add("--to", to);
            // A tag moves on; what is served does not.
            if let Some(digest) = known.and_then(|report| report.revision.as_deref()) {
                add("--oci-digest", digest);
            }
            oci.path.iter().for_each(|path| add("--file", path));
            model.read_only = None;
            if !oci.pull_secrets.is_empty() {
                add("--registry-credentials", CREDENTIALS_DIR);
                credentials = Some(read_only(CREDENTIALS_VOLUME, CREDENTIALS_DIR));
            }
            known.map(|report| report.digest.as_str()).or(oci.sha256.as_deref())
        }
        Source::Oci(oci) => oci.sha256.as_deref(),
        Source::PersistentVolumeClaim(claim) => claim.sha256.as_deref(),
    };
    if matches!(source, Source::Oci(oci) if oci.plain_http == Some(true)) {
        args.push("--plain-http".into());
    }
    if !must_be_fetched(source) {
        let path = source
            .path()
            .map_or(MODEL_DIR.to_owned(), |path| format!("{MODEL_DIR}/{path}"));
        args.extend(["--path".to_owned(), literal(&path)]);
    }
    if let Some(sha256) = sha256 {
        args.extend(["--sha256".to_owned(), literal(sha256)]);
    }
    if let Some(cache) = cache {
        args.extend(["--cache-size".to_owned(), cache.size.to_string()]);
        model = node_cache::mount();
    }
    let mounts = [Some(model), credentials].into_iter().flatten().collect();
    Reading { args, mounts }
}
