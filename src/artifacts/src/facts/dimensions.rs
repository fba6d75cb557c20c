//! The network's dimensions: what the metadata says, checked against the tensors.

use gguf::{Header, Metadata};
use protocol::{ModelFacts, PrepareFailure};

use super::{failure, invalid, shortened, unsupported};

/// Reads the dimensions; format, quantization and parameters stay empty.
pub(super) fn read(header: &Header, architecture: &str) -> Result<ModelFacts, PrepareFailure> {
    let keys = Keys {
        metadata: &header.metadata,
        architecture,
    };
    let heads = keys.positive("attention.head_count")?;
    let kv_heads = keys.optional("attention.head_count_kv")?.unwrap_or(heads);
    if heads % kv_heads != 0 {
        return Err(invalid(format!(
            "failed to read {}: {heads} query heads do not share {kv_heads} key and value heads evenly",
            keys.name("attention.head_count_kv")
        )));
    }
    let hidden_size = keys.positive("embedding_length")?;
    let head_dim = keys.optional("attention.key_length")?.unwrap_or(hidden_size / heads);
    if head_dim == 0 || head_dim % 2 != 0 {
        return Err(invalid(format!(
            "failed to read {}: a head of width {head_dim} cannot be rotated, expected an even width",
            keys.name("attention.key_length")
        )));
    }
    let vocabulary_size = header.tensor("token_embd.weight").map_err(failure)?.shape[0];
    let facts = ModelFacts {
        format: String::new(),
        architecture: String::new(),
        quantization: String::new(),
        parameters: 0,
        layers: keys.positive("block_count")?,
        hidden_size,
        feed_forward_size: keys.positive("feed_forward_length")?,
        heads,
        kv_heads,
        head_dim,
        context_length: keys.positive("context_length")?,
        vocabulary_size,
    };
    refuse_variants(&keys, head_dim)?;
    check_shapes(header, &facts)?;
    Ok(facts)
}

/// Members of the family that compute something else: served as plain ones they would be wrong.
fn refuse_variants(keys: &Keys<'_>, head_dim: u64) -> Result<(), PrepareFailure> {
    let scaling = keys.name("rope.scaling.type");
    if keys.metadata.get(&scaling).is_some() {
        let kind = keys.metadata.string(&scaling).map_err(failure)?;
        if kind != "none" {
            return Err(unsupported(format!(
                "failed to serve {scaling} = {:?}: scaled rotary embeddings are not supported in this release",
                shortened(kind)
            )));
        }
    }
    if let Some(rotated) = keys.optional("rope.dimension_count")?
        && rotated != head_dim
    {
        return Err(unsupported(format!(
            "failed to serve {} = {rotated}: only the rotation of whole heads ({head_dim}) is supported",
            keys.name("rope.dimension_count")
        )));
    }
    let experts = keys.name("expert_count");
    if keys.metadata.get(&experts).is_some() && keys.metadata.unsigned(&experts).map_err(failure)? > 0 {
        return Err(unsupported(format!(
            "failed to serve {experts}: mixtures of experts are not supported in this release"
        )));
    }
    Ok(())
}

/// Ties the metadata to tensors that really are in the file, so that no figure can be absurd.
fn check_shapes(header: &Header, facts: &ModelFacts) -> Result<(), PrepareFailure> {
    let last = facts.layers - 1;
    let queries = facts.heads.saturating_mul(facts.head_dim);
    let keys = facts.kv_heads.saturating_mul(facts.head_dim);
    for (name, expected) in [
        (
            "token_embd.weight".to_owned(),
            [facts.vocabulary_size, facts.hidden_size],
        ),
        (format!("blk.{last}.attn_q.weight"), [queries, facts.hidden_size]),
        (format!("blk.{last}.attn_k.weight"), [keys, facts.hidden_size]),
        (
            format!("blk.{last}.ffn_up.weight"),
            [facts.feed_forward_size, facts.hidden_size],
        ),
    ] {
        let found = &header.tensor(&name).map_err(failure)?.shape;
        if found[..] != expected {
            return Err(invalid(format!(
                "failed to read tensor {name:?}: its shape is {found:?}, the metadata says {expected:?}"
            )));
        }
    }
    Ok(())
}

/// The metadata keys of one architecture.
struct Keys<'a> {
    metadata: &'a Metadata,
    architecture: &'a str,
}

impl Keys<'_> {
    fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    /// A dimension that must be there.
    fn positive(&self, key: &str) -> Result<u64, PrepareFailure> {
        let name = self.name(key);
        match self.metadata.unsigned(&name).map_err(failure)? {
            value @ 1..=0x7fff_ffff => Ok(value),
            other => Err(invalid(format!(
                "failed to read {name}: {other} is out of range, expected 1 to 2147483647"
            ))),
        }
    }

    /// A dimension with a default.
    fn optional(&self, key: &str) -> Result<Option<u64>, PrepareFailure> {
        match self.metadata.get(&self.name(key)) {
            Some(_) => self.positive(key).map(Some),
            None => Ok(None),
        }
    }
}
