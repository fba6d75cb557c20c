//! What a worker tells the gateway of an answer that somebody else gave: how likely its model finds it.
//!
//! `POST /internal/score`, beside the API for clients: gateways offer no such path, and the HTTPRoutes that lead to workers
//! directly have `/v1` alone.

use serde::{Deserialize, Serialize};

/// Where it is.
///
/// The body has `model`, and either `messages`, whose last one is the assistant's, with `tools` as in a chat, or `prompt`
/// and `completion`. `ended` says whether the answer came to its end by itself: then its end is scored with it.
pub const PATH: &str = "/internal/score";

/// How likely a model finds an answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// Tokens of the answer, as the model counts them. At least one.
    pub tokens: u64,
    /// Sum of -ln of their probabilities given all that comes before them, in nats.
    pub nll: f64,
}
