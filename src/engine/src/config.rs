//! What the header says about the network's dimensions.

use gguf::{Architecture, Header, Metadata};

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
        let name = header.metadata.string("general.architecture")?;
        let Some(architecture) = Architecture::named(name) else {
            return Err(LoadError::Architecture { found: name.into() });
        };
        if let Some(tensor) = architecture.stranger(header) {
            return Err(LoadError::UnknownTensor {
                tensor: tensor.into(),
                architecture: architecture.name,
            });
        }
        let keys = Keys {
            metadata: &header.metadata,
            architecture: architecture.name,
        };
        let heads = keys.positive("attention.head_count")?;
        let kv_heads = keys.optional("attention.head_count_kv")?.unwrap_or(heads);
        let hidden_size = keys.positive("embedding_length")?;
        let head_dim = keys.optional("attention.key_length")?.unwrap_or(hidden_size / heads);
        refuse_scaled_rope(&keys)?;
        check_heads(&keys, heads, kv_heads, head_dim)?;
        if let Some(rotated) = keys.optional("rope.dimension_count")?
            && rotated != head_dim
        {
            return Err(keys.unsupported(
                "rope.dimension_count",
                rotated,
                "only the rotation of whole heads is supported",
            ));
        }
        let embedding = header.tensor("token_embd.weight")?;
        let vocabulary_size = embedding.shape.first().copied().unwrap_or_default();
        Ok(Self {
            architecture,
            layers: keys.positive("block_count")? as usize,
            hidden_size,
            feed_forward_size: keys.positive("feed_forward_length")?,
            heads,
            kv_heads,
            head_dim,
            rope_base: match keys.metadata.get(&keys.name("rope.freq_base")) {
                Some(_) => keys.metadata.float(&keys.name("rope.freq_base"))?,
                None => 10_000.0,
            },
            norm_epsilon: keys.metadata.float(&keys.name("attention.layer_norm_rms_epsilon"))?,
            context_length: keys.positive("context_length")? as usize,
            vocabulary_size: vocabulary_size as i64,
        })
    }

    /// Query heads that share one key and value head.
    pub fn group(&self) -> i64 {
        self.heads / self.kv_heads
    }
}

fn check_heads(keys: &Keys<'_>, heads: i64, kv_heads: i64, head_dim: i64) -> Result<(), LoadError> {
    if heads % kv_heads != 0 {
        return Err(keys.unsupported(
            "attention.head_count_kv",
            kv_heads,
            "the number of heads must be a multiple of it",
        ));
    }
    if head_dim == 0 || head_dim % 2 != 0 {
        return Err(keys.unsupported("attention.key_length", head_dim, "heads need an even width"));
    }
    Ok(())
}

/// Scaled rotary embeddings compute other angles: without them answers would be silently wrong.
fn refuse_scaled_rope(keys: &Keys<'_>) -> Result<(), LoadError> {
    let key = "rope.scaling.type";
    if keys.metadata.get(&keys.name(key)).is_none() {
        return Ok(());
    }
    match keys.metadata.string(&keys.name(key))? {
        "none" => Ok(()),
        other => Err(keys.unsupported(key, other, "scaled rotary embeddings are not supported yet")),
    }
}

/// The metadata keys of one family.
struct Keys<'a> {
    metadata: &'a Metadata,
    architecture: &'static str,
}

impl Keys<'_> {
    fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    fn positive(&self, key: &str) -> Result<i64, LoadError> {
        let value = self.metadata.unsigned(&self.name(key))?;
        match i32::try_from(value) {
            Ok(value) if value > 0 => Ok(value.into()),
            _ => Err(self.unsupported(key, value, "expected 1 to 2147483647")),
        }
    }

    fn optional(&self, key: &str) -> Result<Option<i64>, LoadError> {
        match self.metadata.get(&self.name(key)) {
            Some(_) => self.positive(key).map(Some),
            None => Ok(None),
        }
    }

    fn unsupported(&self, key: &str, found: impl ToString, supported: &'static str) -> LoadError {
        LoadError::Unsupported {
            key: self.name(key),
            found: found.to_string(),
            supported,
        }
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
