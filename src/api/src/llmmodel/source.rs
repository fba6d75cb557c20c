//! Where weights come from.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::Provider;
use crate::common::{HttpSource, ObjectStoreSource, OciSource, PersistentVolumeClaimSource, SecretKeyRef, pattern};

/// Where the weights come from: exactly one field is set.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.oci), has(self.huggingFace), has(self.http), has(self.objectStore), \
        has(self.persistentVolumeClaim), has(self.fineTuneJob), has(self.provider)].filter(x, x).size() == 1")
    .message("source needs exactly one of oci, huggingFace, http, objectStore, persistentVolumeClaim, fineTuneJob and provider"))]
pub struct ModelSource {
    /// A container image that holds the weights, mounted read-only as an image volume; or an artifact of a registry.
    pub oci: Option<OciSource>,
    /// A repository of the Hugging Face Hub, or of a mirror of it.
    pub hugging_face: Option<HuggingFaceSource>,
    /// One file from an HTTP server.
    pub http: Option<HttpSource>,
    /// A file or a folder of an object store.
    pub object_store: Option<ObjectStoreSource>,
    /// A file on a volume of this namespace.
    pub persistent_volume_claim: Option<PersistentVolumeClaimSource>,
    /// What a FineTuneJob of this namespace publishes.
    pub fine_tune_job: Option<FineTuneJobSource>,
    /// A model that somebody else hosts.
    pub provider: Option<Provider>,
}

/// Where a file that is not a model comes from: exactly one field is set.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.oci), has(self.huggingFace), has(self.http), has(self.objectStore), \
        has(self.persistentVolumeClaim)].filter(x, x).size() == 1")
    .message("a file's source needs exactly one of oci, huggingFace, http, objectStore and persistentVolumeClaim"))]
pub struct FileSource {
    /// A container image that holds the file, mounted read-only as an image volume.
    pub oci: Option<OciSource>,
    /// A repository of the Hugging Face Hub, or of a mirror of it.
    pub hugging_face: Option<HuggingFaceSource>,
    /// One file from an HTTP server.
    pub http: Option<HttpSource>,
    /// A file or a folder of an object store.
    pub object_store: Option<ObjectStoreSource>,
    /// A file on a volume of this namespace.
    pub persistent_volume_claim: Option<PersistentVolumeClaimSource>,
}

/// Files on the Hugging Face Hub.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HuggingFaceSource {
    /// Repository: `owner/name`.
    #[schemars(
        length(min = 3, max = 193),
        regex(pattern = "^[-._A-Za-z0-9]{1,96}/[-._A-Za-z0-9]{1,96}$")
    )]
    pub repo: String,
    /// Branch, tag or commit. Default: main. The commit it resolved to is in the status.
    #[serde(default = "main_branch")]
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[^\s]+$"))]
    pub revision: String,
    /// Files to take; `*` stands for any characters. Default: the weights, the tokenizer and their
    /// configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 512)), extend("x-kubernetes-list-type" = "set"))]
    pub files: Vec<String>,
    /// Base URL of a mirror. Default: `https://huggingface.co`.
    #[schemars(length(max = 2048), regex(pattern = pattern::HTTP_URL))]
    pub endpoint: Option<String>,
    /// Access token, for gated and private repositories.
    pub token_secret_ref: Option<SecretKeyRef>,
}

fn main_branch() -> String {
    "main".into()
}

/// What a FineTuneJob publishes. Nothing edits this spec when it does: the model follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FineTuneJobSource {
    /// Name of the FineTuneJob.
    #[schemars(length(min = 1, max = 40), regex(pattern = pattern::DNS_LABEL))]
    pub name: String,
    /// Which of its outputs. Default: Latest.
    #[serde(default)]
    pub output: FineTuneJobOutput,
}

/// An output of a FineTuneJob.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FineTuneJobOutput {
    /// The last one that passed its gate.
    #[default]
    Latest,
}
