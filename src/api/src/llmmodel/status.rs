//! What is known about a model.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// What is known about a model.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LlmModelStatus {
    /// `metadata.generation` that this status was computed from.
    pub observed_generation: Option<i64>,
    /// Ready, WeightsReady, Compressed, Evaluated, AdaptersReady, RouteAccepted, Serving, Progressing, Degraded, Drifted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// The version that answers requests.
    pub current_version: Option<String>,
    /// The version on its way to replace it.
    pub candidate_version: Option<String>,
    /// The share of the traffic that the candidate gets, while it is on trial.
    pub canary: Option<CanaryStatus>,
    /// The versions in the history, newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 128),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub versions: Vec<VersionStatus>,
    /// Memory that one replica of the wanted version should take.
    pub estimate: Option<MemoryEstimate>,
    /// What the serving replicas were measured to do.
    pub measured: Option<Measured>,
    /// The adapters of the spec, as the pods of the current version have them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub adapters: Vec<AdapterStatus>,
    /// How far the download of the wanted version's weights is.
    pub download: Option<Download>,
    /// Pods of the current version.
    pub replicas: Option<i32>,
    /// Pods of the current version that answer requests.
    pub ready_replicas: Option<i32>,
    /// Pods that answer requests, of those wanted: `1/1`. For people; read readyReplicas in programs.
    pub ready: Option<String>,
    /// Label selector of the current version's pods, for the scale subresource.
    pub selector: Option<String>,
    /// Where to ask the model.
    pub url: Option<String>,
}

/// A version on trial and its share of the traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStatus {
    /// The version.
    pub version: String,
    /// Its share of the traffic, in percent.
    pub weight: i32,
    /// Step of `spec.rollout.canary`, counted from 1.
    pub step: i32,
    /// When the step began.
    pub since: Time,
    /// Requests that it had answered or failed when the step began.
    #[serde(default)]
    pub requests_before: i64,
}

/// A version in the history. Its full snapshot is the ControllerRevision `<model>-<version>`.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionStatus {
    /// Name: `v-` and ten hex digits.
    pub name: String,
    /// SHA-256 of the weights, as `sha256:` and 64 hex digits.
    pub digest: Option<String>,
    /// When the version was first asked for.
    pub created: Option<Time>,
    /// Where it is on its way.
    pub state: VersionState,
    /// CamelCase reason of the state, for Rejected.
    pub reason: Option<String>,
    /// What happened, for Rejected.
    pub message: Option<String>,
    /// Step of the canary, counted from 1.
    pub canary_step: Option<i32>,
    /// What the header of the weights file says.
    pub weights: Option<WeightsFacts>,
    /// What compression did to the perplexity; of compressed versions only.
    pub perplexity: Option<PerplexityChange>,
    /// Scores of the evaluation suites.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["suite"])
    )]
    pub evaluation: Vec<EvaluationScore>,
    /// Memory of a replica, in bytes, where the estimate was too small and it was raised. To set
    /// `spec.resources.memory` gives it to new replicas from the start.
    pub memory: Option<i64>,
    /// Since when it has been the one that answers requests, as long as it is.
    pub serving_since: Option<Time>,
    /// Seconds that it was the one that answers requests, before `servingSince`.
    pub served_seconds: Option<i64>,
}

/// Where a version is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VersionState {
    /// Weights are fetched, verified and converted.
    Preparing,
    /// Tests with known answers run.
    Evaluating,
    /// It answers copies of live requests.
    Shadowing,
    /// It gets a share of the traffic.
    Canary,
    /// It answers requests.
    Serving,
    /// It has served, or was replaced before it could.
    Retired,
    /// It will not serve; the reason says why.
    Rejected,
}

/// What the header of a weights file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WeightsFacts {
    /// Path of the file inside the source.
    pub file: String,
    /// Size of the file, in bytes.
    pub bytes: i64,
    /// Container format: `gguf`.
    pub format: String,
    /// Architecture: `llama`.
    pub architecture: String,
    /// Most common type of the weight matrices: `Q4_1`.
    pub quantization: String,
    /// Number of weights.
    pub parameters: i64,
    /// Longest context the model was trained for, in tokens.
    pub context_length: i64,
}

/// Perplexity on the calibration text, before and after compression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PerplexityChange {
    /// Of the source's weights, as a decimal string.
    pub before: String,
    /// Of the compressed weights, as a decimal string.
    pub after: String,
    /// The second relative to the first: `2.31%`.
    pub increase: String,
    /// The largest increase that `spec.compress` allowed.
    pub limit: String,
}

/// The score of one evaluation suite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EvaluationScore {
    /// Name of the suite.
    pub suite: String,
    /// Score between 0 and 1, as a decimal string.
    pub score: String,
    /// Questions asked.
    pub questions: i32,
    /// Whether it is enough.
    pub passed: bool,
}

/// Memory that one replica should take, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemoryEstimate {
    /// The weights, in the form they are computed with.
    pub weights: i64,
    /// Keys and values of one token over all layers.
    pub kv_per_token: i64,
    /// Temporaries of the widest forward pass.
    pub activations: i64,
    /// Everything: weights, KV cache of one whole conversation and of a quarter of each further one,
    /// activations, runtime and slack.
    pub total: i64,
}

/// What replicas were measured to do.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    /// Seconds from the start of the container to ready, as a decimal string.
    pub load_seconds: Option<String>,
    /// Prompt tokens computed each second, as a decimal string.
    pub prefill_tokens_per_second: Option<String>,
    /// Tokens produced each second for one conversation, as a decimal string.
    pub decode_tokens_per_second: Option<String>,
    /// Resident memory, in bytes.
    pub rss: Option<i64>,
}

/// What became of an adapter.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdapterStatus {
    /// Its name.
    pub name: String,
    /// SHA-256 of its two files, as `sha256:` and 64 hex digits: the one that was found first, which every pod
    /// has to find.
    pub digest: Option<String>,
    /// How far it is.
    pub state: AdapterState,
    /// Pods that answer requests for it.
    #[serde(default)]
    pub ready_pods: i32,
    /// Why it failed, and what to do about it.
    pub message: Option<String>,
}

/// How far an adapter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AdapterState {
    /// Not every pod has it yet.
    Loading,
    /// Every pod that answers requests has it.
    Ready,
    /// A pod could not load it; it is tried again.
    Failed,
}

/// How far a download is.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Download {
    /// Bytes on disk.
    pub bytes: i64,
    /// Bytes in all, when the server said so.
    pub total: Option<i64>,
    /// Recent speed, in bytes each second.
    pub per_second: Option<i64>,
    /// Seconds that the rest takes at this speed.
    pub remaining_seconds: Option<i64>,
}
