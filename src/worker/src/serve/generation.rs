//! An answer on its way: engine events in, text out.

use std::{iter::Sum, sync::Arc};

use engine::{
    Event, Events, Failure, FinishReason, TokenLogprobs,
    text::{TextStream, Tokenizer},
};

use super::metrics::Observation;

/// What one event of the engine means to a client.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// The prompt is computed; its logprobs from the second token on, if they were asked for.
    Prompt(Vec<TokenLogprobs>),
    /// More of the answer.
    Text {
        /// May be empty: part of a character, or the possible beginning of a stop string.
        text: String,
        /// Of the token that brought it, if they were asked for.
        logprobs: Option<TokenLogprobs>,
    },
    /// The end.
    End(FinishReason),
}

/// Tokens of answers, and how unlikely the model found them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// How many.
    pub tokens: usize,
    /// Sum of -ln of their probabilities by the model itself.
    pub nll: f64,
}

impl Spent {
    /// Mean of -ln of the probabilities, if there are any.
    pub fn mean_nll(self) -> Option<f64> {
        (self.tokens > 0).then(|| self.nll / self.tokens as f64)
    }
}

impl Sum for Spent {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            tokens: sum.tokens + one.tokens,
            nll: sum.nll + one.nll,
        })
    }
}

/// The engine could not finish an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It says why.
    #[error("{0}")]
    Failed(Failure),
    /// It is gone.
    #[error("the engine has stopped")]
    Stopped,
}

/// One answer. Dropping it cancels what is left of it.
pub struct Generation {
    tokenizer: Arc<Tokenizer>,
    events: Option<Events>,
    /// Control tokens whose names are text here.
    shown: Arc<[u32]>,
    text: TextStream,
    prompt_tokens: usize,
    tokens: usize,
    nll: f64,
    cached: usize,
    observation: Observation,
}

impl Generation {
    /// Follows `events`, which answer a prompt of `prompt_tokens` tokens, up to the first of `stops`.
    /// The tokens `shown` are text by their names.
    pub fn new(
        tokenizer: Arc<Tokenizer>,
        events: Events,
        shown: Arc<[u32]>,
        stops: &[String],
        prompt_tokens: usize,
        observation: Observation,
    ) -> Self {
        Self {
            tokenizer,
            events: Some(events),
            shown,
            text: TextStream::new(stops),
            prompt_tokens,
            tokens: 0,
            nll: 0.0,
            cached: 0,
            observation,
        }
    }

    /// The same for an answer that is a text of its own and does not go on with another: without the
    /// space that some tokenizers put in front of texts.
    pub fn into_whole_text(mut self) -> Self {
        if self.tokenizer.leading_space() {
            self.text = self.text.without_leading_space();
        }
        self
    }

    /// What the answer took so far.
    pub fn spent(&self) -> Spent {
        Spent {
            tokens: self.tokens,
            nll: self.nll,
        }
    }

    /// Tokens of the prompt that did not have to be computed.
    pub fn cached(&self) -> usize {
        self.cached
    }

    /// Waits for the next outputs. `None` after the end.
    ///
    /// # Errors
    /// When the engine gave up; there is nothing more to come then.
    pub async fn next(&mut self) -> Result<Option<Vec<Output>>, Broken> {
        let Some(events) = &mut self.events else {
            return Ok(None);
        };
        match events.recv().await {
            Some(Event::Prompt {
                begun,
                cached,
                logprobs,
            }) => {
                self.cached = cached;
                self.observation.prompt(begun, self.prompt_tokens, cached);
                Ok(Some(vec![Output::Prompt(logprobs)]))
            }
            Some(Event::Token { token, nll, logprobs }) => Ok(Some(self.token(token, nll, logprobs))),
            Some(Event::Finished(reason)) => {
                let text = self.text.finish().text;
                let rest = (!text.is_empty()).then_some(Output::Text { text, logprobs: None });
                Ok(Some(rest.into_iter().chain([self.end(reason)]).collect()))
            }
            Some(Event::Failed(failure)) => self.broken(Broken::Failed(failure)),
            None => self.broken(Broken::Stopped),
        }
    }

    fn token(&mut self, token: u32, nll: f32, logprobs: Option<TokenLogprobs>) -> Vec<Output> {
        self.tokens += 1;
        self.nll += f64::from(nll);
        self.observation.token();
        let bytes = match self.shown.contains(&token) {
            true => self.tokenizer.name(token).as_bytes(),
            false => self.tokenizer.bytes(token),
        };
        let piece = self.text.push(bytes);
        let text = Output::Text {
            text: piece.text,
            logprobs,
        };
        match piece.stopped {
            true => vec![text, self.end(FinishReason::Stop)],
            false => vec![text],
        }
    }

    fn end(&mut self, reason: FinishReason) -> Output {
        self.observation.end(reason, self.spent());
        self.events = None;
        Output::End(reason)
    }

    fn broken(&mut self, broken: Broken) -> Result<Option<Vec<Output>>, Broken> {
        self.events = None;
        self.observation.fail(&broken);
        Err(broken)
    }
}
