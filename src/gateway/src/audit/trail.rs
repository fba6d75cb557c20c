//! A request up to the moment at which it is refused or sent on.

use std::{sync::Arc, time::Instant};

use axum::{
    body::Body,
    http::{HeaderMap, Response},
};
use serde::Serialize;
use store::audit::{Draft, Kind, Log, Unavailable};

use super::{
    Entry,
    event::{Asker, Opening, Refusal, RoomEvent, RoomOpening, ShadowEvent, ShadowOpening, groups_digest, trace_id},
};
use crate::{catalog::Model, error::Error, head::Head, headers, identity::Identity, name::ModelName};

/// The permission that is reviewed.
const POLICY: &str = "rbac: infer on llmmodels.atelier.dev";
const ROOMS_POLICY: &str = "rbac: rooms.atelier.dev";
const SHADOWS_POLICY: &str = "rbac: collect on shadowdeployments.atelier.dev";
const SHADOW_WORDS_POLICY: &str = "rbac: audit on shadowdeployments.atelier.dev";
/// The longest text of a caller that rows keep.
const LONGEST: usize = 512;

/// Tells the audit trail of a request, whatever becomes of it.
pub struct Trail<'a> {
    log: Option<&'a Arc<Log>>,
    caller: &'a Identity,
    request: &'a str,
    asker: Option<Asker>,
    is_open: bool,
    received: Instant,
}

impl<'a> Trail<'a> {
    pub(super) fn new(
        log: Option<&'a Arc<Log>>,
        operation: &'static str,
        headers: &'a HeaderMap,
        caller: &'a Identity,
        received: Instant,
    ) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let asker = log.map(|_| Asker {
            trace: text("traceparent").and_then(trace_id),
            uid: caller.uid().into(),
            groups: groups_digest(caller),
            operation,
            asked: None,
            policy: POLICY,
        });
        Self {
            log,
            caller,
            request: text(headers::REQUEST_ID.as_str()).unwrap_or_default(),
            asker,
            is_open: false,
            received,
        }
    }

    /// The caller has named a model.
    pub fn asks_for(&mut self, model: &str) {
        if let Some(asker) = &mut self.asker {
            asker.asked = Some(model.chars().take(LONGEST).collect());
        }
    }

    /// The caller has named a Room.
    pub fn asks_in(&mut self, room: &str) {
        self.asks_for(room);
        if let Some(asker) = &mut self.asker {
            asker.policy = ROOMS_POLICY;
        }
    }

    /// The caller has named a ShadowDeployment.
    pub fn asks_about(&mut self, shadow: &str) {
        self.asks_for(shadow);
        if let Some(asker) = &mut self.asker {
            asker.policy = SHADOWS_POLICY;
        }
    }

    /// The caller wants to read words of a ShadowDeployment's pairs.
    pub fn asks_to_read(&mut self, shadow: &str) {
        self.asks_for(shadow);
        if let Some(asker) = &mut self.asker {
            asker.policy = SHADOW_WORDS_POLICY;
        }
    }

    /// The caller was let into a Room, and is about to be answered. The entry tells the end.
    ///
    /// # Errors
    /// When that cannot be written down, so that it must not happen.
    pub async fn open_room(&mut self, opening: &RoomOpening) -> Result<Option<Entry>, Error> {
        // Texts are kept in the Room, with which they go.
        self.open_event(|asker| RoomEvent { asker, opening }).await
    }

    /// The caller may have pairs of a ShadowDeployment forgotten, or read their words, and is about to. The entry tells the end.
    ///
    /// # Errors
    /// When that cannot be written down, so that it must not happen.
    pub async fn open_shadow(&mut self, opening: &ShadowOpening<'_>) -> Result<Option<Entry>, Error> {
        self.open_event(|asker| ShadowEvent { asker, opening }).await
    }

    async fn open_event<'e, E: Serialize>(
        &'e mut self,
        event: impl FnOnce(&'e Asker) -> E,
    ) -> Result<Option<Entry>, Error> {
        let (Some(log), Some(asker)) = (self.log, &self.asker) else {
            return Ok(None);
        };
        self.is_open = true;
        let user = self.caller.user();
        let event = event(asker);
        let draft = Draft::new(Kind::Opened, self.request, user, &event);
        let (opened, committed) = log.open(draft).map_err(unavailable)?;
        let mut entry = Entry::new(opened, self.request, user, self.received, None);
        if let Err(error) = committed.wait().await {
            let error = unavailable(error);
            entry.ended(error.code());
            return Err(error);
        }
        Ok(Some(entry))
    }

    /// Writes down that a request goes no further, if nothing was opened before: the error to tell.
    pub async fn refuse(self, error: Error) -> Error {
        match self.end(Err(error.clone())).await {
            Ok(_) => error,
            Err(told) => told,
        }
    }

    /// The caller may ask `body`, and is about to. The entry tells the end. A model that answers for another has an
    /// entry of its own.
    ///
    /// # Errors
    /// When that cannot be written down, so that it must not happen.
    pub async fn open(
        &mut self,
        model: &Model,
        name: &ModelName,
        head: &Head,
        body: &[u8],
    ) -> Result<Option<Entry>, Error> {
        let (Some(log), Some(asker)) = (self.log, &self.asker) else {
            return Ok(None);
        };
        // From here on, the entry tells how it ends.
        self.is_open = true;
        let opening = Opening {
            asker,
            decision: "allowed",
            namespace: &model.namespace,
            model: &model.name,
            adapter: name.adapter.as_deref(),
            version: name.version.as_deref(),
            hosted: model.hosted.is_some(),
            stream: head.stream,
        };
        let user = self.caller.user();
        let content = log.content(&model.namespace, body).map_err(unavailable)?;
        let draft = Draft::with(Kind::Opened, self.request, user, &opening, content);
        let (opened, committed) = log.open(draft).map_err(unavailable)?;
        let answer = log.gather(&model.namespace);
        let mut entry = Entry::new(opened, self.request, user, self.received, answer);
        if let Err(error) = committed.wait().await {
            let error = unavailable(error);
            entry.ended(error.code());
            return Err(error);
        }
        Ok(Some(entry))
    }

    /// What the caller gets. A refusal that comes before [`Self::open`] is written down first.
    ///
    /// # Errors
    /// The refusal, or that it could not be written down.
    pub async fn end(self, outcome: Result<Response<Body>, Error>) -> Result<Response<Body>, Error> {
        let (Err(error), Some(log), Some(asker), false) = (&outcome, self.log, &self.asker, self.is_open) else {
            return outcome;
        };
        let refusal = Refusal {
            asker,
            decision: match error {
                Error::ModelForbidden { .. } | Error::RoomNotFound { .. } | Error::ShadowNotFound { .. } => "denied",
                _ => "none",
            },
            status: error.status().as_u16(),
            error: error.audit_code(),
        };
        let draft = Draft::new(Kind::Refused, self.request, self.caller.user(), &refusal);
        let committed = log.write(draft).map_err(unavailable)?;
        committed.wait().await.map_err(unavailable)?;
        outcome
    }
}

fn unavailable(error: Unavailable) -> Error {
    tracing::debug!(%error, "an audit row does not count");
    Error::AuditUnavailable
}
