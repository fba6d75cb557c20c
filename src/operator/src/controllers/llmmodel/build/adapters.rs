//! Adapters beside a model. The list of them is a ConfigMap that pods mount: the kubelet brings a new one into pods
//! that run, and the worker loads and unloads. So it belongs to the model, and to no version.

use std::collections::{BTreeMap, BTreeSet};

use api::{llmmodel::Task, names};
use k8s_openapi::api::core::v1::{
    ConfigMap, ConfigMapVolumeSource, EmptyDirVolumeSource, LocalObjectReference, SecretVolumeSource, Volume,
    VolumeMount,
};
use kube::ResourceExt;
use protocol::{
    AdapterReport, AdapterSource, AdapterState, WantedAdapter, WantedAdapters,
    adapters::FILE,
    paths::{ADAPTER_MOUNTS_DIR, ADAPTER_SECRETS_DIR, ADAPTER_STORE_DIR, ADAPTERS_DIR},
};

use super::{Builder, weights};
use crate::controllers::llmmodel::{
    canonical, dereference::Observed, follow::OUTPUTS, quantity, source::Source, validate::Adapter, version::Version,
};

const LIST_VOLUME: &str = "adapters";
const STORE_VOLUME: &str = "adapters-store";
/// Adapters in memory take this part of it at most: the engine leaves as much for what is not planned.
const MEMORY_SHARE: i128 = 16;

/// Whether the pods of a version can have adapters.
pub fn are_possible(builder: &Builder<'_>, version: &Version) -> bool {
    builder.wanted.task == Task::Generate && version.served.engine.is_none()
}

/// The list of the adapters that are wanted, if there are any. What was found once is pinned.
pub fn list(builder: &Builder<'_>, observed: &Observed) -> Option<ConfigMap> {
    let adapters = &builder.wanted.adapters;
    if adapters.is_empty() {
        return None;
    }
    let before = observed.wanted_adapters(&builder.owner.name).unwrap_or_default();
    let keys: Vec<_> = adapters.iter().map(|it| (&it.name, it.source.key())).collect();
    let id = canonical::digest(&keys, 16);
    let wanted = |Adapter { name, source, follows }: &Adapter| {
        let key = source.key();
        let before = before.adapters.iter().find(|it| (&it.name, &it.key) == (name, &key));
        let found = found(observed, name, &key);
        let digest = pin(source).or_else(|| before.and_then(|it| it.digest.clone()));
        WantedAdapter {
            digest: digest.or_else(|| found.and_then(|it| it.digest.clone())),
            revision: match before.and_then(|it| it.revision.clone()) {
                None => found.and_then(|it| it.revision.clone()),
                known => known,
            },
            source: place(name, source, follows.is_some()),
            output: follows.as_ref().and_then(|_| output(source)),
            name: name.clone(),
            key,
        }
    };
    let list = WantedAdapters {
        id,
        adapters: adapters.iter().map(wanted).collect(),
    };
    let text = serde_json::to_string_pretty(&list).expect("our own types are representable as JSON");
    let mut labels = names::model_labels(&builder.owner.name);
    labels.insert(names::LABEL_COMPONENT.into(), names::COMPONENT_ADAPTERS.into());
    Some(ConfigMap {
        metadata: builder.metadata(names::adapters(&builder.owner.name), labels),
        data: Some([(FILE.to_owned(), text)].into()),
        ..ConfigMap::default()
    })
}

/// The list in a ConfigMap.
pub fn read(list: &ConfigMap) -> Option<WantedAdapters> {
    serde_json::from_str(list.data.as_ref()?.get(FILE)?).ok()
}

/// What the first pod found that has loaded the adapter.
fn found<'a>(observed: &'a Observed, name: &str, key: &str) -> Option<&'a AdapterReport> {
    let reports = observed.adapters.values().flat_map(|report| &report.adapters);
    let mut ready = reports.filter(|it| it.state == AdapterState::Ready);
    ready.find(|it| (it.name.as_str(), it.key.as_str()) == (name, key))
}

/// The digest that the spec gives.
fn pin(source: &Source) -> Option<String> {
    let given = match source {
        Source::Oci(oci) => oci.sha256.as_ref(),
        Source::PersistentVolumeClaim(claim) => claim.sha256.as_ref(),
        Source::Http(_) | Source::HuggingFace(_) | Source::ObjectStore(_) => None,
    };
    given.map(|sha256| format!("sha256:{sha256}"))
}

/// The digest of an output of a FineTuneJob, which its directory is named by.
fn output(source: &Source) -> Option<String> {
    let digits = source.path()?.strip_prefix(&format!("{OUTPUTS}/"))?;
    Some(format!("sha256:{digits}"))
}

/// Where a worker finds the adapter, an output of a FineTuneJob or another one.
fn place(name: &str, source: &Source, is_output: bool) -> AdapterSource {
    let secret = |name: &str| format!("{ADAPTER_SECRETS_DIR}/{name}");
    match source {
        Source::HuggingFace(hub) => AdapterSource::HuggingFace {
            repo: hub.repo.clone(),
            revision: hub.revision.clone(),
            files: hub.files.clone(),
            endpoint: hub.endpoint.clone(),
            token_file: hub
                .token_secret_ref
                .as_ref()
                .map(|token| format!("{}/{}", secret(&token.name), token.key).into()),
        },
        Source::ObjectStore(store) => AdapterSource::ObjectStore {
            uri: store.uri.clone(),
            credentials_dir: store
                .credentials_secret_ref
                .as_ref()
                .map(|credentials| secret(&credentials.name).into()),
        },
        Source::Oci(oci) if oci.is_artifact() => AdapterSource::Oci {
            image: oci.image.clone(),
            credentials_dirs: oci.pull_secrets.iter().map(|it| secret(&it.name).into()).collect(),
            plain_http: oci.plain_http == Some(true),
        },
        // One file from HTTP is no adapter, and is refused before.
        Source::Oci(_) | Source::PersistentVolumeClaim(_) | Source::Http(_) => AdapterSource::Mounted {
            mount: format!("{ADAPTER_MOUNTS_DIR}/{name}").into(),
            path: match source.path() {
                Some(path) if is_output => path.strip_prefix(&format!("{OUTPUTS}/")).map(Into::into),
                path => path.map(Into::into),
            },
        },
    }
}

