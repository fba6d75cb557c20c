//! Settings of the training.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::common::pattern;

/// Settings of the training.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.epochs) || !has(self.steps)")
    .message("hyperparameters take at most one of epochs and steps"))]
pub struct Hyperparameters {
    /// Largest learning rate, as a decimal string. Default: `2e-4` for adapters, `2e-5` for Full,
    /// `6e-4` for Pretrain.
    #[schemars(length(max = 24), regex(pattern = pattern::DECIMAL))]
    pub learning_rate: Option<String>,
    /// How the learning rate changes. Default: Cosine.
    pub schedule: Option<LearningRateSchedule>,
    /// Steps in which the learning rate grows from zero: a number, or a share of all steps. Default: `3%`.
    #[schemars(length(max = 12), regex(pattern = r"^([0-9]{1,9}|[0-9]{1,2}(\.[0-9]{1,6})?%)$"))]
    pub warmup: Option<String>,
    /// What changes the weights. Default: AdamW.
    pub optimizer: Option<Optimizer>,
    /// Longest sequence in tokens; longer ones are cut. Default: what fits batchTokens and the context of the base.
    #[schemars(range(min = 8, max = 1_048_576))]
    pub sequence_length: Option<i32>,
    /// Whether short sequences share a row, each seeing only itself. Default: true for CausalLM, else false.
    pub packing: Option<bool>,
    /// Whether blocks are computed again on the way back instead of being kept: less memory, a third more time.
    /// Default: false.
    pub gradient_checkpointing: Option<bool>,
    /// Tokens of one forward and backward pass in one pod. Default: 8192.
    #[schemars(range(min = 16, max = 16_777_216))]
    pub batch_tokens: Option<i32>,
    /// Passes that are added up before the weights change. Default: 1.
    #[schemars(range(min = 1, max = 65536))]
    pub gradient_accumulation: Option<i32>,
    /// How often all data are seen. Default: 3, or 1 for Pretrain, unless steps are given.
    #[schemars(range(min = 1, max = 1000))]
    pub epochs: Option<i32>,
    /// Number of changes of the weights.
    #[schemars(range(min = 1))]
    pub steps: Option<i64>,
    /// Weight decay, as a decimal string. Default: `0.01`.
    #[schemars(length(max = 24), regex(pattern = pattern::DECIMAL))]
    pub weight_decay: Option<String>,
    /// Share of activations set to zero, as a decimal string. Default: `0`, or `0.05` for adapters.
    #[schemars(length(max = 12), regex(pattern = pattern::FRACTION))]
    pub dropout: Option<String>,
    /// Largest norm of the gradient, as a decimal string. Default: `1`.
    #[schemars(length(max = 24), regex(pattern = pattern::DECIMAL))]
    pub clip: Option<String>,
    /// Low-rank matrices, for methods LoRA and QLoRA.
    pub lora: Option<Lora>,
    /// Vectors that are learned, for methods Prefix and Prompt. Default: 20.
    #[schemars(range(min = 1, max = 4096))]
    pub virtual_tokens: Option<i32>,
    /// Width of the layers that are learned, for method Adapter. Default: 64.
    #[schemars(range(min = 1, max = 65536))]
    pub bottleneck: Option<i32>,
    /// How strongly answers are kept near the base's, for objectives DPO and KTO, as a decimal string.
    /// Default: `0.1`.
    #[schemars(length(max = 24), regex(pattern = pattern::DECIMAL))]
    pub beta: Option<String>,
    /// Seed of initial values, order and dropout. Default: 42.
    #[schemars(range(min = 0))]
    pub seed: Option<i64>,
}

/// How the learning rate changes after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LearningRateSchedule {
    /// It stays.
    Constant,
    /// It falls to zero in a straight line.
    Linear,
    /// It falls to a tenth by half a cosine.
    #[default]
    Cosine,
    /// It stays, and falls in the last tenth of the steps.
    WarmupStableDecay,
}

/// What changes the weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Optimizer {
    /// Adam with decoupled weight decay.
    #[default]
    AdamW,
    /// Gradient descent with momentum 0.9.
    SGD,
    /// The sign of a momentum: half the state of AdamW.
    Lion,
}

/// Low-rank adaptation.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lora {
    /// Rank of the matrices. Default: 16.
    #[schemars(range(min = 1, max = 1024))]
    pub r: Option<i32>,
    /// The product of the matrices is multiplied by alpha / r. Default: 2 r.
    #[schemars(range(min = 1, max = 4096))]
    pub alpha: Option<i32>,
    /// Multiply by alpha over the square root of r instead, which keeps large ranks learning (rsLoRA). Default: false.
    pub rank_stabilized: Option<bool>,
    /// Weights beside which matrices are put, by the names PEFT uses: `q_proj`. Default: all linear
    /// layers of the attention and the feed-forward part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 128)), extend("x-kubernetes-list-type" = "set"))]
    pub targets: Vec<String>,
}
