//! How a training learns.

use serde::{Deserialize, Serialize};

/// Settings of a training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hyperparameters {
    /// Largest learning rate.
    pub learning_rate: f64,
    /// How it changes after the warm-up.
    pub schedule: Schedule,
    /// Steps in which it grows from zero.
    pub warmup: Warmup,
    /// What changes the weights.
    #[serde(default)]
    pub optimizer: Optimizer,
    /// Tokens of one forward and backward pass in one process.
    pub batch_tokens: u64,
    /// Longest sequence in tokens; longer ones are cut. Default: what fits `batch_tokens` and the base's context.
    #[serde(default)]
    pub sequence_length: Option<u64>,
    /// Whether short sequences share a row, each seeing only itself.
    #[serde(default)]
    pub packing: bool,
    /// Passes that are added up before the weights change.
    pub gradient_accumulation: u64,
    /// How often all data are seen, unless `steps` is given.
    pub epochs: u64,
    /// Number of changes of the weights.
    #[serde(default)]
    pub steps: Option<u64>,
    /// Weight decay.
    pub weight_decay: f64,
    /// Share of activations set to zero.
    pub dropout: f64,
    /// Largest norm of the gradient.
    pub clip: f64,
    /// Low-rank matrices.
    #[serde(default)]
    pub lora: Option<LoraSettings>,
    /// Vectors of [`super::Method::Prefix`].
    #[serde(default)]
    pub virtual_tokens: Option<u64>,
    /// Width of the layers of [`super::Method::Adapter`].
    #[serde(default)]
    pub adapter: Option<Adapter>,
    /// How strongly answers are kept near the base's, for [`super::Objective::DPO`].
    #[serde(default)]
    pub beta: Option<f64>,
    /// Whether blocks are computed again on the way back instead of being kept.
    #[serde(default)]
    pub gradient_checkpointing: bool,
    /// `bf16` or `fp32`: what products are computed in. What is trained is kept in single precision always.
    #[serde(default)]
    pub dtype: Option<String>,
    /// Seed of initial values, order and dropout.
    pub seed: u64,
}

/// Low-rank matrices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoraSettings {
    /// Rank.
    pub r: u64,
    /// The product is multiplied by this over the rank.
    pub alpha: f64,
    /// Over the square root of the rank instead.
    #[serde(default)]
    pub rank_stabilized: bool,
    /// Weights beside which matrices are put: `q_proj`. All linear layers when empty.
    pub targets: Vec<String>,
}

/// Bottleneck layers (Houlsby et al. 2019).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Adapter {
    /// Their width.
    pub bottleneck: u64,
}

/// How the learning rate changes after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Schedule {
    /// It stays.
    Constant,
    /// It falls to zero in a straight line.
    Linear,
    /// It falls to a tenth by half a cosine.
    Cosine,
    /// It stays, and falls to zero in the last tenth of the steps.
    WarmupStableDecay,
}

/// Length of the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Warmup {
    /// So many steps.
    Steps(u64),
    /// This share of all steps, between 0 and 1.
    Share(f64),
}

/// What changes the weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Optimizer {
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
    #[default]
    AdamW,
    /// Gradient descent with momentum 0.9.
    SGD,
    /// The sign of a momentum (Chen et al. 2023).
    Lion,
}
