//! What the metadata says about the network's dimensions, checked against the tensors.

use crate::keys::Keys;
use crate::{Architecture, Error, Header};

/// Dimensions and constants of a network. They fit each other, and the tensors that they speak of
/// are in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Dimensions {
    /// The family it belongs to.
    pub architecture: Architecture,
    /// Transformer blocks.
    pub layers: u64,
    /// Width of the residual stream.
    pub hidden_size: u64,
    /// Width of the feed-forward layer.
    pub feed_forward_size: u64,
    /// Query heads.
    pub heads: u64,
    /// Key and value heads; `heads` is a multiple of it (grouped-query attention).
    pub kv_heads: u64,
    /// Width of one head.
    pub head_dim: u64,
    /// Longest context that the model was trained for, in tokens.
    pub context_length: u64,
    /// Number of tokens in the vocabulary.
    pub vocabulary_size: u64,
    /// Base of the rotary embedding's frequencies; of no meaning for encoders.
    pub rope_base: f64,
    /// What the norm adds to the mean square (decoders) or to the variance (encoders).
    pub norm_epsilon: f64,
}

impl Dimensions {
    /// Reads the dimensions of a file.
    ///
    /// # Errors
    /// When the family is not supported, has no such tensors or settings, or when the header
    /// contradicts itself.
    pub fn from_header(header: &Header) -> Result<Self, Error> {
        let architecture = Architecture::of(header)?;
        let keys = Keys::new(&header.metadata, architecture.name);
        let heads = keys.positive("attention.head_count")?;
        let kv_heads = keys.optional("attention.head_count_kv")?.unwrap_or(heads);
        if heads % kv_heads != 0 {
            return Err(keys.impossible(
                "attention.head_count_kv",
                kv_heads,
                format!("{heads} query heads do not share them evenly"),
            ));
        }
        let hidden_size = keys.positive("embedding_length")?;
        let head_dim = keys.optional("attention.key_length")?.unwrap_or(hidden_size / heads);
        if head_dim == 0 || (!architecture.encoder && head_dim % 2 != 0) {
            return Err(keys.impossible("attention.key_length", head_dim, "heads need an even width"));
        }
        let dimensions = Self {
            architecture,
            layers: keys.positive("block_count")?,
            hidden_size,
            feed_forward_size: keys.positive("feed_forward_length")?,
            heads,
            kv_heads,
            head_dim,
            context_length: keys.positive("context_length")?,
            vocabulary_size: header.tensor("token_embd.weight")?.shape[0],
            rope_base: keys.float("rope.freq_base")?.unwrap_or(10_000.0),
            norm_epsilon: keys.required_float(architecture.norm_epsilon_key())?,
        };
        dimensions.refuse_variants(&keys)?;
        dimensions.check_shapes(header)?;
        Ok(dimensions)
    }

    /// Members of the family that compute something else: served as plain ones they would be wrong.
    fn refuse_variants(&self, keys: &Keys<'_>) -> Result<(), Error> {
        if let Some(kind) = keys.string("rope.scaling.type")?
            && kind != "none"
        {
            let supported = "scaled rotary embeddings are not supported in this release";
            return Err(keys.unsupported("rope.scaling.type", format!("{kind:?}"), supported));
        }
        if let Some(rotated) = keys.optional("rope.dimension_count")?
            && rotated != self.head_dim
        {
            let supported = "only the rotation of whole heads is supported";
            return Err(keys.unsupported("rope.dimension_count", rotated, supported));
        }
        if let Some(experts) = keys.unsigned("expert_count")?
            && experts > 0
        {
            let supported = "mixtures of experts are not supported in this release";
            return Err(keys.unsupported("expert_count", experts, supported));
        }
        if self.architecture.encoder && keys.bool("attention.causal")? == Some(true) {
            let supported = "encoders look at the whole text";
            return Err(keys.unsupported("attention.causal", true, supported));
        }
        if self.architecture.encoder && self.heads * self.head_dim != self.hidden_size {
            let supported = "the heads of an encoder are as wide together as its hidden state";
            return Err(keys.unsupported("attention.head_count", self.heads, supported));
        }
        Ok(())
    }

