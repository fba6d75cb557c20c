//! Sending a request to a worker, and to another one where that is safe.

mod attempts;
mod hedge;

use std::{sync::Arc, time::Duration, time::Instant};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
};
use hyper::body::Incoming;
use prometheus::{Histogram, IntCounterVec};
use tokio::time::timeout_at;

use crate::{
    adapter::Asked,
    balance::Preference,
    body::HeldBody,
    canary::{Conversation, Conversations},
    catalog::{Active, Catalog, Endpoint, Lease, Model},
    deadline::Deadline,
    error::Error,
    headers,
    hold::{self, Holds},
    metrics::{Metrics, Observation, Operation},
    relay::Relay,
    trace::Trace,
    upstream::{Failure, Upstream, UpstreamTimeouts},
};
use attempts::{Attempts, RETRY_PAUSE};

/// A request for a model that its caller may use.
pub struct Request {
    /// What it asks for.
    pub operation: Operation,
    /// The model.
    pub model: Arc<Model>,
    /// The adapter beside it.
    pub adapter: Option<Asked>,
    /// The version the caller insists on.
    pub version: Option<String>,
    /// What it belongs to.
    pub conversation: Conversation,
    /// The headers for the worker.
    pub headers: HeaderMap,
    /// The body for the worker.
    pub body: HeldBody,
    /// When it arrived.
    pub received: Instant,
    /// When its answer must begin.
    pub deadline: Deadline,
    /// Whether the first byte tells that a worker is well, and not how long its answer is.
    pub begins_soon: bool,
    /// Its trace.
    pub trace: Trace,
}

/// The version of a model that gave an answer: an extension of responses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedBy(pub String);

/// Sends requests to workers.
pub struct Proxy {
    catalog: Arc<Catalog>,
    conversations: Conversations,
    upstream: Upstream,
    holds: Holds,
    idle_timeout: Duration,
    patience: Duration,
    zone: Option<String>,
    hedges: bool,
    attempts: IntCounterVec,
    overhead: Histogram,
}

impl Proxy {
    /// A proxy to the workers in `catalog`. For a model that ought to be ready, a worker is waited
    /// for as long as `patience`: watches may bring the news of a roll-out in any order. Workers of `zone` come first. For one that sleeps
    /// it is waited for in one of the places of `holds`, as long as the model says. A request whose answer is late goes to a
    /// second worker as well if `hedges`.
    pub fn new(
        catalog: Arc<Catalog>,
        timeouts: UpstreamTimeouts,
        patience: Duration,
        holds: Holds,
        zone: Option<String>,
        hedges: bool,
        metrics: &Metrics,
    ) -> Self {
        Self {
            catalog,
            conversations: Conversations::default(),
            upstream: Upstream::new(timeouts),
            holds,
            idle_timeout: timeouts.idle,
            patience,
            zone,
            hedges,
            attempts: metrics.attempts.clone(),
            overhead: metrics.overhead.clone(),
        }
    }

    /// The worker's answer to `request`, streaming. `observation` measures it to its end.
    ///
    /// # Errors
    /// When no worker took the request, or the one that did broke off before its answer began.
    pub async fn forward(&self, request: Request, mut observation: Observation) -> Result<Response<Body>, Error> {
        let active = self.catalog.begin(&request.model);
        match self.send(&request, &active).await {
            Ok((response, mut lease)) => {
                lease.keep(active);
                Ok(self.relay(response, &request.model, observation, lease))
            }
            Err(error) => {
                observation.failed(error.code());
                Err(error)
            }
        }
    }

