//! What the header says about the network's dimensions.

use gguf::{Architecture, Dimensions, Header};

use crate::LoadError;

/// Dimensions and constants of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// The family it belongs to.
    pub architecture: Architecture,
    /// Transformer blocks.
    pub layers: usize,
    /// Width of the residual stream.
    pub hidden_size: i64,
    /// Width of the feed-forward layer.
    pub feed_forward_size: i64,
    /// Query heads.
    pub heads: i64,
    /// Key and value heads; `heads` is a multiple of it (grouped-query attention).
    pub kv_heads: i64,
    /// Width of one head.
    pub head_dim: i64,
    /// Base of the rotary embedding's frequencies.
    pub rope_base: f64,
    /// What RMSNorm adds to the mean square.
    pub norm_epsilon: f64,
    /// Longest context that the model was trained for, in tokens.
    pub context_length: usize,
    /// Number of tokens in the vocabulary.
    pub vocabulary_size: i64,
}

impl ModelConfig {
    /// Reads the dimensions of a file and checks that they fit each other.
    ///
    /// # Errors
    /// When the architecture is not supported, a key is missing or a value cannot be.
    pub fn from_header(header: &Header) -> Result<Self, LoadError> {
        let dimensions = Dimensions::from_header(header)?;
        if dimensions.architecture.encoder {
            return Err(LoadError::Task {
                architecture: dimensions.architecture.name,
                does: "embeds texts and generates none: serve it with --task embed or --task rerank",
            });
        }
        // The numbers are at most 2^31 each, and the tensors that they count are in the file.
        Ok(Self {
            architecture: dimensions.architecture,
            layers: dimensions.layers as usize,
            hidden_size: dimensions.hidden_size as i64,
            feed_forward_size: dimensions.feed_forward_size as i64,
            heads: dimensions.heads as i64,
            kv_heads: dimensions.kv_heads as i64,
            head_dim: dimensions.head_dim as i64,
            rope_base: dimensions.rope_base,
            norm_epsilon: dimensions.norm_epsilon,
            context_length: dimensions.context_length as usize,
            vocabulary_size: dimensions.vocabulary_size as i64,
        })
    }

    /// Query heads that share one key and value head.
    pub fn group(&self) -> i64 {
        self.heads / self.kv_heads
    }
}

#[cfg(test)]
mod tests {
    use gguf::Value;
    use rstest::rstest;

    use super::*;
    use crate::weights::tests::tiny_file;

    #[test]
    fn a_header_gives_the_dimensions() {
        let config = ModelConfig::from_header(tiny_file(&[]).header()).unwrap();
        assert_eq!(
            (config.layers, config.heads, config.kv_heads, config.head_dim),
            (2, 4, 2, 8)
        );
        assert_eq!(
            (config.group(), config.vocabulary_size, config.rope_base),
            (2, 64, 10_000.0)
        );
    }

    #[rstest]
    #[case("general.architecture", Value::String("bloom".into()), "\"bloom\"")]
    #[case("llama.attention.head_count_kv", Value::Unsigned(3), "head_count_kv\": 3")]
    #[case("llama.attention.head_count", Value::Unsigned(0), "head_count\": 0")]
    #[case("llama.block_count", Value::Unsigned(u64::MAX), "block_count")]
    #[case("llama.attention.key_length", Value::Unsigned(7), "even width")]
    #[case("llama.rope.dimension_count", Value::Unsigned(4), "dimension_count is 4")]
    #[case("llama.rope.scaling.type", Value::String("yarn".into()), "yarn")]
    fn what_cannot_be_is_named(#[case] key: &str, #[case] value: Value, #[case] expected: &str) {
        let error = ModelConfig::from_header(tiny_file(&[(key, value)]).header()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}
