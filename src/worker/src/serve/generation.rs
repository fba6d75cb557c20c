//! An answer on its way: engine events in, text out.

use std::sync::Arc;

use engine::{
    Event, Events, FinishReason, TokenLogprobs,
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

/// The engine could not finish an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the model failed to compute the answer: {0}")]
pub struct Broken(pub String);

/// One answer. Dropping it cancels what is left of it.
pub struct Generation {
    tokenizer: Arc<Tokenizer>,
    events: Option<Events>,
    text: TextStream,
    prompt_tokens: usize,
    tokens: usize,
    cached: usize,
    observation: Observation,
}

impl Generation {
    /// Follows `events`, which answer a prompt of `prompt_tokens` tokens, up to the first of `stops`.
    pub fn new(
        tokenizer: Arc<Tokenizer>,
        events: Events,
        stops: &[String],
        prompt_tokens: usize,
        observation: Observation,
    ) -> Self {
        Self {
            tokenizer,
            events: Some(events),
            text: TextStream::new(stops),
            prompt_tokens,
            tokens: 0,
            cached: 0,
            observation,
        }
    }

    /// Tokens of the answer so far.
    pub fn tokens(&self) -> usize {
        self.tokens
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
            Some(Event::Prompt { cached, logprobs }) => {
                self.cached = cached;
                self.observation.prompt(self.prompt_tokens, cached);
                Ok(Some(vec![Output::Prompt(logprobs)]))
            }
            Some(Event::Token { token, logprobs }) => Ok(Some(self.token(token, logprobs))),
            Some(Event::Finished(reason)) => {
                let text = self.text.finish().text;
                let rest = (!text.is_empty()).then_some(Output::Text { text, logprobs: None });
                Ok(Some(rest.into_iter().chain([self.end(reason)]).collect()))
            }
            Some(Event::Failed(message)) => self.broken(message),
            None => self.broken("the engine has stopped".into()),
        }
    }

    fn token(&mut self, token: u32, logprobs: Option<TokenLogprobs>) -> Vec<Output> {
        self.tokens += 1;
        self.observation.token();
        let piece = self.text.push(self.tokenizer.bytes(token));
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
        self.observation.end(reason);
        self.events = None;
        Output::End(reason)
    }

    fn broken(&mut self, message: String) -> Result<Option<Vec<Output>>, Broken> {
        self.events = None;
        Err(Broken(message))
    }
}
