//! Smaller models from large ones: prunes, quantizes, measures what that costs, and keeps the result
//! only if it costs no more than allowed.
//!
//! ```text
//!  source -> for each block: [observe its inputs] -> prune -> quantize -> write
//!                 |                                                |
//!  held-out text, computed with the old weights and with the new -> perplexities -> gate -> publish
//! ```
//!
//! One transformer block is in memory at a time, and beside it the hidden states of all windows of
//! the calibration text, so a model much larger than memory can be compressed. Whatever is finished
//! lies in a work directory; a run that was killed goes on there, and gives the same file.

mod calibration;
mod error;
mod inputs;
mod options;
mod output;
mod pipeline;
mod plan;
mod prune;
mod quantize;
mod source;
mod states;
mod store;
#[cfg(test)]
mod testing;

pub use error::Error;
pub use options::{Args, Method, Options, Pruning, Quantization, Structure};
pub use pipeline::{Job, Outcome, run};
