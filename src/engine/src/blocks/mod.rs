//! The network one block at a time, densely over whole texts: what measures and changes weights
//! (quantization, pruning, perplexity) sees every layer's input and holds one block in memory.
//!
//! ```text
//!  hidden states of windows -> Block::forward, which shows each linear layer's input -> ... -> HeadLoss
//! ```
//!
//! It computes what [`crate::Model`] computes, in single precision and without a KV cache.

mod block;
mod head;
mod rows;

pub use block::{Block, Layer, Positions};
pub use head::{HeadLoss, normed};
pub use rows::{permuted, unpermuted};

use gguf::GgmlType;
use tch::{TchError, Tensor};

/// Widens the stored bytes of a tensor; `None` for a type that the engine does not know.
pub fn widen(bytes: &[u8], ggml_type: GgmlType) -> Option<Vec<f32>> {
    crate::dequantize::dequantize(bytes, ggml_type)
}

/// Root mean square normalization (Zhang and Sennrich 2019, <https://arxiv.org/abs/1910.07467>).
fn rms_norm(hidden: &Tensor, weight: &Tensor, epsilon: f64) -> Result<Tensor, TchError> {
    hidden.f_rms_norm(weight.size(), Some(weight), epsilon)
}

#[cfg(test)]
mod tests;
