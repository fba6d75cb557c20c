//! What is learned from.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::Prepare;
use crate::common::{
    ModelRef, ObjectStoreSource, OciSource, PersistentVolumeClaimSource, SecretKeyRef, SecretRef, pattern,
};

/// What is learned from.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dataset {
    /// Where the data come from; they are mixed.
    #[schemars(
        length(min = 1, max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub sources: Vec<DatasetSource>,
    /// What a record looks like.
    pub format: DatasetFormat,
    /// Cleaning. Default: exact duplicates are removed, nothing else.
    pub prepare: Option<Prepare>,
    /// Parts held back for measuring. Default: 5% for validation.
    pub split: Option<DataSplit>,
    /// Chat template (Jinja) to use instead of the base's own.
    #[schemars(length(min = 1, max = 65536))]
    pub template: Option<String>,
}

/// What a record looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DatasetFormat {
    /// `{"messages": [{"role", "content"}]}`.
    Chat,
    /// `{"prompt", "completion"}`.
    PromptCompletion,
    /// `{"prompt", "chosen", "rejected"}`, or `{"prompt", "completion", "label"}` for KTO.
    Preference,
    /// `{"text"}`, or plain text files.
    Text,
}

/// A place that data come from: exactly one besides name and weight.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.oci), has(self.http), has(self.objectStore), has(self.pvc), has(self.sql), \
        has(self.room), has(self.feedback)].filter(x, x).size() == 1")
    .message("each of dataset.sources needs exactly one of oci, http, objectStore, pvc, sql, room and feedback"))]
#[x_kube(validation = Rule::new("!has(self.room) && !has(self.feedback)")
    .message("dataset.sources[].room and feedback come with a later release: use oci, http, objectStore, pvc or sql"))]
pub struct DatasetSource {
    /// Name of the source, for reports.
    #[schemars(length(min = 1, max = 40), regex(pattern = pattern::DNS_LABEL))]
    pub name: String,
    /// How often its records are seen, relative to the other sources. Default: 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub weight: i32,
    /// Files in a container image.
    pub oci: Option<OciSource>,
    /// A file from an HTTP server.
    pub http: Option<HttpData>,
    /// A file or a folder of an object store.
    pub object_store: Option<ObjectStoreSource>,
    /// A file or a folder on a volume of this namespace.
    pub pvc: Option<PersistentVolumeClaimSource>,
    /// Rows of a database.
    pub sql: Option<SqlData>,
    /// Documents of a Room of this namespace.
    pub room: Option<RoomData>,
    /// Users' feedback on a model of this namespace, where it allows training.
    pub feedback: Option<FeedbackData>,
}

fn one() -> i32 {
    1
}

/// A file from an HTTP server whose content may change between runs.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpData {
    /// Where the file is.
    #[schemars(length(max = 2048), regex(pattern = pattern::HTTP_URL))]
    pub url: String,
    /// SHA-256 of the file, as 64 lower-case hex digits. Default: whatever the server sends is taken,
    /// and its digest is in the status.
    #[schemars(length(max = 64), regex(pattern = "^[0-9a-f]{64}$"))]
    pub sha256: Option<String>,
    /// Secret whose keys are names of request headers and whose values are sent with them.
    pub headers_secret_ref: Option<SecretRef>,
}

/// Rows of a database.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SqlData {
    /// Connection URL: `postgres://…`.
    pub connection_secret_ref: SecretKeyRef,
    /// Query whose columns are the fields of a record; it runs in a read-only transaction.
    #[schemars(length(min = 1, max = 16384))]
    pub query: String,
    /// What columns mean, by their names in the result: the text of a record names them so. Default: their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 256, "additionalProperties" = {"type": "string", "maxLength": 512}))]
    pub descriptions: BTreeMap<String, String>,
}

/// Documents of a Room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoomData {
    /// Name of the Room.
    #[schemars(length(min = 1, max = 40), regex(pattern = pattern::DNS_LABEL))]
    pub name: String,
}

/// Users' feedback on a model.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FeedbackData {
    /// The model the feedback is about.
    pub model: ModelRef,
    /// How far back it is taken: `30d`. Default: all.
    #[schemars(length(max = 32), regex(pattern = pattern::DURATION))]
    pub since: Option<String>,
}

/// Parts of the data held back for measuring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DataSplit {
    /// Share that is measured on during the training. Default: 5%.
    #[serde(default = "five_percent")]
    #[schemars(length(max = 12), regex(pattern = pattern::PERCENT))]
    pub validation: String,
    /// Share that is measured on once, at the end. Default: 0%.
    #[serde(default = "zero_percent")]
    #[schemars(length(max = 12), regex(pattern = pattern::PERCENT))]
    pub test: String,
    /// Seed of the choice: equal seeds split equal data equally. Default: 42.
    #[serde(default = "default_seed")]
    #[schemars(range(min = 0))]
    pub seed: i64,
}

fn five_percent() -> String {
    "5%".into()
}

fn zero_percent() -> String {
    "0%".into()
}

fn default_seed() -> i64 {
    42
}
