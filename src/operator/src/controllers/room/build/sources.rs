//! How a pod gets at the sources: volumes, mounts, and what the plan says of them.

use std::path::PathBuf;

use k8s_openapi::api::core::v1::{SecretVolumeSource, Volume, VolumeMount};
use protocol::{
    ingest::{IngestSource, IngestSourceKind, Ocr},
    paths::{DATA_SECRETS_DIR, DATA_SOURCES_DIR},
};

use crate::controllers::{
    llmmodel::build::{job::mount, weights},
    room::validate::Source,
};

/// What a pod needs for a source.
pub struct Access {
    /// What the plan says.
    pub source: IngestSource,
    /// Volumes of the pod.
    pub volumes: Vec<Volume>,
    /// Mounts of the container.
    pub mounts: Vec<VolumeMount>,
}

/// What a pod needs for a source; `read` says whether it is to be read. Of those that the schema refuses there is nothing.
pub fn access(source: &Source, read: bool) -> Option<Access> {
    let spec = &source.spec;
    let name = &spec.name;
    let mut access = Access {
        source: IngestSource {
            name: name.clone(),
            clearance: u8::try_from(spec.clearance).unwrap_or(u8::MAX),
            read,
            ocr: spec.ocr.as_ref().map(|ocr| Ocr {
                languages: ocr.languages.clone(),
                min_confidence: u8::try_from(ocr.min_confidence).unwrap_or(u8::MAX),
            }),
            kind: kind(source)?,
        },
        volumes: Vec::new(),
        mounts: Vec::new(),
    };
    // What is missing of a source that is not read now keeps nobody waiting.
    if !read {
        return Some(access);
    }
    if let Some(claim) = &spec.pvc {
        let volume = format!("source-{name}");
        access.mounts.push(mount(&volume, &directory(name), Some(true)));
        access.volumes.push(weights::claim(&volume, &claim.claim_name, true));
    }
    if let Some(secret) = secret(source) {
        let volume = format!("secret-{name}");
        access.mounts.push(mount(&volume, &secrets(name), Some(true)));
        access.volumes.push(Volume {
            name: volume,
            secret: Some(SecretVolumeSource {
                secret_name: Some(secret),
                ..SecretVolumeSource::default()
            }),
            ..Volume::default()
        });
    }
    Some(access)
}

fn kind(source: &Source) -> Option<IngestSourceKind> {
    let spec = &source.spec;
    let secrets = || PathBuf::from(secrets(&spec.name));
    if let Some(claim) = &spec.pvc {
        let directory = PathBuf::from(directory(&spec.name));
        return Some(IngestSourceKind::Mounted {
            path: claim
                .path
                .as_ref()
                .map_or_else(|| directory.clone(), |path| directory.join(path)),
        });
    }
    if let Some(http) = &spec.http {
        return Some(IngestSourceKind::Http {
            urls: http.urls.clone(),
            depth: http.depth.unsigned_abs(),
            headers_dir: http.headers_secret_ref.as_ref().map(|_| secrets()),
        });
    }
    if let Some(store) = &spec.object_store {
        return Some(IngestSourceKind::ObjectStore {
            uri: store.uri.clone(),
            credentials_dir: store.credentials_secret_ref.as_ref().map(|_| secrets()),
        });
    }
    if let Some(git) = &spec.git {
        return Some(IngestSourceKind::Git {
            url: git.url.clone(),
            revision: git.revision.clone(),
            path: git.path.clone(),
            credentials_dir: git.credentials_secret_ref.as_ref().map(|_| secrets()),
        });
    }
    source.max_bytes.map(|max_bytes| IngestSourceKind::Upload { max_bytes })
}

/// Name of the Secret that a source needs.
fn secret(source: &Source) -> Option<String> {
    let spec = &source.spec;
    let headers = || spec.http.as_ref()?.headers_secret_ref.as_ref();
    let store = || spec.object_store.as_ref()?.credentials_secret_ref.as_ref();
    let git = || spec.git.as_ref()?.credentials_secret_ref.as_ref();
    let found = headers().or_else(store).or_else(git);
    found.map(|secret| secret.name.clone())
}

fn directory(name: &str) -> String {
    format!("{DATA_SOURCES_DIR}/{name}")
}

fn secrets(name: &str) -> String {
    format!("{DATA_SECRETS_DIR}/{name}")
}