    async fn send(&self, request: &Request, active: &Active) -> Result<(Response<Incoming>, Lease), Error> {
        let patience = request.model.hold.unwrap_or_default().max(self.patience);
        let mut attempts = Attempts::new(patience, request.deadline);
        let model = || request.model.qualified();
        loop {
            let (lease, is_canary) = self.next_worker(request, active, &mut attempts).await?;
            if attempts.offers == 0 && !attempts.was_held {
                self.overhead.observe(request.received.elapsed().as_secs_f64());
            }
            let (sent, mut lease) = self.attempt(request, lease, is_canary, active, &mut attempts).await;
            if let Ok(response) = &sent {
                request.trace.is_answered(response.status());
            }
            // A worker that is gone computes nothing, and one that hangs may still do.
            let hangs = matches!(sent, Err(Failure::Timeout));
            let (outcome, error, broken) = match sent {
                // A worker that is stopping says so before it looks at the request.
                Ok(response) if response.status() == StatusCode::SERVICE_UNAVAILABLE => {
                    lease.turned_away();
                    ("unavailable", Error::UpstreamUnavailable { model: model() }, false)
                }
                // The first worker cannot take all that waited for it at once.
                Ok(response) if response.status() == StatusCode::TOO_MANY_REQUESTS && attempts.was_held => {
                    lease.abstain();
                    self.count(request, "full");
                    if tokio::time::Instant::now() >= attempts.until {
                        return Ok((response, lease));
                    }
                    attempts.tried.push(lease.endpoint().clone());
                    continue;
                }
                // That a worker has not loaded an adapter yet tells nothing about its version.
                Ok(response) if response.status() == StatusCode::NOT_FOUND && request.adapter.is_some() => {
                    lease.abstain();
                    self.count(request, "no_adapter");
                    match is_canary {
                        true => attempts.shuns_canary = true,
                        false => attempts.lacking.push(lease.endpoint().clone()),
                    }
                    continue;
                }
                // Nobody pays for the trial of a version.
                Ok(response) if is_canary && !response.status().is_success() => {
                    if response.status().is_server_error() {
                        lease.failed();
                    }
                    self.count(request, "canary_failed");
                    attempts.shuns_canary = true;
                    attempts.accused = Some(lease);
                    continue;
                }
                Ok(response) => {
                    self.count(request, "answered");
                    // What the current version refuses as well is the client's fault.
                    if let Some(mut accused) = attempts.accused.take_if(|_| response.status().is_success()) {
                        accused.failed();
                    }
                    return Ok((response, lease));
                }
                Err(Failure::Connect) => {
                    lease.turned_away();
                    lease.endpoint().suspect();
                    ("connect", Error::UpstreamUnavailable { model: model() }, false)
                }
                Err(Failure::Broken) => {
                    lease.failed();
                    attempts.shuns_canary |= is_canary;
                    ("broken", Error::UpstreamFailed { model: model() }, !is_canary)
                }
                Err(Failure::Timeout) => {
                    lease.failed();
                    attempts.shuns_canary |= is_canary;
                    ("timeout", Error::UpstreamTimeout { model: model() }, !is_canary)
                }
            };
            self.count(request, outcome);
            attempts.failed(&lease, error.clone(), broken)?;
            if broken && hangs {
                attempts.retry = Some(active.retry().ok_or_else(|| self.refuse_retry(error))?);
            }
        }
    }

