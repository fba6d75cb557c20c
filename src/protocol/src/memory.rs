//! How much memory serving a model takes, from the facts in the file's own header.

use serde::{Deserialize, Serialize};

use crate::ModelFacts;

/// What the process holds beside weights and KV cache, in bytes: libtorch, the tokenizer, the HTTP side.
/// Measured on the CPU build: 120 MB when nothing is loaded yet, 174 MB with a model that can answer.
pub const RUNTIME_BYTES: u64 = 192 << 20;

/// Share of the total that is added for allocator slack and fragmentation, in percent. The engine keeps
/// its KV cache out of a sixteenth of the limit, which is less.
pub const SLACK_PERCENT: u64 = 10;

/// What a sequence beside the first one is planned to hold: this part of its context. Conversations are
/// seldom as long as they may be; if they are, the engine computes some of them later.
const PLANNED_SHARE: u64 = 4;

/// Prompt tokens whose logits are computed in one pass, at most, beside those that each sequence goes on by.
const LOGIT_ROWS: u64 = 64;

/// Temporaries that every pass may take, in bytes: the engine leaves as much free.
const LEAST_TEMPORARIES: u64 = 64 << 20;

const FLOAT: u64 = 4;

/// How a model is to be served: what the estimate depends on beside the model itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServingShape {
    /// Tokens one sequence may hold, prompt and answer together.
    pub context_length: u64,
    /// Sequences computed at the same time. They share the KV cache page by page.
    pub max_concurrent_sequences: u64,
    /// Tokens of one forward pass (the chunk of a long prompt).
    pub max_batch_tokens: u64,
    /// Bytes of one activation or KV element: 2 for bf16, 4 for fp32.
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
    /// Everything: weights, the planned KV cache, activations, runtime and slack.
    pub total: u64,
}

