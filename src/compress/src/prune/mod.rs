//! Leaving weights out.

mod structured;
mod unstructured;

use std::collections::BTreeMap;

use engine::blocks::{Block, Layer};
use tch::Tensor;

use crate::{Error, Pruning, inputs::Inputs};

/// For each matrix that was pruned weight by weight, one where a weight stayed and zero where not.
pub(crate) type Kept = BTreeMap<String, Tensor>;

/// Prunes a block; structured pruning leaves `feed_forward` channels, and narrows `inputs` with them.
pub(crate) fn block(
    block: &mut Block,
    inputs: &mut BTreeMap<Layer, Inputs>,
    pruning: Option<(Pruning, f64)>,
    feed_forward: u64,
) -> Result<Kept, Error> {
    match pruning {
        None => Ok(Kept::new()),
        Some((Pruning::Structured, _)) => {
            structured::prune(block, inputs, feed_forward as i64)?;
            Ok(Kept::new())
        }
        Some((Pruning::Magnitude, sparsity)) => unstructured::prune(block, None, sparsity),
        Some((Pruning::Wanda, sparsity)) => unstructured::prune(block, Some(inputs), sparsity),
    }
}
