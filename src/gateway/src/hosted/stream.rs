//! A provider's stream on its way to a client.

use std::{convert::Infallible, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use tokio::time::timeout;

use crate::{error::Error, events::WholeEvents, metrics::Observation, provider};

/// A stream that has begun.
pub struct Incoming {
    /// Where it comes from.
    pub response: reqwest::Response,
    /// What becomes of it.
    pub translated: provider::Stream,
}

/// The body of the answer. It ends in any case: a provider that breaks off or falls silent ends it with an `error`
/// event. Dropping it (the client left) closes the connection to the provider.
pub fn body(incoming: Incoming, model: String, idle_timeout: Duration, observation: Observation) -> Body {
    let passage = Passage {
        incoming,
        model,
        idle_timeout,
        observation,
        has_ended: false,
    };
    Body::from_stream(stream::unfold(passage, async |mut passage| {
        let next = passage.next().await?;
        Some((Ok::<_, Infallible>(next), passage))
    }))
}

struct Passage {
    incoming: Incoming,
    model: String,
    idle_timeout: Duration,
    observation: Observation,
    has_ended: bool,
}

impl Passage {
    async fn next(&mut self) -> Option<Bytes> {
        while !self.has_ended {
            let Incoming { response, translated } = &mut self.incoming;
            let model = self.model.clone();
            let told = match timeout(self.idle_timeout, response.chunk()).await {
                Ok(Ok(Some(piece))) => translated.push(&piece),
                Ok(Ok(None)) => {
                    self.has_ended = true;
                    translated.finish()
                }
                // It has said all, and forgot to say so.
                Ok(Err(_)) | Err(_) if translated.is_complete() => {
                    self.has_ended = true;
                    translated.finish()
                }
                Ok(Err(_)) => Err(provider::Broken),
                Err(_) => return Some(self.break_off(&Error::ProviderTimeout { model })),
            };
            match told {
                Ok(told) => {
                    if self.has_ended {
                        self.count();
                        self.observation.done();
                    }
                    if !told.is_empty() {
                        self.observation.first_token();
                        self.observation.piece(told.as_ref());
                        return Some(told.into());
                    }
                }
                Err(provider::Broken) => return Some(self.break_off(&Error::ProviderFailed { model })),
            }
        }
        None
    }

    /// Counts the tokens that were stated, once.
    fn count(&self) {
        if let Some(usage) = self.incoming.translated.usage() {
            self.observation.used(usage);
        }
    }

    /// Ends the stream before its time.
    fn break_off(&mut self, error: &Error) -> Bytes {
        self.has_ended = true;
        self.count();
        self.observation.failed(error.code());
        tracing::warn!(model = self.model, code = error.code(), "an answer broke off");
        WholeEvents::default().fail(error)
    }
}
