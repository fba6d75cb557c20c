//! One trace for each request, in the GenAI conventions of OpenTelemetry.
//!
//! The conventions describe a client that asks a model. Here that is every try to send a request to a worker or to a
//! provider: a span of kind `CLIENT`. Around all of them is the span of the request, of kind `SERVER`, which joins
//! the trace that the client names; it bears the conventions' name and attributes as well, so that both ends of the
//! gateway are found by them. Tokens are on that span alone: who adds up all spans counts none twice.
//!
//! Workers go on with the trace. Providers never hear of it: whose trace it is, is none of their business. No text of
//! a question or an answer is on a span, nor any name that a caller made up: only models that exist.

mod answer;
mod beside;

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    extract::Request,
    http::{Extensions, HeaderMap, StatusCode},
};
use reqwest::Url;
use telemetry::trace::{Kind, Span, Tracing};

use crate::{
    catalog::{Lease, Model},
    error::Error,
    headers::REQUEST_ID,
    metrics::{self, Operation},
    routes::route_template,
    usage::Usage,
};
use answer::Answer;

/// `gen_ai.provider.name` of our own workers, for which the conventions have no name.
pub const OURS: &str = "atelier";

/// The trace of one request, or of none where nothing is traced. It ends with the last clone.
#[derive(Clone, Default)]
pub struct Trace(Option<Arc<Traced>>);

struct Traced {
    /// The latest try. Ends before the request does.
    attempt: Mutex<Attempt>,
    request: Span,
    asked: Mutex<Option<Asked>>,
    answer: Mutex<Answer>,
}

/// A try to send a request, until it fails or the answer is over.
#[derive(Default)]
struct Attempt {
    span: Span,
    status: Option<StatusCode>,
    /// What answers, if it does.
    model: Option<String>,
    has_failed: bool,
}

impl Attempt {
    fn fail(&mut self, reason: &str) {
        if !std::mem::replace(&mut self.has_failed, true) {
            self.span.fail(reason);
        }
    }
}

/// What all spans of a request say once it is known what it asks for.
#[derive(Clone)]
struct Asked {
    operation: Operation,
    provider: &'static str,
    model: String,
}

impl Asked {
    fn describe(&self, span: &Span) {
        span.set("gen_ai.operation.name", self.operation.name());
        span.set("gen_ai.provider.name", self.provider);
        span.set("gen_ai.request.model", self.model.clone());
    }

    fn name(&self) -> String {
        format!("{} {}", self.operation.name(), self.model)
    }
}

