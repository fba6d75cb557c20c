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
    /// When the sources were read last.
    pub last_sync: Option<Time>,
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
    /// Documents read from it.
    pub documents: i64,
    /// When it was read last.
    pub last_sync: Option<Time>,
    /// When its access rights were read last.
    pub access_synced: Option<Time>,
    /// Why it could not be read the last time.
    pub error: Option<String>,
}
