//! What methods put beside the weights of the base.

mod bottleneck;
mod low_rank;
mod prefix;

pub(crate) use bottleneck::Bottleneck;
pub(crate) use low_rank::LowRank;
pub(crate) use prefix::Prefix;

use tch::{TchError, Tensor};

use crate::{
    network::{Network, Pass},
    parameters::Parameters,
    random::Random,
};

/// What is beside the weights.
pub(crate) enum Parts {
    /// Nothing.
    None,
    LowRank(LowRank),
    Bottleneck(Bottleneck),
    Prefix(Prefix),
}

/// A half of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    Attention,
    FeedForward,
}

/// Which activations are left out, which follows from the seed alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropout {
    /// How many.
    pub share: f64,
    /// Of the training.
    pub seed: u64,
    /// Changes of the weights so far, and the batch of this one.
    pub moment: (u64, u64),
}

impl Dropout {
    /// Leaves some activations out; `place` tells masks of one pass apart.
    pub fn apply(&self, values: &Tensor, place: (usize, u64)) -> Result<Tensor, TchError> {
        let mut random = Random::new(&[self.seed, self.moment.0, self.moment.1, place.0 as u64, place.1]);
        values.f_mul(&random.mask(&values.size(), self.share, values.f_kind()?)?)
    }
}

/// Places of masks in a block, apart from those of linear layers.
const RESIDUAL: u64 = 100;

impl Parts {
    /// Tokens that every text sees before its own.
    pub fn virtual_tokens(&self) -> i64 {
        match self {
            Self::Prefix(prefix) => prefix.tokens,
            _ => 0,
        }
    }

    /// Keys and values of these in a layer, `[1, kv_heads, tokens, head_dim]` each.
    pub fn keys_and_values(
        &self,
        parameters: &Parameters,
        layer: usize,
        network: &Network,
    ) -> Result<Option<(Tensor, Tensor)>, TchError> {
        match self {
            Self::Prefix(prefix) => prefix.keys_and_values(parameters, layer, network).map(Some),
            _ => Ok(None),
        }
    }
}

impl Pass<'_> {
    /// What half a block adds to the residual stream, on its way there.
    pub fn leave(self, layer: usize, site: Site, output: Tensor) -> Result<Tensor, TchError> {
        match self.parts {
            // Its inputs were dropped.
            Parts::LowRank(_) => Ok(output),
            Parts::Bottleneck(bottleneck) => bottleneck.add(self, layer, site, &output),
            Parts::Prefix(_) | Parts::None => match self.dropout {
                Some(dropout) => dropout.apply(&output, (layer, RESIDUAL + site as u64)),
                None => Ok(output),
            },
        }
    }
}
