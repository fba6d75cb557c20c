//! What a caller asks of the engine, and what it hears back.

use std::{sync::Arc, time::Instant};

use tokio::sync::mpsc::UnboundedReceiver;

use crate::{Sampling, TokenConstraint, TokenLogprobs, lora::Adapter};

/// A prompt to be continued.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The prompt, at least one token.
    pub prompt: Vec<u32>,
    /// Longest answer in tokens; the context's end cuts it short. 0 computes the prompt only.
    pub max_tokens: usize,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// What the answer must look like.
    pub constraint: Option<Box<dyn TokenConstraint>>,
    /// Tokens that end the answer; they are not part of it.
    pub stop_tokens: Vec<u32>,
    /// Report logprobs of the answer's tokens, each with so many of the likeliest ones.
    pub logprobs: Option<usize>,
    /// Report logprobs of the prompt's tokens from the second on, each with so many of the likeliest ones.
    pub prompt_logprobs: Option<usize>,
    /// For whom it is: users who compete get equal shares.
    pub user: Option<String>,
    /// Beginnings of prompts that are computed already are shared within a scope, and never beyond.
    pub cache_scope: Option<String>,
    /// What is added to the base model, which answers alone without one.
    pub adapter: Option<Arc<Adapter>>,
}

/// One thing that happened to a request. The last event is `Finished` or `Failed`; a receiver that
/// ends without either belongs to an engine that died.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The prompt is computed.
    Prompt {
        /// When its turn came.
        begun: Instant,
        /// How many of its tokens did not have to be computed, because the cache held them.
        cached: usize,
        /// Its logprobs from the second token on, if they were asked for.
        logprobs: Vec<TokenLogprobs>,
    },
    /// The next token of the answer.
    Token {
        /// The token.
        token: u32,
        /// -ln of its probability by the model itself, before everything that changes the choice.
        nll: f32,
        /// Its logprobs, if they were asked for.
        logprobs: Option<TokenLogprobs>,
    },
    /// The answer is complete.
    Finished(FinishReason),
    /// The answer cannot be completed.
    Failed(Failure),
}

/// Why an answer cannot be completed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Damaged weights, or numbers that ran over: nothing can be chosen.
    #[error("the model computed no finite logits")]
    NotFinite,
    /// The request's own constraint gave up.
    #[error("the answer cannot be kept to what the request asks for: {0}")]
    Constraint(String),
    /// The pass failed.
    #[error("the model failed to compute the answer: {0}")]
    Computation(String),
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model chose a stop token, or the constraint lets nothing follow.
    Stop,
    /// The answer is as long as it may be.
    Length,
}

/// The events of one request. Dropping it cancels the request.
pub type Events = UnboundedReceiver<Event>;
