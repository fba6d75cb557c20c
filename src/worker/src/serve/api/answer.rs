//! What the answers of chat and completions have in common.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Json,
    http::{HeaderName, HeaderValue},
    response::{IntoResponse, Response},
};
use engine::{FinishReason, Request, TokenLogprobs};
use rand::distr::{Alphanumeric, SampleString as _};
use serde_json::{Value, json};
use telemetry::trace::Span;
use tokio::task::spawn_blocking;

use super::{Api, Served, error::Error, sampling::Options};
use crate::serve::generation::{Generation, Output, Spent};

/// Mean of -ln of the probabilities of an answer's tokens, for whoever watches answers go by.
const MEAN_NLL: HeaderName = HeaderName::from_static("x-atelier-mean-nll");

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
    pub fn new(model: &Served, prefix: &str, object: &'static str) -> Self {
        Self {
            id: format!("{prefix}-{}", Alphanumeric.sample_string(&mut rand::rng(), 24)),
            object,
            created: unix_time(),
            model: model.name.clone(),
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Name of the model.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Seconds since 1970 when it was made.
    pub fn created(&self) -> u64 {
        self.created
    }

    /// A whole answer.
    pub fn respond(&self, choices: Vec<Value>, usage: Usage) -> Response {
        let answer = self.around(choices, Some(usage));
        let mut response = Json(answer).into_response();
        if let Some(mean) = usage
            .spent
            .mean_nll()
            .and_then(|mean| HeaderValue::from_str(&format!("{mean:.4}")).ok())
        {
            response.headers_mut().insert(MEAN_NLL, mean);
        }
        response
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
        if let Some(Usage { prompt, cached, spent }) = usage {
            answer["usage"] = json!({
                "prompt_tokens": prompt,
                "completion_tokens": spent.tokens,
                "total_tokens": prompt + spent.tokens,
                "prompt_tokens_details": {"cached_tokens": cached},
                "mean_nll": spent.mean_nll(),
            });
        }
        answer
    }
}

/// What a request took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// Tokens of its prompts.
    pub prompt: usize,
    /// Of its prompts, those that an earlier request had computed.
    pub cached: usize,
    /// Of all its answers. In JSON it has, beside OpenAI's counts, `mean_nll`: the mean of -ln of the
    /// probabilities that the model itself gave to the tokens of the answers.
    pub spent: Spent,
}

impl Usage {
    /// Of whole answers to prompts of so many tokens.
    pub fn new(prompt: usize, answers: &[Whole]) -> Self {
        Self {
            prompt,
            cached: answers.first().map_or(0, |answer| answer.cached),
            spent: answers.iter().map(|answer| answer.spent).sum(),
        }
    }
}

/// Seconds since 1970.
pub fn unix_time() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}

/// Why an answer ended, as clients hear it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model, a stop string or the form of the answer ended it.
    Stop,
    /// It is as long as it may be.
    Length,
    /// The model called tools.
    ToolCalls,
}

impl Finish {
    /// OpenAI's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
        }
    }
}

impl From<FinishReason> for Finish {
    fn from(reason: FinishReason) -> Self {
        match reason {
            FinishReason::Stop => Self::Stop,
            FinishReason::Length => Self::Length,
        }
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

/// One prompt on its way to the engine.
pub struct Submission<'a> {
    /// What is the same for all answers.
    pub request: &'a Request,
    /// How they are made.
    pub options: &'a Options,
    /// Control tokens whose names are text here.
    pub shown: Arc<[u32]>,
    /// Of the request that asks for them.
    pub span: Span,
}

/// Submits the answers to one prompt.
///
/// # Errors
/// When the engine does not take one; those taken are then cancelled.
pub fn submit(api: &Api, submission: &Submission<'_>) -> Result<Vec<Generation>, Error> {
    let options = submission.options;
    let one = |index| {
        let request = Request {
            sampling: options.sampling_of(index),
            stop_tokens: match options.ignore_eos {
                true => Vec::new(),
                false => api.model.tokenizer.ends().into(),
            },
            ..submission.request.clone()
        };
        let prompt_tokens = request.prompt.len();
        let observation = api.metrics.begin(submission.span.clone());
        let events = api.model.engine.submit(request)?;
        let tokenizer = api.model.tokenizer.clone();
        Ok(Generation::new(
            tokenizer,
            events,
            submission.shown.clone(),
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
    /// What it took.
    pub spent: Spent,
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
        spent: Spent::default(),
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
    whole.spent = generation.spent();
    whole.cached = generation.cached();
    Ok(whole)
}
