//! How a pod gets at the weights: volumes, mounts, and what `prepare` is told.

use api::names::CONTAINER_PREPARE;
use k8s_openapi::api::core::v1::{
    Container, EmptyDirVolumeSource, ImageVolumeSource, LocalObjectReference, PersistentVolumeClaimVolumeSource,
    SecretVolumeSource, Volume, VolumeMount,
};
use protocol::paths::MODEL_DIR;

use super::{
    Builder,
    pod::{container, literal, memory_and_cpu},
};
use crate::controllers::llmmodel::source::Source;

const MODEL_VOLUME: &str = "model";
const HEADERS_VOLUME: &str = "headers";
/// Where the files with request headers lie.
const HEADERS_DIR: &str = "/headers";
/// Memory of the prepare step: fetching and hashing need little, however large the weights are.
pub const PREPARE_MEMORY: &str = "256Mi";
const PREPARE_CPU: &str = "100m";

/// Volumes of a pod that reads the weights.
pub fn volumes(source: &Source) -> Vec<Volume> {
    let mut model = Volume {
        name: MODEL_VOLUME.into(),
        ..Volume::default()
    };
    let mut headers = None;
    match source {
        Source::Oci(oci) => {
            model.image = Some(ImageVolumeSource {
                reference: Some(oci.image.clone()),
                pull_policy: oci.pull_policy.map(|policy| policy.as_str().into()),
            });
        }
        Source::Http(http) => {
            model.empty_dir = Some(EmptyDirVolumeSource::default());
            headers = http.headers_secret_ref.as_ref().map(|secret| Volume {
                name: HEADERS_VOLUME.into(),
                secret: Some(SecretVolumeSource {
                    secret_name: Some(secret.name.clone()),
                    ..SecretVolumeSource::default()
                }),
                ..Volume::default()
            });
        }
        Source::PersistentVolumeClaim(claim) => {
            model.persistent_volume_claim = Some(PersistentVolumeClaimVolumeSource {
                claim_name: claim.claim_name.clone(),
                read_only: Some(true),
            });
        }
    }
    [Some(model), headers].into_iter().flatten().collect()
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
    matches!(source, Source::Http(_))
}

/// The container that verifies the weights, and fetches them first where the source asks for it.
pub fn prepare_container(builder: &Builder<'_>, source: &Source) -> Container {
    let mut args = vec!["prepare".to_owned()];
    let mut add = |flag: &str, value: &str| args.extend([flag.to_owned(), literal(value)]);
    let mut model = mount();
    let mut headers = None;
    let sha256 = match source {
        Source::Http(http) => {
            add("--url", &http.url);
            add("--to", MODEL_DIR);
            model.read_only = None;
            if http.headers_secret_ref.is_some() {
                add("--headers-file", HEADERS_DIR);
                headers = Some(VolumeMount {
                    name: HEADERS_VOLUME.into(),
                    mount_path: HEADERS_DIR.into(),
                    read_only: Some(true),
                    ..VolumeMount::default()
                });
            }
            Some(http.sha256.as_str())
        }
        Source::Oci(oci) => oci.sha256.as_deref(),
        Source::PersistentVolumeClaim(claim) => claim.sha256.as_deref(),
    };
    if !must_be_fetched(source) {
        let path = source
            .path()
            .map_or(MODEL_DIR.to_owned(), |path| format!("{MODEL_DIR}/{path}"));
        add("--path", &path);
    }
    if let Some(sha256) = sha256 {
        add("--sha256", sha256);
    }
    let mut container = container(builder.settings, CONTAINER_PREPARE, args);
    container.volume_mounts.get_or_insert_default().push(model);
    container.volume_mounts.get_or_insert_default().extend(headers);
    container.resources = Some(memory_and_cpu(PREPARE_MEMORY, PREPARE_CPU));
    container
}
