//! What the answers of chat and completions have in common.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use engine::{FinishReason, Request, TokenLogprobs};
use rand::distr::{Alphanumeric, SampleString as _};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::{Api, error::Error, sampling::Options};
use crate::serve::generation::{Generation, Output};

/// The frame of an answer: fields that all its pieces repeat.
#[derive(Clone, Debug)]
pub struct Frame {
    id: String,
    object: &'static str,
    created: u64,
    model: String,
}

impl Frame {
    /// A frame with an id that begins with `prefix`.
    pub fn new(api: &Api, prefix: &str, object: &'static str) -> Self {
        Self {
            id: format!("{prefix}-{}", Alphanumeric.sample_string(&mut rand::rng(), 24)),
            object,
            created: unix_time(),
            model: api.model.served_name.clone(),
        }
    }

    /// An answer, or a piece of one, with these choices and, if known, the tokens used.
    pub fn around(&self, choices: Vec<Value>, usage: Option<Usage>) -> Value {
        let mut answer = json!({
            "id": self.id,
            "object": self.object,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        });
        if let Some(Usage {
            prompt,
            cached,
            answer: tokens,
        }) = usage
        {
            answer["usage"] = json!({
                "prompt_tokens": prompt,
                "completion_tokens": tokens,
                "total_tokens": prompt + tokens,
                "prompt_tokens_details": {"cached_tokens": cached},
            });
        }
        answer
    }
}

/// Tokens that a request took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Of its prompts.
    pub prompt: usize,
    /// Of its prompts, those that an earlier request had computed.
    pub cached: usize,
    /// Of its answers.
    pub answer: usize,
}

/// Seconds since 1970.
pub fn unix_time() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}

/// OpenAI's word for the end of an answer.
pub fn finish_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
    }
}

/// The tokens of a text; long ones take a while, so not on the threads that serve.
pub async fn encode(api: &Arc<Api>, text: String, begin: bool) -> Result<Vec<u32>, Error> {
    let tokenizer = api.model.tokenizer.clone();
    let encoded = spawn_blocking(move || tokenizer.encode(&text, begin)).await;
    encoded
        .unwrap_or_else(|error| Err(error.to_string()))
        .map_err(Error::Tokenizer)
}

/// Submits the answers to one prompt.
///
/// # Errors
/// When the engine does not take one; those taken are then cancelled.
pub fn submit(api: &Api, request: &Request, options: &Options) -> Result<Vec<Generation>, Error> {
    let one = |index| {
        let request = Request {
            sampling: options.sampling_of(index),
            stop_tokens: match options.ignore_eos {
                true => Vec::new(),
                false => api.model.tokenizer.ends().into(),
            },
            ..request.clone()
        };
        let prompt_tokens = request.prompt.len();
        let observation = api.metrics.begin();
        let events = api.model.engine.submit(request)?;
        let tokenizer = api.model.tokenizer.clone();
        Ok(Generation::new(
            tokenizer,
            events,
            &options.stops,
            prompt_tokens,
            observation,
        ))
    };
    (0..options.answers).map(one).collect()
}

/// An answer that is complete.
#[derive(Clone, Debug, PartialEq)]
pub struct Whole {
    /// Logprobs of the prompt, if they were asked for.
    pub prompt_logprobs: Vec<TokenLogprobs>,
    /// All of it.
    pub text: String,
    /// Logprobs of its tokens, if they were asked for.
    pub logprobs: Vec<TokenLogprobs>,
    /// Why it ended.
    pub reason: FinishReason,
    /// How many tokens it took.
    pub tokens: usize,
    /// How many tokens of its prompt did not have to be computed.
    pub cached: usize,
}

/// Waits for all of an answer.
///
/// # Errors
/// When the engine gives up.
pub async fn whole(mut generation: Generation) -> Result<Whole, Error> {
    let mut whole = Whole {
        prompt_logprobs: Vec::new(),
        text: String::new(),
        logprobs: Vec::new(),
        reason: FinishReason::Length,
        tokens: 0,
        cached: 0,
    };
    while let Some(outputs) = generation.next().await? {
        for output in outputs {
            match output {
                Output::Prompt(logprobs) => whole.prompt_logprobs = logprobs,
                Output::Text { text, logprobs } => {
                    whole.text.push_str(&text);
                    whole.logprobs.extend(logprobs);
                }
                Output::End(reason) => whole.reason = reason,
            }
        }
    }
    whole.tokens = generation.tokens();
    whole.cached = generation.cached();
    Ok(whole)
}
