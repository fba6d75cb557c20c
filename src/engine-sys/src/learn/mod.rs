//! What training computes, there and back, in one pass over the numbers each. Tensors are in the CPU's memory, `Float`
//! or `BFloat16`.

mod block;
mod objective;

pub use block::{add_gradient, backward, gate, heads, norm};
pub use objective::{AdamW, Losses, adamw, cross_entropy};
