//! Adapters beside a served model: what the operator wants of workers, as a file that they watch, and what
//! they say became of it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Name of the file with a [`WantedAdapters`], in its ConfigMap and where that is mounted.
pub const FILE: &str = "adapters.json";
/// Where workers tell an [`AdaptersAnswer`], on their admin port.
pub const PATH: &str = "/admin/adapters";

/// The adapters that a model is to be served with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WantedAdapters {
    /// Differs when other adapters are wanted, not when one is pinned.
    pub id: String,
    /// The adapters, each with a name of its own.
    pub adapters: Vec<WantedAdapter>,
}

/// One adapter that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WantedAdapter {
    /// What requests call it, after the model's name and a colon.
    pub name: String,
    /// Follows from what the spec says of its source: lower-case letters, digits and hyphens.
    pub key: String,
    /// Where it is.
    pub source: AdapterSource,
    /// The commit or manifest at which it was found first: a branch or tag moves on, what is served does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The digest that it must have, as `sha256:` and 64 hex digits: that of the spec, or the one found first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// For what a training has published: the digest of its manifest, as `sha256:` and 64 hex digits. Its files are
    /// compared with that before they are loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// Where an adapter is: a directory with the two files that PEFT writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum AdapterSource {
    /// A repository of the Hugging Face Hub, or of a mirror of it.
    HuggingFace {
        /// `owner/name`.
        repo: String,
        /// Branch, tag or commit.
        revision: String,
        /// Files to take; none means the adapter at the repository's root.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        files: Vec<String>,
        /// Base URL of the mirror.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint: Option<String>,
        /// File with an access token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_file: Option<PathBuf>,
    },
    /// A folder of an object store.
    ObjectStore {
        /// `s3://bucket/folder`, `az://container/folder` or `gs://bucket/folder`.
        uri: String,
        /// Directory of files named like the variables that the store's own tools read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        credentials_dir: Option<PathBuf>,
    },
    /// An artifact of an OCI registry.
    Oci {
        /// `registry/repository:tag` or `registry/repository@digest`.
        image: String,
        /// Directories of files with registry credentials.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        credentials_dirs: Vec<PathBuf>,
        /// Asks without TLS.
        #[serde(default)]
        plain_http: bool,
    },
    /// A volume that is mounted in the pod.
    Mounted {
        /// Where it is mounted.
        mount: PathBuf,
        /// The directory inside; the volume's root by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
    },
}

/// What a worker answers at [`PATH`], as far as the operator reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdaptersAnswer {
    /// What became of the list; nothing before it has been read.
    #[serde(default)]
    pub wanted: Option<AdaptersReport>,
}

/// What became of the adapters that are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdaptersReport {
    /// [`WantedAdapters::id`] of the list that was read last.
    pub id: String,
    /// Each adapter of it.
    pub adapters: Vec<AdapterReport>,
}

/// What became of one adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdapterReport {
    /// Its name.
    pub name: String,
    /// [`WantedAdapter::key`] that it was wanted with.
    pub key: String,
    /// How far it is.
    pub state: AdapterState,
    /// Its digest, once it is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The commit that it is of, where its source has such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Why it failed, and what to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How far an adapter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdapterState {
    /// It is fetched and loaded.
    Loading,
    /// Requests can ask for it.
    Ready,
    /// It could not be loaded; it is tried again.
    Failed,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_file_reads_as_it_is_documented() {
        let file = json!({"id": "1", "adapters": [
            {"name": "a", "key": "s-1", "revision": "main", "source": {"huggingFace": {
                "repo": "o/n", "revision": "main", "tokenFile": "/adapters/secrets/s/token",
            }}},
            {"name": "b", "key": "s-2", "digest": "sha256:00", "source": {"objectStore": {
                "uri": "s3://b/k", "credentialsDir": "/adapters/secrets/s",
            }}},
            {"name": "c", "key": "s-3", "source": {"mounted": {"mount": "/adapters/mounts/c"}}},
        ]});
        let read: WantedAdapters = serde_json::from_value(file.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), file);
    }

    #[test]
    fn a_worker_without_a_list_tells_of_none() {
        let answer: AdaptersAnswer = serde_json::from_str(r#"{"adapters": [], "bytes": 0}"#).unwrap();
        assert_eq!(answer.wanted, None);
    }
}