    /// Ties the metadata to tensors that really are in the file, so that no figure can be absurd.
    fn check_shapes(&self, header: &Header) -> Result<(), Error> {
        let last = self.layers - 1;
        let queries = self.heads.saturating_mul(self.head_dim);
        let keys = self.kv_heads.saturating_mul(self.head_dim);
        for (name, expected) in [
            ("token_embd.weight".to_owned(), [self.vocabulary_size, self.hidden_size]),
            (format!("blk.{last}.attn_q.weight"), [queries, self.hidden_size]),
            (format!("blk.{last}.attn_k.weight"), [keys, self.hidden_size]),
            (
                format!("blk.{last}.ffn_up.weight"),
                [self.feed_forward_size, self.hidden_size],
            ),
        ] {
            let found = &header.tensor(&name)?.shape;
            if found[..] != expected {
                return Err(Error::invalid(
                    format!("tensor {name:?}"),
                    format!("its shape is {found:?}, the metadata says {expected:?}"),
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GgmlType, Value, write};

    /// One block of a width of 8 with 2 heads, with metadata replaced or added.
    fn read(architecture: &str, changes: &[(&str, Value)]) -> Result<Dimensions, Error> {
        let epsilon = Architecture::named(architecture).map_or("", |family| family.norm_epsilon_key());
        let mut metadata = vec![
            (
                "general.architecture".to_owned(),
                Value::String(architecture.to_owned()),
            ),
            (format!("{architecture}.block_count"), Value::Unsigned(1)),
            (format!("{architecture}.context_length"), Value::Unsigned(16)),
            (format!("{architecture}.embedding_length"), Value::Unsigned(8)),
            (format!("{architecture}.feed_forward_length"), Value::Unsigned(12)),
            (format!("{architecture}.attention.head_count"), Value::Unsigned(2)),
            (format!("{architecture}.{epsilon}"), Value::Float(1e-5)),
        ];
        for (key, value) in changes {
            let key = key.replace('*', architecture);
            metadata.retain(|(name, _)| *name != key);
            metadata.push((key, value.clone()));
        }
        let tensor = |name: &str, shape: &[u64]| write::Tensor {
            name: name.into(),
            shape: shape.into(),
            ggml_type: GgmlType::F32,
            bytes: vec![0; shape.iter().product::<u64>() as usize * 4],
        };
        let tensors = [
            tensor("token_embd.weight", &[5, 8]),
            tensor("blk.0.attn_q.weight", &[8, 8]),
            tensor("blk.0.attn_k.weight", &[8, 8]),
            tensor("blk.0.ffn_up.weight", &[12, 8]),
        ];
        let metadata: Vec<_> = metadata
            .iter()
            .map(|(key, value)| (key.as_str(), value.clone()))
            .collect();
        let bytes = write::to_bytes(&metadata, &tensors);
        Dimensions::from_header(&Header::read(bytes.as_slice(), bytes.len() as u64)?)
    }

    #[test]
    fn both_kinds_of_networks_are_read() {
        let decoder = read("qwen2", &[("*.rope.freq_base", Value::Float(1e6))]).unwrap();
        assert_eq!(
            (decoder.head_dim, decoder.vocabulary_size, decoder.rope_base),
            (4, 5, 1e6)
        );
        let encoder = read("bert", &[]).unwrap();
        assert_eq!((encoder.kv_heads, encoder.norm_epsilon), (2, 1e-5));
        assert!(encoder.architecture.encoder && !decoder.architecture.encoder);
    }

    #[test]
    fn what_an_encoder_cannot_be_is_named() {
        for (key, value, says) in [
            ("*.attention.causal", Value::Bool(true), "attention.causal is true"),
            ("*.attention.key_length", Value::Unsigned(2), "as wide together"),
            ("*.attention.layer_norm_epsilon", Value::Unsigned(1), "expected a float"),
        ] {
            let error = read("bert", &[(key, value)]).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
