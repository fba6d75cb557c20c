//! Forward through all blocks and back. Either everything on the way is kept, or the input of each block alone, and
//! the way back computes each block again (Chen et al. 2016, <https://arxiv.org/abs/1604.06174>).

use engine_sys::learn;
use tch::{TchError, Tensor};

use crate::network::{Batch, Network, Pass, Rows};

/// What is kept of a forward pass for the way back.
pub(crate) struct Kept<'a> {
    network: &'a Network,
    pass: Pass<'a>,
    batch: &'a Batch,
    rows: Rows,
    /// The residual stream after the last block.
    last: Tensor,
    /// The inputs of all blocks, if they are all that is kept.
    inputs: Vec<Tensor>,
    states: Tensor,
}

impl<'a> Kept<'a> {
    /// Computes the input of the head for all rows that have targets.
    pub fn forward(network: &'a Network, pass: Pass<'a>, batch: &'a Batch, by_block: bool) -> Result<Self, TchError> {
        let rows = network.rows(pass, batch)?;
        let mut inputs = Vec::new();
        let last = match by_block {
            false => network.forward(pass, batch, &rows)?,
            true => {
                let _guard = tch::no_grad_guard();
                let mut hidden = network.embed(pass, batch)?;
                for index in 0..network.blocks.len() {
                    let next = network.block(index, pass, &rows, &hidden)?;
                    inputs.push(std::mem::replace(&mut hidden, next));
                }
                hidden
            }
        };
        let last = match by_block {
            true => last.f_detach()?.f_set_requires_grad(true)?,
            false => last,
        };
        let states = network.states(pass, &last, &batch.places)?;
        Ok(Self {
            network,
            pass,
            batch,
            rows,
            last,
            inputs,
            states,
        })
    }

    /// The input of the head, `[targets, hidden]`.
    pub fn states(&self) -> &Tensor {
        &self.states
    }

    /// Adds to the gradients of all trained tensors, from that of the states.
    pub fn backward(self, gradient: &Tensor) -> Result<(), TchError> {
        let Self {
            network,
            pass,
            batch,
            rows,
            last,
            mut inputs,
            states,
        } = self;
        let by_block = !inputs.is_empty();
        back(&states, gradient)?;
        if !by_block {
            return Ok(());
        }
        let mut gradient = last.f_grad()?;
        drop((states, last));
        for index in (0..network.blocks.len()).rev() {
            let input = inputs
                .pop()
                .ok_or_else(|| TchError::Shape("a block without input".into()))?;
            let first = index == 0;
            // Nothing is learned before the first block unless the embedding is trained.
            let more = !first || network.embedding.trained().is_some();
            let input = input.f_detach()?.f_set_requires_grad(more)?;
            let output = network.block(index, pass, &rows, &input)?;
            back(&output, &gradient)?;
            if more {
                gradient = input.f_grad()?;
            }
        }
        match network.embedding.trained() {
            Some(_) => back(&network.embed(pass, batch)?, &gradient),
            None => Ok(()),
        }
    }
}

/// The way back from `output`, whose gradient is known.
fn back(output: &Tensor, gradient: &Tensor) -> Result<(), TchError> {
    match output.requires_grad() {
        true => learn::backward(output, &gradient.f_detach()?),
        false => Ok(()),
    }
}
