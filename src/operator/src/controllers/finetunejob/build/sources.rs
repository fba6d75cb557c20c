//! How a pod gets at the data: volumes, mounts, and what the plan says of them.

use std::path::PathBuf;

use api::finetunejob::DatasetSource;
use k8s_openapi::api::core::v1::{KeyToPath, LocalObjectReference, SecretVolumeSource, Volume, VolumeMount};
use protocol::{
    paths::{DATA_SECRETS_DIR, DATA_SOURCES_DIR},
    tune::{DataSource, DataSourceKind},
};

use crate::controllers::{
    finetunejob::validate::number::natural,
    llmmodel::{
        build::{job::mount, weights},
        source::Source,
    },
};

/// The file in the directory of a SQL source's Secret.
const CONNECTION_FILE: &str = "url";

/// What a pod needs for a source.
pub struct Access {
    /// What the plan says.
    pub source: DataSource,
    /// Volumes of the pod.
    pub volumes: Vec<Volume>,
    /// Mounts of the container.
    pub mounts: Vec<VolumeMount>,
    /// Logins for image volumes.
    pub pull_secrets: Vec<LocalObjectReference>,
}

/// What a pod needs for a source. Of those that the schema refuses, and validation, nothing is read.
pub fn access(source: &DatasetSource) -> Option<Access> {
    let name = &source.name;
    let mut access = Access {
        source: DataSource {
            name: name.clone(),
            weight: u32::try_from(natural(source.weight)).unwrap_or(u32::MAX),
            kind: kind(source)?,
        },
        volumes: Vec::new(),
        mounts: Vec::new(),
        pull_secrets: Vec::new(),
    };
    let mounted = source.oci.clone().map(Source::Oci);
    let claim = || source.pvc.clone().map(Source::PersistentVolumeClaim);
    if let Some(mounted) = mounted.or_else(claim) {
        let volume = format!("source-{name}");
        access.mounts.push(mount(&volume, &directory(name), Some(true)));
        access.volumes.push(weights::volume(&volume, &mounted));
        access.pull_secrets = weights::pull_secrets(&mounted).unwrap_or_default();
    }
    if let Some((secret, items)) = secret(source) {
        let volume = format!("secret-{name}");
        access.mounts.push(mount(&volume, &secrets(name), Some(true)));
        access.volumes.push(Volume {
            name: volume,
            secret: Some(SecretVolumeSource {
                secret_name: Some(secret),
                items,
                ..SecretVolumeSource::default()
            }),
            ..Volume::default()
        });
    }
    Some(access)
}

fn kind(source: &DatasetSource) -> Option<DataSourceKind> {
    let secrets = PathBuf::from(secrets(&source.name));
    let mounted = match (&source.oci, &source.pvc) {
        (Some(oci), _) => Some((&oci.path, &oci.image)),
        (None, Some(pvc)) => Some((&pvc.path, &pvc.claim_name)),
        (None, None) => None,
    };
    if let Some((path, identity)) = mounted {
        let directory = PathBuf::from(directory(&source.name));
        let path = path
            .as_ref()
            .map_or_else(|| directory.clone(), |path| directory.join(path));
        return Some(DataSourceKind::Mounted {
            path,
            identity: identity.clone(),
        });
    }
    if let Some(http) = &source.http {
        return Some(DataSourceKind::Http {
            url: http.url.clone(),
            sha256: http.sha256.clone(),
            headers_dir: http.headers_secret_ref.as_ref().map(|_| secrets),
        });
    }
    if let Some(store) = &source.object_store {
        return Some(DataSourceKind::ObjectStore {
            uri: store.uri.clone(),
            credentials_dir: store.credentials_secret_ref.as_ref().map(|_| secrets),
        });
    }
    source.sql.as_ref().map(|sql| DataSourceKind::Sql {
        connection_file: secrets.join(CONNECTION_FILE),
        query: sql.query.clone(),
        descriptions: sql.descriptions.clone(),
    })
}

/// Name and, if not all, keys of the Secret that a source needs.
fn secret(source: &DatasetSource) -> Option<(String, Option<Vec<KeyToPath>>)> {
    let headers = source.http.as_ref().and_then(|http| http.headers_secret_ref.as_ref());
    let credentials = || source.object_store.as_ref()?.credentials_secret_ref.as_ref();
    if let Some(all) = headers.or_else(credentials) {
        return Some((all.name.clone(), None));
    }
    let connection = &source.sql.as_ref()?.connection_secret_ref;
    let item = KeyToPath {
        key: connection.key.clone(),
        path: CONNECTION_FILE.into(),
        mode: None,
    };
    Some((connection.name.clone(), Some(vec![item])))
}

fn directory(name: &str) -> String {
    format!("{DATA_SOURCES_DIR}/{name}")
}

fn secrets(name: &str) -> String {
    format!("{DATA_SECRETS_DIR}/{name}")
}
