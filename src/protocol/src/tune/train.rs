//! What `atelier-worker train` is asked, and what it answers.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    hyperparameters::Hyperparameters,
    number::{both, or_nan},
};
use crate::evaluation::SuiteScore;

/// A training, with every default filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrainPlan {
    /// Name of the run, in logs and files.
    pub run: String,
    /// The base: a GGUF file or a directory of safetensors files. For [`Method::Pretrain`] the model whose tokenizer
    /// is used.
    pub model: PathBuf,
    /// SHA-256 that the base must have.
    #[serde(default)]
    pub digest: Option<String>,
    /// Name of the base, as outputs give it.
    pub base_name: String,
    /// What is trained.
    pub method: Method,
    /// What is learned.
    pub objective: Objective,
    /// The shape of a model from scratch.
    #[serde(default)]
    pub architecture: Option<Architecture>,
    /// Directory of a cleaned data set, with its manifest.
    pub dataset: PathBuf,
    /// Chat template (Jinja) instead of the base's own.
    #[serde(default)]
    pub template: Option<String>,
    /// Settings.
    pub hyperparameters: Hyperparameters,
    /// When the state is saved.
    pub checkpoint: Checkpointing,
    /// Steps between two measurements on the validation part; a twentieth of all steps when there is none.
    #[serde(default)]
    pub evaluate_every: Option<u64>,
    /// When to end early.
    #[serde(default)]
    pub early_stopping: Option<EarlyStopping>,
    /// What the result must pass to be published.
    #[serde(default)]
    pub gate: Option<Gate>,
    /// Suites of questions: `NAME` of one that comes with the worker, or `NAME=FILE`.
    #[serde(default)]
    pub suites: Vec<String>,
    /// What scores of suites must be to let the result be published, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub suite_limits: BTreeMap<String, SuiteLimits>,
    /// Directory for checkpoints.
    pub checkpoints: PathBuf,
    /// Directory for outputs, each under its digest.
    pub outputs: PathBuf,
    /// The processes of the training, if there are several.
    #[serde(default)]
    pub members: Option<Members>,
    /// For one of a row of runs on the same volume: which of those before it are kept. Data and states of all others
    /// before it are removed; nothing is where this is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_before: Option<Vec<String>>,
}

/// What is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// All weights.
    Full,
    /// Low-rank matrices beside the weights.
    LoRA,
    /// The same, beside weights of 4 bits.
    QLoRA,
    /// Bottleneck layers after attention and feed-forward.
    Adapter,
    /// Keys and values before every layer's own.
    Prefix,
    /// All weights of a new model.
    Pretrain,
}

/// What is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Objective {
    /// Answers of the assistant.
    SFT,
    /// Preferred answers.
    DPO,
    /// All of the text.
    CausalLM,
}

/// The shape of a model from scratch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Architecture {
    /// Transformer blocks.
    pub layers: u64,
    /// Width of the residual stream.
    pub hidden_size: u64,
    /// Width of the feed-forward layers.
    pub feed_forward_size: u64,
    /// Query heads.
    pub heads: u64,
    /// Key and value heads.
    pub kv_heads: u64,
    /// Longest context in tokens.
    pub context_length: u64,
    /// Whether the embedding is the head, too.
    pub tie_embeddings: bool,
}

/// When the state is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Checkpointing {
    /// Steps between two.
    #[serde(default)]
    pub every_steps: Option<u64>,
    /// Seconds between two.
    #[serde(default)]
    pub every_seconds: Option<u64>,
    /// How many are kept.
    pub keep: u32,
}

/// End when nothing gets better.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EarlyStopping {
    /// Measurements without progress after which it ends.
    pub patience: u32,
    /// Least change of the validation loss that counts.
    pub min_delta: f64,
}

/// What the result must pass to be published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gate {
    /// What it is compared with.
    pub against: GateReference,
    /// Directory of the output that was published last, for [`GateReference::Current`]; the base when there is none.
    #[serde(default)]
    pub current: Option<PathBuf>,
    /// Most that the validation loss may be higher and each suite's score lower, as a share.
    pub max_regression: f64,
}

/// What the score of a suite must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SuiteLimits {
    /// Least score.
    #[serde(default)]
    pub min_score: Option<f64>,
    /// Most that it may be under the score of what the gate compares with, instead of the gate's share.
    #[serde(default)]
    pub max_regression: Option<f64>,
}

/// What a result is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GateReference {
    /// The base.
    Base,
    /// The last output.
    Current,
}

