//! What is known about a training.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::llmmodel::EvaluationScore;

/// What is known about a training.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FineTuneJobStatus {
    /// `metadata.generation` that this status was computed from.
    pub observed_generation: Option<i64>,
    /// Ready, Progressing, Complete, Failed, Degraded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// Where it is on its way.
    pub phase: Option<Phase>,
    /// Digest of the part of the spec that the figures below are about.
    pub plan: Option<String>,
    /// When the training for that part ended: it is not repeated.
    pub completed: Option<Time>,
    /// How that training ended, whatever became of the spec since.
    pub outcome: Option<OutcomeStatus>,
    /// Jobs in a row that ended without telling how.
    pub lost: Option<i32>,
    /// What the training started from.
    pub base: Option<BaseStatus>,
    /// Changes of the weights so far.
    pub step: Option<i64>,
    /// Changes of the weights in all.
    pub total_steps: Option<i64>,
    /// How often all data were seen, as a decimal string.
    pub epoch: Option<String>,
    /// Recent loss on the training data, as a decimal string.
    pub loss: Option<String>,
    /// Last loss on the validation data, as a decimal string.
    pub eval_loss: Option<String>,
    /// Learning rate now, as a decimal string.
    pub learning_rate: Option<String>,
    /// Tokens learned from each second, over all pods, as a decimal string.
    pub tokens_per_second: Option<String>,
    /// When it should end.
    pub eta: Option<Time>,
    /// What the pods use.
    pub resource_use: Option<ResourceUse>,
    /// The last saved state.
    pub checkpoint: Option<CheckpointStatus>,
    /// Trials of the sweep.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), extend("x-kubernetes-list-type" = "atomic"))]
    pub trials: Vec<TrialStatus>,
    /// Runs of the schedule, newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 100),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub runs: Vec<RunStatus>,
    /// When the last run of the schedule was due.
    pub last_scheduled: Option<Time>,
    /// When the next run of the schedule is due.
    pub next_scheduled: Option<Time>,
    /// What was published last.
    pub output: Option<OutputStatus>,
    /// How the last training ended, whether its result was published or not.
    pub report: Option<ReportStatus>,
    /// The data as they were learned from.
    pub dataset: Option<DatasetStatus>,
}

/// Where a training is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// It waits for room or for its base.
    Pending,
    /// Data are read and cleaned.
    Preparing,
    /// Weights change.
    Training,
    /// The result is measured.
    Evaluating,
    /// The result is written to the artifact store.
    Publishing,
    /// It was stopped by `spec.suspend`.
    Suspended,
    /// The result is published.
    Succeeded,
    /// It ended without a result.
    Failed,
}

/// How a training ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutcomeStatus {
    /// Succeeded or Failed.
    pub phase: Phase,
    /// In one word.
    pub reason: String,
    /// In words, with the numbers.
    pub message: String,
}

/// What a training started from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BaseStatus {
    /// The version of the LlmModel.
    pub version: String,
    /// SHA-256 of its weights.
    pub digest: String,
}

/// What all pods use together.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceUse {
    /// CPU, as a quantity in cores.
    pub cpu: Option<String>,
    /// Resident memory, in bytes.
    pub memory: Option<i64>,
    /// Memory of accelerators, in bytes.
    pub accelerator_memory: Option<i64>,
}

/// A saved state.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckpointStatus {
    /// Step it was taken at.
    pub step: i64,
    /// Where it is.
    pub uri: String,
    /// When it was taken.
    pub created: Option<Time>,
}

/// One trial of a sweep.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrialStatus {
    /// Name of the trial.
    pub name: String,
    /// Where it is on its way.
    pub phase: Phase,
    /// Its settings, by path under `hyperparameters`.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 16))]
    pub settings: BTreeMap<String, String>,
    /// Last value of the sweep's metric, as a decimal string.
    pub metric: Option<String>,
    /// Steps done.
    pub step: Option<i64>,
    /// Why it ended as it did.
    pub reason: Option<String>,
    /// Measurements of its validation loss, where trials are compared by them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub curve: Vec<Measurement>,
}

/// A value at a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Measurement {
    /// The step.
    pub step: i64,
    /// The value, as a decimal string.
    pub value: String,
}

/// One run of a schedule.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunStatus {
    /// Name of the child FineTuneJob.
    pub name: String,
    /// When it was due.
    pub scheduled: Option<Time>,
    /// Where it is on its way.
    pub phase: Phase,
    /// Why it ended as it did: DataUnchanged where there was nothing new to learn from.
    pub reason: Option<String>,
    /// Digest of the part of the spec that it was made from.
    pub plan: Option<String>,
    /// SHA-256 of the data it learned from.
    pub dataset_digest: Option<String>,
    /// SHA-256 of what it started from.
    pub base_digest: Option<String>,
    /// SHA-256 of what it published.
    pub output_digest: Option<String>,
}

/// What was published.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutputStatus {
    /// SHA-256 of its manifest.
    pub digest: String,
    /// Where it is.
    pub uri: String,
    /// What it is.
    pub kind: OutputKind,
    /// The version of the base that it was trained on: an adapter belongs beside that one.
    pub base_version: Option<String>,
    /// Scores of the evaluation suites.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["suite"])
    )]
    pub evaluation: Vec<EvaluationScore>,
}

/// How a training ended.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportStatus {
    /// Changes of the weights.
    pub steps: i64,
    /// Whether it ended before its last step because nothing got better.
    #[serde(default)]
    pub stopped_early: bool,
    /// Loss of the first steps, as a decimal string.
    pub first_loss: String,
    /// Loss of the last steps, as a decimal string.
    pub last_loss: String,
    /// Loss of the result on the validation data, as a decimal string.
    pub eval_loss: Option<String>,
    /// That of what the gate compares with.
    pub reference_loss: Option<String>,
    /// Loss of the result on the test data, which nothing was chosen by, as a decimal string.
    pub test_loss: Option<String>,
    /// Perplexity of the base on general text, and that of the result: what was forgotten.
    pub general_perplexity: Option<String>,
    /// Tokens that were learned from.
    pub tokens: i64,
    /// Seconds of training, over all attempts.
    pub seconds: i64,
    /// Whether the gate let the result pass; nothing without a gate.
    pub passed: Option<bool>,
    /// What the gate said, with the numbers.
    pub gate: Option<String>,
}

/// What a training yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OutputKind {
    /// Weights beside those of the base.
    Adapter,
    /// Complete weights.
    Weights,
}

/// The data as they were learned from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatasetStatus {
    /// SHA-256 of the cleaned data.
    pub digest: String,
    /// Records learned from.
    pub documents: i64,
    /// Records dropped, by reason.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 32))]
    pub dropped: BTreeMap<String, i64>,
}
