//! What is noted of one request.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use api::llmmodel::Pricing;
use axum::http::StatusCode;
use prometheus::HistogramVec;

use super::{
    DURATION, ERROR, FIRST_TOKEN, FIRST_TOKEN_BUCKETS, MODEL, Metrics, NO_ERROR, OPERATION, Operation, client::Call,
    provider,
};
use crate::{
    audit::Entry,
    catalog::Model,
    identity::Identity,
    limits::{Admission, Spending},
    price::Price,
    trace::Trace,
    usage::Usage,
};

const CLIENT_GONE: &str = "client_gone";

/// Measures one request at a worker until it is dropped. Unless told otherwise, the client left.
pub struct Observation {
    metrics: Metrics,
    operation: Operation,
    model: Arc<str>,
    namespace: String,
    name: String,
    version: String,
    tenant: String,
    pricing: Option<Pricing>,
    call: Call,
    received: Instant,
    trace: Trace,
    first_token_seen: bool,
    verdict: String,
    error: String,
    spending: Spending,
    ending: Option<Ending>,
    audit: Option<Entry>,
}

/// Why an answer ends before its time, told by who takes it from its [`Observation`].
#[derive(Clone, Debug, Default)]
pub struct Ending(Arc<OnceLock<&'static str>>);

impl Ending {
    /// It ends for a reason of few possible values. Only the first counts.
    pub fn because(&self, reason: &'static str) {
        let _ = self.0.set(reason);
    }
}

impl Observation {
    /// Starts measuring a request that arrived at `received`.
    pub(super) fn begin(metrics: &Metrics, operation: Operation, model: &Model, received: Instant) -> Self {
        metrics.in_flight.inc();
        Self {
            metrics: metrics.clone(),
            operation,
            model: model.qualified().into(),
            namespace: model.namespace.clone(),
            name: model.name.clone(),
            version: String::new(),
            tenant: String::new(),
            pricing: model.hosted.as_ref().and_then(|hosted| hosted.pricing.clone()),
            call: Call::new(metrics.client.clone(), operation, provider(model), received),
            received,
            trace: Trace::default(),
            first_token_seen: false,
            verdict: NO_ERROR.into(),
            error: CLIENT_GONE.into(),
            spending: Spending::default(),
            ending: None,
            audit: None,
        }
    }

    /// Tells `trace` of all as well, which goes on as long as this.
    pub fn traced(mut self, trace: &Trace) -> Self {
        self.trace = trace.clone();
        self
    }

    /// Counts what is used for the tenant of `caller`, whose pseudonym is `user`.
    pub fn asked_by(mut self, caller: &Identity, user: &str) -> Self {
        self.tenant = self.metrics.tenants.of(caller.user(), user);
        self
    }

    /// The request counts against limits, with what it used until the end.
    pub fn admitted(mut self, admission: Option<Admission>) -> Self {
        self.spending = Spending::of(admission);
        self
    }

    /// From now on, the audit trail is told as well.
    pub fn audited(mut self, entry: Option<Entry>) -> Self {
        self.audit = entry;
        self
    }

    /// Where to say why nobody wants the rest.
    pub fn ending(&mut self) -> Ending {
        self.ending.get_or_insert_default().clone()
    }

    /// The try that is answered was begun then, at a worker of `version` or at a provider, who has none.
    pub fn sent(&mut self, begun: Instant, version: &str) {
        self.call.sent(begun);
        self.version = version.into();
        if let Some(entry) = &mut self.audit {
            entry.served_by(version);
        }
    }

    /// A piece of the answer is on its way to the client.
    pub fn passes(&mut self, piece: &[u8]) {
        self.trace.passes(piece);
        if let Some(entry) = &mut self.audit {
            entry.piece(piece);
        }
    }

    /// What answers, in the words of whoever does.
    pub fn answered_by(&self, model: Option<&str>) {
        if let Some(model) = model {
            self.trace.answered_by(model);
        }
    }

    /// Events of a stream are on their way to the client.
    pub fn streamed(&mut self, events: &[u8]) {
        self.spending.streams(events);
        self.call.chunk(&self.model);
        if !std::mem::replace(&mut self.first_token_seen, true) {
            let after = self.received.elapsed();
            self.trace.first_chunk(after);
            if let Some(entry) = &mut self.audit {
                entry.first_token();
            }
            let labels = [(OPERATION, self.operation.name()), (MODEL, &*self.model)];
            self.observe(&self.metrics.time_to_first_token, FIRST_TOKEN, &labels, after);
        }
    }

    /// Observes a time, with the trace as its example.
    fn observe(&self, family: &HistogramVec, name: &str, labels: &[(&str, &str)], time: Duration) {
        let values: Vec<_> = labels.iter().map(|(_, value)| *value).collect();
        family.with_label_values(&values).observe(time.as_secs_f64());
        if let Some(trace) = self.trace.id() {
            let bounds = if name == FIRST_TOKEN {
                &FIRST_TOKEN_BUCKETS[..]
            } else {
                &self.metrics.seconds
            };
            self.metrics
                .exemplars
                .note(name, bounds, labels, time.as_secs_f64(), trace);
        }
    }

    /// The worker answered with `status`; anything but success is an error of that name.
    pub fn answered(&mut self, status: StatusCode) {
        if let Some(entry) = &mut self.audit {
            entry.answered(status);
        }
        if status.is_success() {
            self.spending.begins();
        } else {
            self.verdict = status.as_str().into();
        }
    }

    /// The worker stated what the answer took.
    pub fn used(&mut self, usage: Usage) {
        self.spending.states(usage);
        self.trace.used(usage);
        if let Some(entry) = &self.audit {
            entry.used(usage);
        }
        for (token_type, tokens) in usage.by_type() {
            self.metrics
                .token_usage
                .with_label_values(&[self.operation.name(), self.call.provider(), &self.model, token_type])
                .observe(tokens as f64);
        }
        let Self {
            namespace,
            name,
            version,
            tenant,
            ..
        } = self;
        self.metrics.client.used(namespace, name, version, tenant, usage);
        if let Some(pricing) = &self.pricing
            && let Some(price) = Price::of(pricing)
        {
            self.metrics
                .cost
                .with_label_values(&[namespace, name, &pricing.currency, tenant])
                .inc_by(price.of_answer(usage));
        }
    }

    /// The answer is complete.
    pub fn done(&mut self) {
        self.error.clone_from(&self.verdict);
    }

    /// The request failed, for a reason of few possible values.
    pub fn failed(&mut self, error: impl Into<String>) {
        self.error = error.into();
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        if self.error == CLIENT_GONE
            && let Some(reason) = self.ending.as_ref().and_then(|ending| ending.0.get())
        {
            self.error = (*reason).into();
        }
        if let Some(entry) = &mut self.audit {
            entry.ended(&self.error);
        }
        if self.error != NO_ERROR {
            self.trace.fail(&self.error);
        }
        self.call.end(&self.model, &self.error);
        let labels = [
            (OPERATION, self.operation.name()),
            (MODEL, &*self.model),
            (ERROR, &*self.error),
        ];
        self.observe(&self.metrics.duration, DURATION, &labels, self.received.elapsed());
        // Last: who sees that it is over sees all of it.
        self.metrics.in_flight.dec();
    }
}
