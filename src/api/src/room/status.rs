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
    /// Of what looks for statements that no document supports: how often it is right, on a labelled set. Only Rooms with
    /// `redTeam` have it.
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
    /// What came of attempts to make the Room leak.
    pub red_team: Option<RedTeamStatus>,
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

/// What came of attempts to make the Room leak. Nothing of what was looked for is in it.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RedTeamStatus {
    /// Number of the last run that has ended.
    pub run: i64,
    /// When that one began.
    pub started: Option<Time>,
    /// Digest of the index, the members and whatever else that one was about.
    pub attempted: Option<String>,
    /// When the last one ended that has tried all that it was to try; the rest of this is about that one.
    pub last_time: Option<Time>,
    /// What it comes to.
    pub verdict: Option<RedTeamVerdict>,
    /// The index that was attacked.
    pub generation: Option<i64>,
    /// Attempts.
    pub attempts: Option<i64>,
    /// Canaries that were found by those who may see them.
    pub controls: Option<i64>,
    /// What was found, by suite.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["suite"])
    )]
    pub findings: Vec<RedTeamFinding>,
    /// Runs in a row that were not passed, or have not tried all that they were to try.
    #[serde(default)]
    pub failures: i32,
    /// When it is tried again by itself.
    pub retry: Option<Time>,
    /// Reason of the last failure, CamelCase.
    pub reason: Option<String>,
    /// What happened.
    pub message: Option<String>,
}

/// What attempts to make a Room leak come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RedTeamVerdict {
    /// Nothing was seen that must not be, and all that must be.
    Passed,
    /// Something was seen that must not be.
    Leaked,
    /// What must be seen was not: nothing is proved.
    Blind,
}

/// What was found by a suite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RedTeamFinding {
    /// Its name.
    pub suite: String,
    /// Attempts.
    pub attempts: i64,
    /// Those that saw what they must not.
    pub leaked: i64,
}

/// How often something that looks for unsupported statements is right. It is measured with each run of the red team, on
/// sentences of the Room's own documents that are seen without being named: as they stand, and with one thing changed.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DetectorStatus {
    /// What looks: one of `spec.answer.detectors`. Confidence is not measured: how certain a model is of a sentence is known
    /// where it writes it itself.
    pub name: String,
    /// Share of what it finds that is unsupported, as a decimal string; none where it has found nothing.
    pub precision: Option<String>,
    /// Share of what is unsupported that it finds, as a decimal string. Each looks for some kinds alone.
    pub recall: Option<String>,
    /// Sentences that it looked at.
    #[serde(default)]
    pub samples: i64,
    /// When it was measured.
    pub last_time: Option<Time>,
}
