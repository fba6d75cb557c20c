//! Guardrails: what a model's LlmModel says must not reach it, or its callers.
//!
//! The detectors are in the crate `guard`; here is where the texts of requests and answers are. [`Guards`] are compiled when
//! the catalog learns of a model. [`Guarded`] takes one request through: its texts first, then whatever answers it,
//! [`whole`] or as [`events`]. After all that a model's [`webhook`]s are asked. Whatever cannot be looked at does not pass.

mod choice;
mod chunk;
mod events;
mod guards;
mod held;
mod notes;
mod request;
mod strict;
mod texts;
mod webhook;
mod whole;

use std::sync::Arc;

use ::guard::{Action, Stream};
use axum::{
    body::Body,
    http::{HeaderValue, Response, header},
};
use bytes::Bytes;
use prometheus::IntCounterVec;

pub use guards::Guards;
pub use webhook::Webhooks;

use crate::{
    catalog::Model,
    error::Error,
    metrics::{Ending, Observation, Operation},
    routes::Gateway,
};
use notes::{Direction, Notes};
use request::Looked;
use webhook::Jury;

/// A request to a model with guardrails, on its way.
pub struct Guarded {
    guards: Arc<Guards>,
    counted: Counted,
    operation: Operation,
    /// Who judges the answer.
    jury: Jury,
    looked: Looked,
    ending: Ending,
}

/// Where violations are counted.
#[derive(Clone)]
struct Counted {
    violations: IntCounterVec,
    model: Arc<Model>,
}

/// Looking at more than this takes long enough to keep others waiting.
const MAX_AT_ONCE: usize = 32 << 10;

/// The answer without what must not reach the caller.
///
/// # Errors
/// That of `answer`, or when it is in no form that can be looked at.
pub async fn pass(guarded: Option<Guarded>, answer: Result<Response<Body>, Error>) -> Result<Response<Body>, Error> {
    match guarded {
        Some(guarded) => guarded.answer(answer?).await,
        None => answer,
    }
}

impl Guarded {
    /// Looks at the texts of `body`, of the request with this `id`. `None` for a model without guardrails.
    ///
    /// # Errors
    /// When a check refuses the request, or cannot look at it.
    pub async fn begin(
        gateway: &Gateway,
        model: &Arc<Model>,
        operation: Operation,
        body: &Bytes,
        id: &str,
    ) -> Result<Option<Self>, Error> {
        let Some(guards) = &model.guards else {
            return Ok(None);
        };
        let counted = Counted {
            violations: gateway.metrics.guardrail_violations.clone(),
            model: model.clone(),
        };
        let look = {
            let (counted, guards, body) = (counted.clone(), guards.clone(), body.clone());
            move || request::look(&guards, &counted, operation, &body)
        };
        let looked = if body.len() > MAX_AT_ONCE {
            let looked = tokio::task::spawn_blocking(look).await;
            // A check that breaks lets nothing through.
            looked.unwrap_or_else(|_| {
                Err(Error::GuardrailsUnusable {
                    model: model.qualified(),
                })
            })
        } else {
            look()
        };
        let jury = |direction| Jury {
            webhooks: gateway.webhooks.clone(),
            guards: guards.clone(),
            model: model.clone(),
            operation,
            id: id.into(),
            direction,
        };
        let mut looked = looked?;
        looked.judge(&jury(Direction::Input), &counted).await?;
        Ok(Some(Self {
            guards: guards.clone(),
            counted,
            operation,
            jury: jury(Direction::Output),
            looked,
            ending: Ending::default(),
        }))
    }

    /// The body without what must not reach the model, if that is another one.
    pub fn take_body(&mut self) -> Option<Bytes> {
        self.looked.body.take()
    }

    /// Will tell `observation` if a check ends the answer.
    pub fn may_end(&mut self, observation: &mut Observation) {
        self.ending = observation.ending();
    }

    async fn answer(self, response: Response<Body>) -> Result<Response<Body>, Error> {
        let (mut parts, body) = response.into_parts();
        let Looked { notes, choices, .. } = self.looked;
        let unguarded = || Error::Unguarded {
            model: self.counted.model.qualified(),
        };
        let rails = self.guards.rails().map_err(|_| unguarded())?;
        parts.headers.remove(notes::HEADER);
        let generates = matches!(self.operation, Operation::Chat | Operation::TextCompletion);
        if !parts.status.is_success() || !generates || !rails.look_at_answers() {
            notes.tell(&mut parts.headers);
            return Ok(Response::from_parts(parts, body));
        }
        if parts.headers.contains_key(header::CONTENT_ENCODING) {
            return Err(unguarded());
        }
        parts.headers.remove(header::CONTENT_LENGTH);
        let kind = parts.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        let is = |name: &[u8]| kind.is_some_and(|kind| kind.starts_with(name));
        if is(b"text/event-stream") {
            notes.tell(&mut parts.headers);
            let chunks = chunk::Chunks::new(rails, self.counted.clone(), self.jury, notes, choices);
            return Ok(Response::from_parts(parts, events::body(body, chunks, self.ending)));
        }
        if !is(b"application/json") {
            return Err(unguarded());
        }
        let (answer, notes) = whole::look(body, rails, &self.counted, &self.jury, notes).await?;
        notes.tell(&mut parts.headers);
        Ok(Response::from_parts(parts, Body::from(answer)))
    }
}

impl Counted {
    /// Counts what a stream found.
    fn note(&self, direction: Direction, stream: &Stream, notes: &mut Notes) {
        for violations in stream.report().violations(stream.guard()) {
            let refusal = stream.refusal();
            let action = match refusal.is_some_and(|refusal| refusal.check == violations.check) {
                true => Action::Refuse,
                false => violations.action,
            };
            self.count(violations.check, action);
            notes.add(direction, violations.check, action, violations.kinds);
        }
    }

    /// Counts what webhooks found.
    fn count_all(&self, notes: &Notes) {
        for (check, action) in notes.checks() {
            self.count(check, action);
        }
    }

    fn count(&self, check: &str, action: Action) {
        let labels = [&*self.model.namespace, &*self.model.name, check, action.name()];
        self.violations.with_label_values(&labels).inc();
    }
}
