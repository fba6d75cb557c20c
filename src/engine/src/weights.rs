//! The tensors of a file in the form that the network computes with.

mod packed_file;
mod parallel;
mod reader;
#[cfg(test)]
pub(crate) mod tests;

use checkpoint::Checkpoint;
use engine_sys::Packed;
use tch::Tensor;

pub use self::packed_file::Cache;

use self::{
    packed_file::PackedFile,
    parallel::in_parallel,
    reader::{Part, Reader},
};
use crate::{
    Dtype, LoadError, ModelConfig,
    ops::{HeadNorms, Linear},
};

/// Names of matrices in the file of packed ones.
const EMBEDDING: &str = "embedding";
const HEAD: &str = "head";
const QKV: &str = "qkv";
const ATTENTION_OUTPUT: &str = "attention_output";
const GATE_UP: &str = "gate_up";
const DOWN: &str = "down";

/// All weights.
pub(crate) struct Weights {
    /// `[vocabulary, hidden]`
    pub embedding: Linear,
    pub layers: Vec<LayerWeights>,
    /// `[hidden]`
    pub output_norm: Tensor,
    /// `[vocabulary, hidden]`; `None` where the file ties it to the embedding.
    pub head: Option<Linear>,
}

/// The weights of one transformer block. What reads the same input is one matrix: fewer, larger
/// products.
pub(crate) struct LayerWeights {
    /// `[hidden]`
    pub attention_norm: Tensor,
    /// `[(heads + 2 kv_heads) head_dim, hidden]`: query, key, value
    pub qkv: Linear,
    /// `[(heads + 2 kv_heads) head_dim]`
    pub qkv_bias: Option<Tensor>,
    /// `[head_dim]` each: of query heads, of key heads
    pub head_norms: Option<HeadNorms>,
    /// `[hidden, heads head_dim]`
    pub attention_output: Linear,
    /// `[hidden]`
    pub feed_forward_norm: Tensor,
    /// `[2 feed_forward, hidden]`: gate, up
    pub gate_up: Linear,
    /// `[hidden, feed_forward]`
    pub down: Linear,
}

/// How weights are read.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub dtype: Dtype,
    /// Where plain tensors go.
    pub device: tch::Device,
    /// Whether quantized matrices stay as small as they are.
    pub pack: bool,
    /// Where packed matrices are kept for the next start.
    pub cache: Option<&'a Cache>,
    pub threads: usize,
}

impl Weights {
    /// Reads every tensor.
    ///
    /// # Errors
    /// When a tensor is missing, has another shape than the configuration calls for, or a type that
    /// is not supported.
    pub fn load(file: &Checkpoint, config: &ModelConfig, reading: Reading<'_>) -> Result<Self, LoadError> {
        let Some(cache) = reading.cache.filter(|_| reading.pack) else {
            return Self::read(file, config, reading, None);
        };
        if let Some(packed) = cache.open() {
            match Self::read(file, config, reading, Some(&packed)) {
                Ok(weights) => return Ok(weights),
                Err(error) => tracing::warn!(%error, "the packed weights are of no use and are made again"),
            }
        }
        let weights = Self::read(file, config, reading, None)?;
        let written = cache.write(&weights.packed().collect::<Vec<_>>());
        match written {
            Ok(packed) => {
                // Those in the file take no memory of this process's own.
                drop(weights);
                Self::read(file, config, reading, Some(&packed))
            }
            Err(error) => {
                tracing::warn!(%error, "failed to keep the packed weights; the next start packs them again");
                Ok(weights)
            }
        }
    }

    fn read(
        file: &Checkpoint,
        config: &ModelConfig,
        reading: Reading<'_>,
        packed: Option<&PackedFile>,
    ) -> Result<Self, LoadError> {
        let reader = Reader::new(file, reading, packed);
        let vocabulary = |name: &str| Part::plain(name, config.vocabulary_size);
        let head = match file.header().tensor("output.weight") {
            Ok(_) => Some(reader.linear(HEAD, config.hidden_size, &[vocabulary("output.weight")])?),
            Err(_) => None,
        };
        Ok(Self {
            embedding: reader.linear(EMBEDDING, config.hidden_size, &[vocabulary("token_embd.weight")])?,
            layers: in_parallel(config.layers, reading.threads, |index| reader.layer(index, config))?,
            output_norm: reader.norm("output_norm.weight", config.hidden_size)?,
            head,
        })
    }

    /// What makes logits.
    pub fn head(&self) -> &Linear {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    /// All packed matrices, by the names that [`Reader::linear`] is given.
    fn packed(&self) -> impl Iterator<Item = (String, &[Packed])> {
        let outer = [
            (EMBEDDING.to_owned(), Some(&self.embedding)),
            (HEAD.to_owned(), self.head.as_ref()),
        ];
        let layers = self.layers.iter().enumerate().flat_map(|(index, layer)| {
            let LayerWeights {
                qkv,
                attention_output,
                gate_up,
                down,
                ..
            } = layer;
            let named = |name, linear| (reader::name(index, name), Some(linear));
            [
                named(QKV, qkv),
                named(ATTENTION_OUTPUT, attention_output),
                named(GATE_UP, gate_up),
                named(DOWN, down),
            ]
        });
        outer
            .into_iter()
            .chain(layers)
            .filter_map(|(name, linear)| match linear? {
                Linear::Packed(parts) => Some((name, parts.as_slice())),
                Linear::Dense(_) => None,
            })
    }
}
