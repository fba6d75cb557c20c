//! The network over whole texts, with automatic differentiation: what [`engine::blocks`] computes for one text.
//!
//! ```text
//!  Batch -> embed -> block, block, ... -> states (normed, of the rows that have targets) -> crate::head
//!                      ^ what a method puts beside the weights: method::Parts
//! ```

mod batch;
mod block;
mod four_bits;
mod rotary;
mod source;
mod weight;

pub(crate) use batch::Batch;
pub(crate) use source::{Source, config_of};
pub(crate) use weight::{Keep, Weight};

use engine::ModelConfig;
use engine_sys::learn;
use tch::{Kind, TchError, Tensor};

use self::{block::BlockWeights, rotary::Angles};
use crate::{
    Error,
    method::{Dropout, Parts},
    parameters::Parameters,
};

/// A network of the Llama family.
pub(crate) struct Network {
    pub config: ModelConfig,
    /// What products are computed in.
    pub kind: Kind,
    /// `[vocabulary, hidden]`
    pub embedding: Weight,
    pub blocks: Vec<BlockWeights>,
    /// `[hidden]`
    pub output_norm: Weight,
    /// `[vocabulary, hidden]`; `None` where it is the embedding.
    pub head: Option<Weight>,
}

/// What a forward pass computes with beside the network.
#[derive(Clone, Copy)]
pub(crate) struct Pass<'a> {
    pub parameters: &'a Parameters,
    pub parts: &'a Parts,
    pub dropout: Option<Dropout>,
}

/// What all blocks of a pass need to know of the rows.
pub(crate) struct Rows {
    pub(super) runs: Vec<batch::Run>,
    pub(super) angles: Angles,
    /// For each run, what attention adds to its scores, where it is not merely causal.
    pub(super) masks: Vec<Option<Tensor>>,
}

impl Network {
    /// Reads every tensor. `tied` makes the embedding the head.
    pub fn load(
        source: &Source<'_>,
        config: ModelConfig,
        kind: Kind,
        tied: bool,
        keep: &mut Keep<'_>,
    ) -> Result<Self, Error> {
        let wide = [config.vocabulary_size, config.hidden_size];
        let mut plain = |name: &str, shape: &[i64]| -> Result<Weight, Error> {
            let tensor = source.tensor(&config, name, shape, keep.reads(kind, false))?;
            Ok(keep.weight(name, tensor, false)?)
        };
        let embedding = plain("token_embd.weight", &wide)?;
        let output_norm = plain("output_norm.weight", &[config.hidden_size])?;
        let head = match tied {
            true => None,
            false => Some(plain("output.weight", &wide)?),
        };
        let blocks = (0..config.layers)
            .map(|index| BlockWeights::load(source, &config, kind, index, keep))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            config,
            kind,
            embedding,
            blocks,
            output_norm,
            head,
        })
    }

    /// What makes logits.
    pub fn head(&self) -> &Weight {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    /// What is to be known of the rows of a batch.
    pub fn rows(&self, pass: Pass<'_>, batch: &Batch) -> Result<Rows, TchError> {
        let before = pass.parts.virtual_tokens();
        let masks = batch.runs.iter().map(|run| match before {
            0 => Ok(None),
            before => block::mask(run.length, before, self.kind).map(Some),
        });
        Ok(Rows {
            runs: batch.runs.clone(),
            angles: Angles::new(&self.config, &batch.positions, before)?,
            masks: masks.collect::<Result<_, _>>()?,
        })
    }

    /// The residual stream before the first block, `[rows, hidden]`.
    pub fn embed(&self, pass: Pass<'_>, batch: &Batch) -> Result<Tensor, TchError> {
        let table = match &self.embedding {
            // Rounding the rows that are needed is cheaper than rounding all.
            Weight::Trained(id) => pass.parameters.value(*id).shallow_clone(),
            other => other.get(pass.parameters, self.kind)?,
        };
        Tensor::f_embedding(&table, &batch.tokens, -1, false, false)?.f_to_kind(self.kind)
    }

    /// The input of the head: the rows at `places` of the residual stream after the last block, normed.
    pub fn states(&self, pass: Pass<'_>, hidden: &Tensor, places: &Tensor) -> Result<Tensor, TchError> {
        let rows = hidden.f_index_select(0, places)?;
        self.norm(pass, &rows, &self.output_norm)
    }

    /// The residual stream after the last block.
    pub fn forward(&self, pass: Pass<'_>, batch: &Batch, rows: &Rows) -> Result<Tensor, TchError> {
        let mut hidden = self.embed(pass, batch)?;
        for index in 0..self.blocks.len() {
            hidden = self.block(index, pass, rows, &hidden)?;
        }
        Ok(hidden)
    }

    /// Root mean square normalization of the last dimension.
    pub(super) fn norm(&self, pass: Pass<'_>, rows: &Tensor, weight: &Weight) -> Result<Tensor, TchError> {
        let weight = weight.get(pass.parameters, self.kind)?;
        learn::norm(rows, &weight, self.config.norm_epsilon)
    }
}
