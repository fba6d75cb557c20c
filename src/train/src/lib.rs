//! Training on libtorch's automatic differentiation: networks, methods, objectives, optimizers, and states that a
//! training goes on from exactly.
//!
//! ```text
//!  Work -> network::Batch -> passes::Kept (blocks, with method::Parts beside them) -> head (losses, gradients)
//!       -> gradients (added up over the Group, averaged, clipped) -> optimizer
//! ```

pub mod collective;
mod error;
mod gradients;
mod head;
mod method;
mod network;
mod objective;
mod optimizer;
mod output;
mod parameters;
mod passes;
mod random;
mod schedule;
mod setup;
mod state;
mod tensor_file;
mod trainer;
mod work;

#[cfg(test)]
mod parity;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use setup::{dtype, processor};
pub use trainer::{Measured, StepReport, Trainer, Weights};
pub use work::{IGNORE, Pair, Sequence, Work};
