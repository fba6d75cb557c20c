//! A model from scratch.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::common::ModelVersionRef;

/// The shape of a model that is trained from scratch.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.hiddenSize % self.heads == 0")
    .message("architecture.hiddenSize must be a multiple of architecture.heads"))]
#[x_kube(validation = Rule::new("!has(self.kvHeads) || self.heads % self.kvHeads == 0")
    .message("architecture.heads must be a multiple of architecture.kvHeads"))]
#[x_kube(validation = Rule::new("!has(self.experts)")
    .message("architecture.experts comes with a later release: leave it out")
    .field_path(".experts"))]
#[x_kube(validation = Rule::new("self.family == 'Llama'")
    .message("architecture.family: only Llama is supported, the other families come with a later release")
    .field_path(".family"))]
pub struct Architecture {
    /// Family whose layers are used. Default: Llama.
    #[serde(default)]
    pub family: ModelFamily,
    /// Number of transformer blocks.
    #[schemars(range(min = 1, max = 1024))]
    pub layers: i32,
    /// Width of the residual stream.
    #[schemars(range(min = 8, max = 65536))]
    pub hidden_size: i32,
    /// Width of the feed-forward layers. Default: 8/3 of hiddenSize, rounded up to a multiple of 64.
    #[schemars(range(min = 8, max = 1_048_576))]
    pub feed_forward_size: Option<i32>,
    /// Query heads.
    #[schemars(range(min = 1, max = 1024))]
    pub heads: i32,
    /// Key and value heads. Default: as many as heads.
    #[schemars(range(min = 1, max = 1024))]
    pub kv_heads: Option<i32>,
    /// Longest context, in tokens.
    #[schemars(range(min = 16, max = 1_048_576))]
    pub context_length: i32,
    /// Use the embedding matrix for the output too. Default: false.
    #[serde(default)]
    pub tie_embeddings: bool,
    /// Feed-forward layers of which each token uses a few. Default: one that all tokens use.
    pub experts: Option<Experts>,
    /// Model whose tokenizer is used.
    pub tokenizer: ModelVersionRef,
}

/// Families of architectures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ModelFamily {
    /// Pre-norm decoder with rotary positions and gated feed-forward layers.
    #[default]
    Llama,
    /// Llama with sliding-window attention.
    Mistral,
    /// Llama with biases in the attention's projections.
    Qwen2,
    /// Mixture of experts.
    Mixtral,
}

/// A mixture of experts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Experts {
    /// Number of experts in each layer.
    #[schemars(range(min = 2, max = 1024))]
    pub count: i32,
    /// Experts that each token uses.
    #[schemars(range(min = 1, max = 64))]
    pub active_per_token: i32,
}