/// What the worker is told.
pub fn args(memory: &str) -> Vec<String> {
    let bytes = quantity::nanos(memory).map(|nanos| nanos / 1_000_000_000 / MEMORY_SHARE);
    let mut args = vec![
        "--adapters".to_owned(),
        format!("{ADAPTERS_DIR}/{FILE}"),
        "--adapter-store".to_owned(),
        ADAPTER_STORE_DIR.to_owned(),
    ];
    args.extend(
        bytes
            .into_iter()
            .flat_map(|bytes| ["--adapter-memory".to_owned(), bytes.to_string()]),
    );
    args
}

/// The list, a place for what is fetched, and what sources of adapters need to be mounted. Nothing of it has to be
/// there: what is missing is missed by its adapter alone.
pub fn volumes(builder: &Builder<'_>) -> Vec<Volume> {
    let list = Volume {
        name: LIST_VOLUME.into(),
        config_map: Some(ConfigMapVolumeSource {
            name: names::adapters(&builder.owner.name),
            optional: Some(true),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    };
    let store = Volume {
        name: STORE_VOLUME.into(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    };
    // Adapters of one FineTuneJob share a volume.
    let mut known = BTreeSet::new();
    let mounted = mounted(builder).filter(|it| known.insert(volume_name(it)));
    let mounted: Vec<_> = mounted
        .map(|it| weights::volume(&volume_name(it), &it.source))
        .collect();
    let secrets = secrets(builder).into_iter().map(|(secret, name)| Volume {
        name,
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret),
            optional: Some(true),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    });
    [list, store].into_iter().chain(mounted).chain(secrets).collect()
}

/// Where the worker's container sees them.
pub fn mounts(builder: &Builder<'_>) -> Vec<VolumeMount> {
    let mount = |name: &str, path: String, read_only: bool| VolumeMount {
        name: name.into(),
        mount_path: path,
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    };
    let mut mounts = vec![
        mount(LIST_VOLUME, ADAPTERS_DIR.into(), true),
        mount(STORE_VOLUME, ADAPTER_STORE_DIR.into(), false),
    ];
    mounts.extend(mounted(builder).map(|adapter| VolumeMount {
        // All outputs of a FineTuneJob, so that the next one is there without another pod; and nothing else of it.
        sub_path: adapter.follows.as_ref().map(|_| OUTPUTS.into()),
        ..mount(
            &volume_name(adapter),
            format!("{ADAPTER_MOUNTS_DIR}/{}", adapter.name),
            true,
        )
    }));
    let secrets = secrets(builder).into_iter();
    mounts.extend(secrets.map(|(secret, name)| mount(&name, format!("{ADAPTER_SECRETS_DIR}/{secret}"), true)));
    mounts
}

/// Adds the registry credentials of adapters to those of a pod.
pub fn add_pull_secrets(builder: &Builder<'_>, secrets: &mut Option<Vec<LocalObjectReference>>) {
    let sources = builder.wanted.adapters.iter().map(|it| &it.source);
    for secret in sources.filter_map(weights::pull_secrets).flatten() {
        let known = secrets.get_or_insert_default();
        if !known.contains(&secret) {
            known.push(secret);
        }
    }
}

/// Adapters on volumes.
fn mounted<'a>(builder: &Builder<'a>) -> impl Iterator<Item = &'a Adapter> {
    let adapters = builder.wanted.adapters.iter();
    adapters.filter(|it| !weights::must_be_fetched(&it.source))
}

/// Secrets that sources need, each with the name of its volume.
fn secrets(builder: &Builder<'_>) -> BTreeMap<String, String> {
    let sources = builder.wanted.adapters.iter().map(|it| &it.source);
    let secrets = |source: &Source| match source {
        Source::HuggingFace(hub) => hub.token_secret_ref.iter().map(|token| token.name.clone()).collect(),
        Source::ObjectStore(store) => store.credentials_secret_ref.iter().map(|it| it.name.clone()).collect(),
        Source::Oci(oci) if oci.is_artifact() => oci.pull_secrets.iter().map(|it| it.name.clone()).collect(),
        Source::Http(_) | Source::Oci(_) | Source::PersistentVolumeClaim(_) => Vec::new(),
    };
    let names = sources.flat_map(secrets);
    // Names of Secrets are longer than those of volumes may be.
    names
        .map(|name| {
            (
                name.clone(),
                format!("adapters-secret-{}", canonical::digest(&name, 10)),
            )
        })
        .collect()
}

fn volume_name(adapter: &Adapter) -> String {
    match &adapter.follows {
        Some(job) => format!("outputs-{job}"),
        None => format!("adapter-{}", adapter.name),
    }
}

/// The name of the list, for whoever looks for it.
pub fn is_list(list: &ConfigMap, model: &str) -> bool {
    list.name_any() == names::adapters(model)
}