/// The processes of a training with data parallelism.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Members {
    /// `host:port` of each, by rank. A process finds its own rank in `JOB_COMPLETION_INDEX`.
    pub addresses: Vec<String>,
}

/// How far a training is: a line of the log of rank 0, every few seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrainProgress {
    /// `Loading`, `Training`, `Evaluating`, `Publishing`.
    pub stage: String,
    /// Changes of the weights so far.
    pub step: u64,
    /// Changes of the weights in all.
    pub total_steps: u64,
    /// How often all data were seen.
    #[serde(deserialize_with = "or_nan")]
    pub epoch: f64,
    /// Recent loss on the training part.
    pub loss: Option<f64>,
    /// Last loss on the validation part.
    pub eval_loss: Option<f64>,
    /// Learning rate now.
    #[serde(deserialize_with = "or_nan")]
    pub learning_rate: f64,
    /// Tokens of input each second, over all processes.
    #[serde(deserialize_with = "or_nan")]
    pub tokens_per_second: f64,
    /// Seconds that the rest should take.
    pub remaining_seconds: Option<u64>,
    /// Resident memory of the process in bytes.
    pub memory: u64,
    /// The step of the last checkpoint.
    pub checkpoint: Option<u64>,
}

/// The last words of `atelier-worker train`, of rank 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TrainOutcome {
    /// Something was published.
    Published(TrainReport),
    /// The gate kept the result from being published.
    Rejected(TrainReport),
    /// It broke off.
    Failed(TrainFailure),
    /// It was told to end, and has saved its state.
    Interrupted(TrainProgress),
    /// Still at work.
    Running(TrainProgress),
}

impl TrainOutcome {
    /// Parses last words or a line of the log; `None` when it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text.trim()).ok()
    }
}

/// A finished training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrainReport {
    /// Digest of what was published, or would have been.
    pub digest: String,
    /// What it is.
    pub kind: OutputKind,
    /// Changes of the weights.
    pub steps: u64,
    /// Whether the training ended before its last step because nothing got better.
    pub stopped_early: bool,
    /// Loss of the first steps (mean of up to 5).
    #[serde(deserialize_with = "or_nan")]
    pub first_loss: f64,
    /// Loss of the last steps (mean of up to 5).
    #[serde(deserialize_with = "or_nan")]
    pub last_loss: f64,
    /// Loss of the result on the validation part.
    pub eval_loss: Option<f64>,
    /// Loss of what the gate compares with, on the same.
    pub reference_loss: Option<f64>,
    /// Loss of the result on the test part, which nothing was chosen by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_loss: Option<f64>,
    /// Perplexity of the base on general text, and that of the result: what was forgotten.
    #[serde(default, deserialize_with = "both")]
    pub general_perplexity: Option<(f64, f64)>,
    /// Tokens that were learned from.
    pub tokens: u64,
    /// Seconds of training, over all attempts.
    pub seconds: u64,
    /// What the gate said.
    pub gate: Option<GateOutcome>,
    /// Scores of the suites.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suites: Vec<SuiteScore>,
}

/// What the gate said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GateOutcome {
    /// Whether the result may be published.
    pub passed: bool,
    /// In words, with the numbers.
    pub reason: String,
}

/// What a training yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutputKind {
    /// Weights beside those of the base.
    Adapter,
    /// Complete weights.
    Weights,
}

/// Why a training broke off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}: {message}")]
#[serde(rename_all = "camelCase")]
pub struct TrainFailure {
    /// CamelCase; becomes the reason of a condition.
    pub reason: String,
    /// What failed, where, and what to do about it.
    pub message: String,
    /// Whether trying again without a change of the spec can help.
    pub retryable: bool,
}

/// `manifest.json` of an output, written last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputManifest {
    /// `sha256:` and 64 hex digits over the sorted lines `<name> <sha256>` of the files that are loaded.
    pub digest: String,
    /// What it is.
    pub kind: OutputKind,
    /// Names and SHA-256 of these files.
    pub files: BTreeMap<String, String>,
    /// The run that made it.
    pub run: String,
    /// Digest of its data.
    pub dataset: String,
    /// Digest of the base.
    pub base: Option<String>,
    /// How it came to be.
    pub report: TrainReport,
    /// Answers of the base and of the result to the same prompts of the validation part.
    #[serde(default)]
    pub samples: Vec<TrainSample>,
}

/// Two answers to the same prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrainSample {
    /// What was asked.
    pub prompt: String,
    /// What the data say.
    pub expected: String,
    /// What the base answers.
    pub base: String,
    /// What the result answers.
    pub tuned: String,
}
