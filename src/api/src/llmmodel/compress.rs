//! Smaller weights, within a bounded loss.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::FileSource;
use crate::common::pattern;

/// How weights are made smaller.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.quantization == 'Int4' || (!has(self.method) && !has(self.groupSize))")
    .message("compress.method and compress.groupSize apply to quantization Int4 only: leave them out or choose it"))]
pub struct Compress {
    /// Number format of the weights. Default: None, they stay as the source has them.
    #[serde(default)]
    pub quantization: Quantization,
    /// How 4-bit integers are chosen. Default: GPTQ, the closest to the source. 8 bits are rounded.
    pub method: Option<QuantizationMethod>,
    /// Weights that share one scale: 32, 64 or 128. Default: 32.
    #[schemars(range(min = 32, max = 128))]
    #[x_kube(validation = Rule::new("self in [32, 64, 128]")
        .message("compress.groupSize must be 32, 64 or 128"))]
    pub group_size: Option<i32>,
    /// What to leave out of the network. Default: nothing.
    pub pruning: Option<Pruning>,
    /// Perplexity, relative to the uncompressed weights, over which the version is refused. Default: 5%.
    #[serde(default = "five_percent")]
    #[schemars(length(max = 12), regex(pattern = pattern::PERCENT))]
    pub max_perplexity_increase: String,
    /// Text that calibration and the perplexity gate use. Default: a sample that comes with the worker.
    pub calibration: Option<Calibration>,
}

fn five_percent() -> String {
    "5%".into()
}

/// Number formats of weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Quantization {
    /// As the source has them.
    #[default]
    None,
    /// 16 bits with the exponent of a 32-bit float.
    BF16,
    /// 16 bits by IEEE 754.
    FP16,
    /// 8-bit integers.
    Int8,
    /// 4-bit integers.
    Int4,
}

/// How integer weights are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum QuantizationMethod {
    /// Round to nearest.
    RTN,
    /// Half-quadratic quantization: no calibration text needed.
    HQQ,
    /// Activation-aware quantization.
    AWQ,
    /// Second-order, layer by layer.
    GPTQ,
}

/// What to leave out of the network.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.method == 'Structured' || !has(self.structure)")
    .message("compress.pruning.structure applies to method Structured only: leave it out or choose it"))]
pub struct Pruning {
    /// Single weights (Magnitude, Wanda), which makes the model neither smaller nor faster, or whole parts of it
    /// (Structured), which does.
    pub method: PruningMethod,
    /// The parts that Structured leaves out. Default: Channels.
    pub structure: Option<PruningStructure>,
    /// Share of the weights, or of the parts, to leave out: `50%`.
    #[schemars(length(max = 12), regex(pattern = pattern::PERCENT))]
    pub sparsity: String,
}

/// How is chosen what to leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PruningMethod {
    /// The smallest weights.
    Magnitude,
    /// The smallest weights, weighted by the activations they meet.
    Wanda,
    /// Whole parts of the network.
    Structured,
}

/// Parts of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PruningStructure {
    /// Channels of the feed-forward layers: those that contribute least, as many in each.
    Channels,
    /// Whole transformer layers: those that change the hidden states least.
    Layers,
}

/// Text to calibrate with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Calibration {
    /// Where the text comes from: a plain text or JSON Lines file.
    pub source: FileSource,
}
