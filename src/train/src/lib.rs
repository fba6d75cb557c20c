//! Training on libtorch's automatic differentiation: networks, methods, objectives, optimizers, and states that a
//! training goes on from exactly.

pub mod collective;
mod work;

pub use work::{IGNORE, Pair, Sequence, Work};
