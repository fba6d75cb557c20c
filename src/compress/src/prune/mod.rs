//! Leaving weights out.

mod channels;
pub(crate) mod layers;
mod unstructured;

use std::collections::BTreeMap;

use engine::blocks::{Block, Layer};
use tch::Tensor;

use crate::{Error, Options, Pruning, Structure, inputs::Inputs};

/// For each matrix that was pruned weight by weight, one where a weight stayed and zero where not.
pub(crate) type Kept = BTreeMap<String, Tensor>;

/// Prunes a block that stays; pruning of channels leaves `feed_forward` of them, and narrows `inputs`, too.
pub(crate) fn block(
    block: &mut Block,
    inputs: &mut BTreeMap<Layer, Inputs>,
    options: &Options,
    feed_forward: u64,
) -> Result<Kept, Error> {
    if let Some((Structure::Channels, _)) = options.structured() {
        channels::prune(block, inputs, feed_forward as i64)?;
    }
    match options.pruning {
        None | Some((Pruning::Structured, _)) => Ok(Kept::new()),
        Some((Pruning::Magnitude, sparsity)) => unstructured::prune(block, None, sparsity),
        Some((Pruning::Wanda, sparsity)) => unstructured::prune(block, Some(inputs), sparsity),
    }
}
