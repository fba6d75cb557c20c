//! What the header says about the network's dimensions.

use gguf::{Header, Metadata};

use crate::LoadError;

/// Dimensions and constants of a Llama network.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
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
        let metadata = &header.metadata;
        let architecture = metadata.string("general.architecture")?;
        if architecture != "llama" {
            return Err(LoadError::Architecture {
                found: architecture.into(),
            });
        }
        let heads = positive(metadata, "llama.attention.head_count")?;
        let kv_heads = match metadata.get("llama.attention.head_count_kv") {
            Some(_) => positive(metadata, "llama.attention.head_count_kv")?,
            None => heads,
        };
        let hidden_size = positive(metadata, "llama.embedding_length")?;
        let head_dim = match metadata.get("llama.attention.key_length") {
            Some(_) => positive(metadata, "llama.attention.key_length")?,
            None => hidden_size / heads,
        };
        refuse_scaled_rope(metadata)?;
        check_heads(heads, kv_heads, head_dim)?;
        if metadata.get("llama.rope.dimension_count").is_some() {
            let rotated = positive(metadata, "llama.rope.dimension_count")?;
            if rotated != head_dim {
                return Err(unsupported(
                    "llama.rope.dimension_count",
                    rotated,
                    "only the rotation of whole heads is supported",
                ));
            }
        }
        let embedding = header.tensor("token_embd.weight")?;
        let vocabulary_size = embedding.shape.first().copied().unwrap_or_default();
        Ok(Self {
            layers: positive(metadata, "llama.block_count")? as usize,
            hidden_size,
            feed_forward_size: positive(metadata, "llama.feed_forward_length")?,
            heads,
            kv_heads,
            head_dim,
            rope_base: match metadata.get("llama.rope.freq_base") {
                Some(_) => metadata.float("llama.rope.freq_base")?,
                None => 10_000.0,
            },
            norm_epsilon: metadata.float("llama.attention.layer_norm_rms_epsilon")?,
            context_length: positive(metadata, "llama.context_length")? as usize,
            vocabulary_size: vocabulary_size as i64,
        })
    }

    /// Query heads that share one key and value head.
    pub fn group(&self) -> i64 {
        self.heads / self.kv_heads
    }
}

fn check_heads(heads: i64, kv_heads: i64, head_dim: i64) -> Result<(), LoadError> {
    if heads % kv_heads != 0 {
        return Err(unsupported(
            "llama.attention.head_count_kv",
            kv_heads,
            "llama.attention.head_count must be a multiple of it",
        ));
    }
    if head_dim == 0 || head_dim % 2 != 0 {
        return Err(unsupported(
            "llama.attention.key_length",
            head_dim,
            "heads need an even width",
        ));
    }
    Ok(())
}

/// Scaled rotary embeddings compute other angles: without them answers would be silently wrong.
fn refuse_scaled_rope(metadata: &Metadata) -> Result<(), LoadError> {
    const KEY: &str = "llama.rope.scaling.type";
    match metadata.get(KEY) {
        None => Ok(()),
        Some(_) => match metadata.string(KEY)? {
            "none" => Ok(()),
            other => Err(unsupported(
                KEY,
                other,
                "scaled rotary embeddings are not supported yet",
            )),
        },
    }
}

fn positive(metadata: &Metadata, key: &str) -> Result<i64, LoadError> {
    let value = metadata.unsigned(key)?;
    match i32::try_from(value) {
        Ok(value) if value > 0 => Ok(value.into()),
        _ => Err(unsupported(key, value, "expected 1 to 2147483647")),
    }
}

fn unsupported(key: &str, found: impl ToString, supported: &'static str) -> LoadError {
    LoadError::Unsupported {
        key: key.into(),
        found: found.to_string(),
        supported,
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
    #[case("llama.attention.head_count_kv", Value::Unsigned(3), "head_count_kv is 3")]
    #[case("llama.attention.head_count", Value::Unsigned(0), "head_count is 0")]
    #[case("llama.block_count", Value::Unsigned(u64::MAX), "block_count")]
    #[case("llama.attention.key_length", Value::Unsigned(7), "even width")]
    #[case("llama.rope.dimension_count", Value::Unsigned(4), "dimension_count is 4")]
    #[case("llama.rope.scaling.type", Value::String("yarn".into()), "yarn")]
    fn what_cannot_be_is_named(#[case] key: &str, #[case] value: Value, #[case] expected: &str) {
        let error = ModelConfig::from_header(tiny_file(&[(key, value)]).header()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}