/// The code of a refusal, kept with its response.
#[derive(Clone, Copy, Debug)]
pub struct RefusalCode(pub &'static str);

impl Trace {
    /// Begins with the arrival of `request`, which has its id already.
    pub fn begin(tracing: &Tracing, request: &Request) -> Self {
        if !tracing.is_on() {
            return Self::default();
        }
        let route = route_template(request.uri().path());
        let name = match route {
            Some(route) => format!("{} {route}", method(request)),
            None => method(request).into(),
        };
        let span = tracing.begin(name, Kind::Server, request.headers());
        span.set("http.request.method", method(request));
        if let Some(route) = route {
            span.set("http.route", route);
        }
        if let Some(id) = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()) {
            span.set("atelier.request.id", id.to_owned());
        }
        Self(Some(Arc::new(Traced {
            attempt: Mutex::default(),
            request: span,
            asked: Mutex::default(),
            answer: Mutex::default(),
        })))
    }

    /// The trace that was begun for a request with these extensions.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_default()
    }

    /// Its id, if it is recorded.
    pub fn id(&self) -> Option<String> {
        self.0.as_ref()?.request.trace_id()
    }

    /// `work` as a step of its own.
    pub async fn step<T>(&self, name: &'static str, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let span = self.child(name);
        let outcome = work.await;
        if let Err(error) = &outcome {
            span.fail(error.code());
        }
        outcome
    }

    /// A step that lasts as long as the value.
    pub fn child(&self, name: &'static str) -> Span {
        let traced = self.0.as_ref();
        traced.map_or_else(Span::default, |traced| traced.request.child(name, Kind::Internal))
    }

    /// It asks `model` for something, on behalf of the user with this pseudonym.
    pub fn asks(&self, operation: Operation, model: &Model, stream: bool, user: &str) {
        let Some(traced) = self.recorded() else { return };
        let asked = Asked {
            operation,
            provider: metrics::provider(model),
            model: model.qualified(),
        };
        let span = &traced.request;
        span.rename(asked.name());
        asked.describe(span);
        span.set("gen_ai.request.stream", stream);
        span.set("user.hash", user.to_owned());
        *lock(&traced.asked) = Some(asked);
    }

    /// A try to send it to the worker of `lease`, whom `headers` tell to go on with the trace.
    pub fn attempt(&self, lease: &Lease, headers: &mut HeaderMap) {
        let address = lease.endpoint().address;
        let version = lease.endpoint().version();
        self.try_at(|| address.ip().to_string(), address.port(), Some(version))
            .inject(headers);
    }

    /// A try to send it to the provider at `url`, of which only the host is told: the rest may name secrets.
    pub fn attempt_at_provider(&self, url: &str) {
        if let Some(url) = self.recorded().and_then(|_| Url::parse(url).ok()) {
            let port = url.port_or_known_default().unwrap_or_default();
            self.try_at(|| url.host_str().unwrap_or_default().to_owned(), port, None);
        }
    }

    fn try_at(&self, host: impl FnOnce() -> String, port: u16, version: Option<&str>) -> Span {
        let Some(traced) = &self.0 else {
            return Span::default();
        };
        let asked = lock(&traced.asked);
        let name = asked.as_ref().map_or_else(String::new, Asked::name);
        let span = traced.request.child(name, Kind::Client);
        if span.is_recording() {
            if let Some(asked) = &*asked {
                asked.describe(&span);
            }
            span.set("server.address", host());
            span.set("server.port", i64::from(port));
        }
        let model = asked.as_ref().zip(version);
        *lock(&traced.attempt) = Attempt {
            span: span.clone(),
            model: model.map(|(asked, version)| format!("{}@{version}", asked.model)),
            ..Attempt::default()
        };
        span
    }

    /// Whoever was tried answers with `status`.
    pub fn is_answered(&self, status: StatusCode) {
        if let Some(traced) = self.recorded() {
            let mut attempt = lock(&traced.attempt);
            attempt
                .span
                .set("http.response.status_code", i64::from(status.as_u16()));
            attempt.status = Some(status);
        }
    }

    /// What became of the try. One that has not brought the answer is over.
    pub fn attempted(&self, outcome: &str) {
        let Some(traced) = self.recorded() else { return };
        let mut attempt = lock(&traced.attempt);
        if outcome != ANSWERED {
            attempt.fail(outcome);
            *attempt = Attempt::default();
            return;
        }
        if let Some(status) = attempt.status.filter(|status| !status.is_success()) {
            attempt.fail(status.as_str());
        }
        if let Some(model) = attempt.model.take() {
            lock(&traced.answer).model = Some(model);
        }
    }

    /// The first bytes of a stream are on their way, so long after the request came.
    pub fn first_chunk(&self, after: Duration) {
        self.learn(|answer| answer.first_chunk = Some(after));
    }

    /// What the answer took, by the last word of whoever gave it.
    pub fn used(&self, usage: Usage) {
        self.learn(|answer| answer.usage = Some(usage));
    }

    /// What answers.
    pub fn answered_by(&self, model: &str) {
        self.learn(|answer| answer.model = Some(model.to_owned()));
    }

    /// A piece of the answer, in OpenAI's form. Nothing of what it says is kept but its id and why it ended.
    pub fn passes(&self, piece: &[u8]) {
        self.learn(|answer| answer.read(piece));
    }

    /// It ended before its time. Only the first reason counts.
    pub fn fail(&self, reason: &str) {
        self.learn(|answer| {
            answer.error.get_or_insert_with(|| reason.to_owned());
        });
    }

    /// The head of the response.
    pub fn responds(&self, status: StatusCode, refusal: Option<&RefusalCode>) {
        if let Some(RefusalCode(code)) = refusal {
            self.fail(code);
        }
        self.learn(|answer| answer.status = Some(status));
    }

    fn learn(&self, what: impl FnOnce(&mut Answer)) {
        if let Some(traced) = self.recorded() {
            what(&mut lock(&traced.answer));
        }
    }

    fn recorded(&self) -> Option<&Traced> {
        self.0.as_deref().filter(|traced| traced.request.is_recording())
    }
}

/// The outcome of a try that brought an answer, whichever.
const ANSWERED: &str = "answered";

impl Drop for Traced {
    fn drop(&mut self) {
        if self.request.is_recording() {
            let mut answer = lock(&self.answer);
            answer.describe(&self.request);
            if let Some(error) = &answer.error {
                lock(&self.attempt).fail(error);
            }
        }
    }
}

/// Methods that the conventions know; others can be anything.
fn method(request: &Request) -> &'static str {
    match request.method().as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "PATCH" => "PATCH",
        "OPTIONS" => "OPTIONS",
        _ => "_OTHER",
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
