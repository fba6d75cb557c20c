//! Encoders: networks that look at a whole text at once and give numbers about it, a vector
//! (embedding) or, for a pair of texts, a score (cross-encoder).
//!
//! ```text
//!  encode(texts) -> queue -> [encoder thread] texts of many requests -> one pass -> pooling -> rows
//! ```

mod batch;
mod config;
mod handle;
mod network;
mod pooling;
mod precision;
mod text;
mod thread;
mod weights;

pub use config::EncoderConfig;
pub use handle::{Encoder, EncoderOptions, Rows};
pub use pooling::{Pooling, normalize};
pub use precision::Precision;
pub use text::{Encoded, TextEncoder};

#[cfg(test)]
mod tests;
