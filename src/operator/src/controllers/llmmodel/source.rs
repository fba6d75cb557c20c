//! Where weights come from, of the ways that this release knows.

use api::llmmodel::{
    FileSource, HttpSource, HuggingFaceSource, ObjectStoreSource, OciSource, PersistentVolumeClaimSource,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::canonical;

/// A source of weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// A container image, mounted read-only; or an artifact, fetched by every pod at the digest that was found first.
    Oci(OciSource),
    /// One file, fetched by every pod.
    Http(HttpSource),
    /// A repository, fetched by every pod at the commit that was found first.
    HuggingFace(HuggingFaceSource),
    /// A file or folder of an object store, fetched by every pod.
    ObjectStore(ObjectStoreSource),
    /// A volume, mounted read-only.
    PersistentVolumeClaim(PersistentVolumeClaimSource),
}

impl Source {
    /// The place of a file that is no model, of the ways that this release mounts.
    pub fn of_file(source: &FileSource) -> Option<Self> {
        let oci = source.oci.clone().map(Self::Oci);
        let claim = || source.persistent_volume_claim.clone().map(Self::PersistentVolumeClaim);
        oci.or_else(claim)
    }

    /// `s-` and ten hex digits over what decides which file is meant. How it is reached (pull policy,
    /// credentials) may change without a new look at the weights.
    pub fn key(&self) -> String {
        let place = match self {
            Self::Oci(oci) if oci.is_artifact() => json!(["artifact", oci.image, oci.path, oci.sha256]),
            Self::Oci(oci) => json!(["oci", oci.image, oci.path, oci.sha256]),
            Self::Http(http) => json!(["http", http.url, http.sha256]),
            Self::HuggingFace(hub) => json!(["huggingFace", hub.endpoint, hub.repo, hub.revision, hub.files]),
            Self::ObjectStore(store) => json!(["objectStore", store.uri]),
            Self::PersistentVolumeClaim(pvc) => json!(["pvc", pvc.claim_name, pvc.path, pvc.sha256]),
        };
        format!("s-{}", canonical::digest(&place, 10))
    }

    /// The file that the spec names, relative to the root of the source.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Oci(oci) => oci.path.as_deref(),
            Self::Http(_) | Self::HuggingFace(_) | Self::ObjectStore(_) => None,
            Self::PersistentVolumeClaim(pvc) => pvc.path.as_deref(),
        }
    }

    /// For messages: what it is and where.
    pub fn describe(&self) -> String {
        match self {
            Self::Oci(oci) if oci.is_artifact() => format!("artifact {}", oci.image),
            Self::Oci(oci) => format!("image {}", oci.image),
            Self::Http(http) => http.url.clone(),
            Self::HuggingFace(hub) => format!("repository {} at {}", hub.repo, hub.revision),
            Self::ObjectStore(store) => store.uri.clone(),
            Self::PersistentVolumeClaim(pvc) => format!("PersistentVolumeClaim {}", pvc.claim_name),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn source(value: Value) -> Source {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_key_depends_on_the_file_and_not_on_how_it_is_reached() {
        let base = source(json!({"oci": {"image": "x:1"}}));
        assert_eq!(
            base.key(),
            source(json!({"oci": {"image": "x:1", "pullPolicy": "Never"}})).key()
        );
        assert_ne!(base.key(), source(json!({"oci": {"image": "x:2"}})).key());
        assert_ne!(
            base.key(),
            source(json!({"oci": {"image": "x:1", "path": "a.gguf"}})).key()
        );
        assert_eq!(base.key().len(), 12);
        assert_ne!(
            base.key(),
            source(json!({"oci": {"image": "x:1", "type": "Artifact"}})).key()
        );
        let store = |value| source(json!({"objectStore": value})).key();
        let base = store(json!({"uri": "s3://b/k"}));
        assert_eq!(
            base,
            store(json!({"uri": "s3://b/k", "credentialsSecretRef": {"name": "s"}}))
        );
        assert_ne!(base, store(json!({"uri": "s3://b/l"})));
    }
}