    fn preference(&self, request: &Request) -> Preference<'_> {
        Preference {
            zone: self.zone.as_deref(),
            prefix: request.conversation.prefix(),
        }
    }

    fn count(&self, request: &Request, outcome: &str) {
        request.trace.attempted(outcome);
        self.attempts.with_label_values(&[outcome]).inc();
    }

    fn refuse_retry(&self, error: Error) -> Error {
        self.attempts.with_label_values(&["over_retry_budget"]).inc();
        error
    }

    /// The best worker not tried yet, waited for a while if the model claims to be ready, and whether it
    /// serves the version on its way.
    async fn next_worker(
        &self,
        request: &Request,
        active: &Active,
        attempts: &mut Attempts,
    ) -> Result<(Lease, bool), Error> {
        let mut changes = self.catalog.subscribe();
        let mut hold = None;
        loop {
            changes.mark_unchanged();
            let Model { namespace, name, .. } = &*request.model;
            let Some(model) = self.catalog.model(namespace, name) else {
                return Err(Error::ModelNotFound {
                    model: request.model.qualified(),
                });
            };
            if let Some(lease) = self.pick_canary(request, &model, attempts) {
                return Ok((lease, true));
            }
            if let Some(lease) = self.pick(request, &model, &attempts.passed_over(None))? {
                return Ok((lease, false));
            }
            let all_lack_it = !attempts.lacking.is_empty() && attempts.tried.is_empty();
            if let Some(refusal) = request.adapter.as_ref().and_then(|it| it.refusal(&model, all_lack_it)) {
                return Err(refusal);
            }
            let refusal = || attempts.last.clone().unwrap_or_else(|| not_ready(&model));
            if hold::wakes(&model) {
                attempts.was_held = true;
                if hold.is_none() {
                    hold = Some((self.holds.begin(&model, active)?, request.trace.child("hold")));
                }
            } else if (!model.readiness.ready || hold::is_off(&model)) && attempts.last.is_none() {
                return Err(refusal());
            }
            // What kept a worker from taking the request may be over before anybody reports it.
            let again = tokio::time::Instant::now() + RETRY_PAUSE;
            let wake = match attempts.tried[..] {
                [] => attempts.until,
                _ => again.min(attempts.until),
            };
            if timeout_at(wake, changes.changed()).await.is_err() {
                if wake == attempts.until {
                    return Err(refusal());
                }
                attempts.tried.clear();
            }
        }
    }

    /// A worker of the version on its way, if the request is within its share and one is ready.
    fn pick_canary(&self, request: &Request, model: &Model, attempts: &Attempts) -> Option<Lease> {
        if request.version.is_some() || attempts.shuns_canary {
            return None;
        }
        let version = self.conversations.choose(model, request.conversation)?;
        self.catalog
            .pick(&model.served(version), &attempts.tried, self.preference(request))
    }

    /// The best worker that is not in `tried`, of the version that the caller insists on or of the current one.
    fn pick(&self, request: &Request, model: &Model, tried: &[Arc<Endpoint>]) -> Result<Option<Lease>, Error> {
        let preference = self.preference(request);
        match &request.version {
            Some(version) => self.pick_version(model, version, tried, preference),
            None => Ok(self.catalog.pick_current(model, tried, preference)),
        }
    }

    /// The best worker not tried yet of a version that the caller insists on.
    fn pick_version(
        &self,
        model: &Model,
        version: &str,
        tried: &[Arc<Endpoint>],
        preference: Preference<'_>,
    ) -> Result<Option<Lease>, Error> {
        let wanted = model.served(version);
        let current = model.current_version.as_deref();
        // A version without workers can still be the current one, which is then merely not ready.
        if current != Some(version) && !self.catalog.is_live(&wanted) {
            return Err(Error::VersionNotFound {
                model: model.qualified(),
                version: version.into(),
                current: current.map(Into::into),
            });
        }
        Ok(self.catalog.pick(&wanted, tried, preference))
    }

    fn relay(
        &self,
        response: Response<Incoming>,
        model: &Model,
        mut observation: Observation,
        mut lease: Lease,
    ) -> Response<Body> {
        let (mut parts, body) = response.into_parts();
        observation.sent(lease.begun(), lease.endpoint().version());
        observation.answered(parts.status);
        match parts.status {
            status if status.is_server_error() => lease.failed(),
            StatusCode::TOO_MANY_REQUESTS => lease.abstain(),
            _ => {}
        }
        parts.extensions.insert(ServedBy(lease.endpoint().version().into()));
        headers::to_client(&mut parts.headers);
        let streams = is_event_stream(parts.headers.get(header::CONTENT_TYPE));
        if streams {
            // An error event at the end would not fit the announced length.
            parts.headers.remove(header::CONTENT_LENGTH);
        }
        let relay = Relay::new(body, streams, model.qualified(), self.idle_timeout, observation, lease);
        Response::from_parts(parts, Body::new(relay))
    }
}

fn is_event_stream(content_type: Option<&HeaderValue>) -> bool {
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

/// The refusal in the words of the model's `Ready` condition.
fn not_ready(model: &Model) -> Error {
    let (reason, message) = if model.readiness.ready && model.hold.is_some() {
        (model.readiness.reason.as_str(), "no worker has started in time")
    } else if model.readiness.ready {
        ("NoReadyWorker", "no worker is ready right now")
    } else {
        (model.readiness.reason.as_str(), model.readiness.message.as_str())
    };
    Error::ModelNotReady {
        model: model.qualified(),
        reason: reason.into(),
        message: message.into(),
    }
}