impl MemoryEstimate {
    /// Estimates from the header's facts.
    ///
    /// Weights: to generate text in bf16 they stay packed; otherwise each is one element. KV per token =
    /// 2 x layers x kv_heads x head_dim x element size: with grouped-query attention only the kv heads are
    /// cached; encoders read a text at once and cache nothing. Planned are a whole context and a quarter
    /// of one for each further sequence: the engine takes what the limit leaves, and interrupts sequences
    /// when that is too little. Activations: the widest layer's inputs and outputs for one batch, and for
    /// generation the largest matrix as plain numbers and the logits.
    pub fn new(facts: &ModelFacts, shape: &ServingShape) -> Self {
        let product = |factors: &[u64]| factors.iter().copied().fold(1, u64::saturating_mul);
        let sum = |parts: &[u64]| parts.iter().copied().fold(0, u64::saturating_add);
        let ServingShape {
            context_length,
            max_concurrent_sequences: sequences,
            max_batch_tokens: batch,
            bytes_per_element: element,
        } = *shape;
        let dense = facts.parameters.saturating_mul(element);
        let is_packed = !facts.is_encoder() && element < FLOAT;
        let weights = facts.packed_bytes.filter(|_| is_packed).unwrap_or(dense);
        let (kv_per_token, planned) = if facts.is_encoder() {
            (0, 0)
        } else {
            let others = product(&[sequences.saturating_sub(1), context_length.div_ceil(PLANNED_SHARE)]);
            let per_token = product(&[2, facts.layers, facts.kv_heads, facts.head_dim, element]);
            (per_token, context_length.saturating_add(others))
        };
        let widths = sum(&[product(&[4, facts.hidden_size]), product(&[3, facts.feed_forward_size])]);
        let mut activations = product(&[batch, widths, element]);
        if !facts.is_encoder() {
            let widest = facts.vocabulary_size.max(facts.feed_forward_size.saturating_mul(2));
            let logit_rows = batch.min(sequences.saturating_add(LOGIT_ROWS));
            activations = sum(&[
                activations,
                product(&[widest, facts.hidden_size, FLOAT]),
                product(&[logit_rows, facts.vocabulary_size, FLOAT]),
                // Their softmax, a part of the rows at a time, and what the sampler has of them.
                product(&[2, LOGIT_ROWS, facts.vocabulary_size, FLOAT]),
            ]);
        }
        let parts = sum(&[
            weights,
            product(&[kv_per_token, planned]),
            activations.max(LEAST_TEMPORARIES),
            RUNTIME_BYTES,
        ]);
        Self {
            weights,
            kv_per_token,
            activations,
            total: parts.saturating_add(product(&[parts / 100, SLACK_PERCENT])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1_000_000;

    /// SmolLM2-135M as its GGUF header describes it.
    fn smollm2() -> ModelFacts {
        ModelFacts {
            format: "gguf".into(),
            architecture: "llama".into(),
            quantization: "Q4_1".into(),
            parameters: 134_515_008,
            packed_bytes: Some(98_275_968),
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

    /// Llama 3 8B in four bits.
    fn large() -> ModelFacts {
        ModelFacts {
            parameters: 8_030_261_248,
            packed_bytes: Some(5_019_000_000),
            layers: 32,
            hidden_size: 4096,
            feed_forward_size: 14336,
            heads: 32,
            kv_heads: 8,
            head_dim: 128,
            vocabulary_size: 128_256,
            ..smollm2()
        }
    }

    fn shape(context_length: u64, max_concurrent_sequences: u64) -> ServingShape {
        ServingShape {
            context_length,
            max_concurrent_sequences,
            max_batch_tokens: 512,
            bytes_per_element: 2,
        }
    }

    #[test]
    fn kv_counts_only_the_kv_heads_and_not_every_context_in_full() {
        let one = MemoryEstimate::new(&smollm2(), &shape(2048, 8));
        assert_eq!(one.kv_per_token, 2 * 30 * 3 * 64 * 2);
        let more = MemoryEstimate::new(&smollm2(), &shape(2048, 16));
        // With a row of logits for each; slack, and the rounding of a hundredth.
        let added = (8 * 2048 / 4 * one.kv_per_token + 8 * smollm2().vocabulary_size * FLOAT) / 10 * 11;
        assert!((more.total - one.total).abs_diff(added) < 100, "{one:?} {more:?}");
    }

    /// The engine subtracts what is resident before the first pass and the larger of a sixteenth of the
    /// limit and its temporaries: what is left must hold what is planned.
    #[test]
    fn the_engine_finds_room_for_what_is_planned() {
        for (facts, shape) in [
            (smollm2(), shape(512, 2)),
            (smollm2(), shape(4096, 16)),
            (large(), shape(4096, 16)),
            (large(), shape(8192, 1)),
        ] {
            let estimate = MemoryEstimate::new(&facts, &shape);
            let spare = (estimate.total / 16).max(estimate.activations).max(LEAST_TEMPORARIES);
            let left = estimate.total - spare - estimate.weights - RUNTIME_BYTES;
            let tokens = shape.context_length + (shape.max_concurrent_sequences - 1) * shape.context_length / 4;
            assert!(left >= tokens * estimate.kv_per_token, "{shape:?}: {estimate:?}");
        }
    }

    #[test]
    fn quantized_models_take_about_the_size_of_their_file() {
        // Measured: 272 MB resident with a model that can answer.
        let small = MemoryEstimate::new(&smollm2(), &shape(512, 2));
        assert_eq!(small.weights, 98_275_968);
        assert!((400 * MB..600 * MB).contains(&small.total), "{small:?}");
        let large = MemoryEstimate::new(&large(), &shape(4096, 16));
        assert!((8_000 * MB..12_000 * MB).contains(&large.total), "{large:?}");
    }

    #[test]
    fn without_packed_weights_each_is_one_element() {
        let mut facts = smollm2();
        let fp32 = ServingShape {
            bytes_per_element: 4,
            ..shape(512, 2)
        };
        assert_eq!(MemoryEstimate::new(&facts, &fp32).weights, 4 * 134_515_008);
        facts.packed_bytes = None;
        assert_eq!(MemoryEstimate::new(&facts, &shape(512, 2)).weights, 2 * 134_515_008);
        facts.architecture = "bert".into();
        let encoder = MemoryEstimate::new(&facts, &fp32);
        assert_eq!((encoder.weights, encoder.kv_per_token), (4 * 134_515_008, 0));
    }

    #[test]
    fn absurd_headers_saturate_instead_of_wrapping() {
        let facts = ModelFacts {
            parameters: u64::MAX,
            packed_bytes: None,
            layers: u64::MAX,
            vocabulary_size: u64::MAX,
            ..smollm2()
        };
        let estimate = MemoryEstimate::new(&facts, &shape(1, 1));
        assert_eq!((estimate.weights, estimate.total), (u64::MAX, u64::MAX));
    }
}
