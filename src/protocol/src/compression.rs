//! What compressing a model takes, from the facts in the header of its source.

use crate::ModelFacts;

/// libtorch, the allocator's slack and the tokenizer, in bytes.
const RUNTIME_BYTES: u64 = 512 << 20;
/// Tokens of text whose hidden states are kept between layers.
const CALIBRATION_TOKENS: u64 = 32 << 10;
/// Tokens whose logits are computed at a time.
const LOGIT_TOKENS: u64 = 512;
const FLOAT: u64 = 4;
/// Share of the memory that is added for fragmentation, in percent.
const SLACK_PERCENT: u64 = 15;

/// Upper bounds for one run of `prepare` that compresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompressionEstimate {
    /// Resident memory, in bytes.
    pub memory: u64,
    /// Room in the store, in bytes.
    pub disk: u64,
}

impl CompressionEstimate {
    /// Estimates from the source's header, its size, and the bits of one weight in the result; `None`
    /// when weights stay in the form that the source has them in.
    ///
    /// Memory: the largest tensor and one layer, each as read and as floats, the output's buffers, the
    /// hidden states of the calibration text before and after a layer, and the logits of a few tokens.
    /// Disk: the result and the hidden states twice, because a killed attempt may leave its own beside the next
    /// one's.
    pub fn new(facts: &ModelFacts, source_bytes: u64, bits: Option<u64>) -> Self {
        let largest = facts.vocabulary_size.saturating_mul(facts.hidden_size);
        let layer = facts.parameters.saturating_sub(largest) / facts.layers.max(1);
        let tensors = largest.saturating_add(layer).saturating_mul(2 * FLOAT);
        // Embeddings and norms stay wider than the rest: a quarter more than the plain product covers them.
        let result = match bits {
            Some(bits) => facts.parameters.saturating_mul(bits) / 8 / 4 * 5,
            None => source_bytes,
        };
        let hidden = CALIBRATION_TOKENS
            .saturating_mul(facts.hidden_size)
            .saturating_mul(2 * FLOAT);
        let logits = LOGIT_TOKENS
            .saturating_mul(facts.vocabulary_size)
            .saturating_mul(2 * FLOAT);
        let memory = [tensors, result, hidden, logits, RUNTIME_BYTES]
            .into_iter()
            .fold(0_u64, u64::saturating_add);
        Self {
            memory: memory.saturating_add(memory / 100 * SLACK_PERCENT),
            disk: result
                .saturating_add(hidden)
                .saturating_mul(2)
                .saturating_add(RUNTIME_BYTES),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An 8B model of the Llama 3 family.
    fn large() -> ModelFacts {
        ModelFacts {
            format: "gguf".into(),
            architecture: "llama".into(),
            quantization: "F16".into(),
            parameters: 8_030_261_248,
            packed_bytes: None,
            layers: 32,
            hidden_size: 4096,
            feed_forward_size: 14336,
            heads: 32,
            kv_heads: 8,
            head_dim: 128,
            context_length: 8192,
            vocabulary_size: 128_256,
        }
    }

    #[test]
    fn eight_billion_weights_fit_a_node_of_24_gib() {
        let estimate = CompressionEstimate::new(&large(), 16 << 30, Some(5));
        assert!(estimate.memory < 22 << 30, "{estimate:?}");
        assert!(estimate.memory > 8 << 30, "{estimate:?}");
        assert!(estimate.disk > 2 * 8_030_261_248 * 5 / 8, "{estimate:?}");
    }

    #[test]
    fn absurd_headers_saturate_instead_of_wrapping() {
        let mut facts = large();
        facts.parameters = u64::MAX;
        facts.vocabulary_size = u64::MAX;
        facts.layers = 0;
        assert_eq!(CompressionEstimate::new(&facts, u64::MAX, None).disk, u64::MAX);
    }
}
