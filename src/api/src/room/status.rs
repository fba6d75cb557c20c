//! What is known about a Room.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// What is known about a Room.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RoomStatus {
    /// `metadata.generation` that this status was computed from.
    pub observed_generation: Option<i64>,
    /// Ready, Synced, AccessSynced, RedTeamPassed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// Documents that can be found.
    pub documents: Option<i64>,
    /// Chunks that can be found.
    pub chunks: Option<i64>,
    /// Documents that were set aside, by reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["reason"])
    )]
    pub quarantined: Vec<Quarantined>,
    /// What is known about each source.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub sources: Vec<SourceStatus>,
    /// Number of the index that answers; it grows with each rebuild.
    pub generation: Option<i64>,
    /// Share of the ten nearest chunks that the index finds, measured against an exact search, as a decimal
    /// string.
    #[serde(rename = "recallAt10")]
    pub recall_at_10: Option<String>,
    /// Of what looks for statements that no document supports: how often it is right, on a labelled set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub detectors: Vec<DetectorStatus>,
    /// When the sources were read last, all of them that were due.
    pub last_sync: Option<Time>,
    /// When they are read next, unless somebody asks before.
    pub next_sync: Option<Time>,
    /// How the runs stand that read them.
    pub sync: Option<SyncStatus>,
    /// Where to search and ask.
    pub url: Option<String>,
}

/// Documents that were set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Quarantined {
    /// CamelCase reason.
    pub reason: String,
    /// Number of documents.
    pub documents: i64,
}

/// What is known about a source.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// Name of the source.
    pub name: String,
    /// Documents of it that can be found.
    pub documents: i64,
    /// Their chunks.
    pub chunks: Option<i64>,
    /// When it was read last.
    pub last_sync: Option<Time>,
    /// When its access rights were read last.
    pub access_synced: Option<Time>,
    /// Why it could not be read the last time.
    pub error: Option<String>,
}

/// How the runs stand that read the sources. One reads all those that are due.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncStatus {
    /// Number of the last one that has ended.
    pub run: i64,
    /// When that one began.
    pub started: Option<Time>,
    /// Digest of the part of the spec that it read.
    pub attempted: Option<String>,
    /// Digest of the part of the spec that what answers was read by.
    pub published: Option<String>,
    /// Value of the annotation `atelier.dev/sync` that the last one answered.
    pub requested: Option<String>,
    /// Runs in a row that did not read all that they were to read.
    pub failures: i32,
    /// When it is tried again by itself.
    pub retry: Option<Time>,
    /// Reason of the last failure, CamelCase.
    pub reason: Option<String>,
    /// What happened.
    pub message: Option<String>,
}

/// How often something that looks for unsupported statements is right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DetectorStatus {
    /// What looks: one of `spec.answer.detectors`.
    pub name: String,
    /// Share of what it finds that is unsupported, as a decimal string.
    pub precision: String,
    /// Share of what is unsupported that it finds, as a decimal string.
    pub recall: String,
}
