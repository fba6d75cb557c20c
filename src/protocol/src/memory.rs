//! How much memory serving a model takes, from the facts in the file's own header.

use serde::{Deserialize, Serialize};

use crate::ModelFacts;

/// What libtorch, the tokenizer and the HTTP side take before any weight is loaded, in bytes.
/// Measured on the CPU build: 113 MB resident at start, and the allocator's slack on top.
pub const RUNTIME_BYTES: u64 = 192 << 20;

/// Share of the total that is added for allocator slack and fragmentation, in percent.
pub const SLACK_PERCENT: u64 = 10;

/// How a model is to be served: what the estimate depends on beside the model itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServingShape {
    /// Tokens one sequence may hold, prompt and answer together.
    pub context_length: u64,
    /// Sequences decoded at the same time; each has a KV cache of `context_length` tokens.
    pub max_concurrent_sequences: u64,
    /// Tokens of one forward pass (the chunk of a long prompt).
    pub max_batch_tokens: u64,
    /// Bytes of one weight, activation or KV element: 2 for bf16, 4 for fp32.
    pub bytes_per_element: u64,
}

/// Bytes needed to serve one replica, by part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryEstimate {
    /// The weights in the form they are computed with.
    pub weights: u64,
    /// Key and value of one token over all layers.
    pub kv_per_token: u64,
    /// Temporaries of the widest forward pass.
    pub activations: u64,
    /// Everything: weights, KV of all sequences, activations, runtime and slack.
    pub total: u64,
}

impl MemoryEstimate {
    /// Estimates from the header's facts.
    ///
    /// KV per token = 2 x layers x kv_heads x head_dim x element size: with grouped-query attention
    /// only the kv heads are cached; encoders read a text at once and cache nothing. Activations: the widest layer's inputs and outputs for one
    /// batch, plus one row of fp32 logits for each sequence.
    pub fn new(facts: &ModelFacts, shape: &ServingShape) -> Self {
        let element = shape.bytes_per_element;
        let weights = facts.parameters.saturating_mul(element);
        let kv_per_token = if facts.is_encoder() {
            0
        } else {
            2 * facts.layers * facts.kv_heads * facts.head_dim * element
        };
        let widths = 4 * facts.hidden_size + 3 * facts.feed_forward_size;
        let logits = shape.max_concurrent_sequences * facts.vocabulary_size * 4 * 3;
        let activations = shape.max_batch_tokens * widths * element + logits;
        let kv = kv_per_token
            .saturating_mul(shape.context_length)
            .saturating_mul(shape.max_concurrent_sequences);
        let sum = weights
            .saturating_add(kv)
            .saturating_add(activations)
            .saturating_add(RUNTIME_BYTES);
        let total = sum.saturating_add(sum / 100 * SLACK_PERCENT);
        Self {
            weights,
            kv_per_token,
            activations,
            total,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SmolLM2-135M as its GGUF header describes it.
    fn smollm2() -> ModelFacts {
        ModelFacts {
            format: "gguf".into(),
            architecture: "llama".into(),
            quantization: "Q4_1".into(),
            parameters: 134_515_008,
            layers: 30,
            hidden_size: 576,
            feed_forward_size: 1536,
            heads: 9,
            kv_heads: 3,
            head_dim: 64,
            context_length: 8192,
            vocabulary_size: 49152,
        }
    }

    #[test]
    fn kv_counts_only_the_kv_heads() {
        let shape = ServingShape {
            context_length: 2048,
            max_concurrent_sequences: 4,
            max_batch_tokens: 512,
            bytes_per_element: 2,
        };
        let estimate = MemoryEstimate::new(&smollm2(), &shape);
        assert_eq!(estimate.kv_per_token, 2 * 30 * 3 * 64 * 2);
        assert_eq!(estimate.weights, 269_030_016);
        assert!(estimate.total > estimate.weights + 4 * 2048 * estimate.kv_per_token);
    }

    #[test]
    fn absurd_headers_saturate_instead_of_wrapping() {
        let mut facts = smollm2();
        facts.parameters = u64::MAX;
        let shape = ServingShape {
            context_length: 1,
            max_concurrent_sequences: 1,
            max_batch_tokens: 1,
            bytes_per_element: 4,
        };
        assert_eq!(MemoryEstimate::new(&facts, &shape).weights, u64::MAX);
    }
}
