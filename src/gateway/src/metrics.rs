//! What the gateway counts, in OpenTelemetry's GenAI vocabulary where it has the words.

use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use api::llmmodel::Task;
use axum::http::StatusCode;
use prometheus::{
    Counter, CounterVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry,
    core::{Collector, GenericCounterVec},
    exponential_buckets,
};

use crate::{catalog::Model, limits::Admission, price::Price, usage::Usage};

/// What a request asks of a model (`gen_ai.operation.name`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `/v1/chat/completions`
    Chat,
    /// `/v1/completions`
    TextCompletion,
    /// `/v1/embeddings`
    Embeddings,
    /// `/v1/rerank`
    Rerank,
}

impl Operation {
    const ALL: [Self; 4] = [Self::Chat, Self::TextCompletion, Self::Embeddings, Self::Rerank];

    /// The name in the GenAI conventions, which have none for the last.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::TextCompletion => "text_completion",
            Self::Embeddings => "embeddings",
            Self::Rerank => "rerank",
        }
    }

    /// What a model must be for.
    pub fn task(self) -> Task {
        match self {
            Self::Chat | Self::TextCompletion => Task::Generate,
            Self::Embeddings => Task::Embed,
            Self::Rerank => Task::Rerank,
        }
    }

    /// Its path, at the gateway and at the worker.
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::TextCompletion => "/v1/completions",
            Self::Embeddings => "/v1/embeddings",
            Self::Rerank => "/v1/rerank",
        }
    }
}

/// The gateway's metrics. Labels have few values: models that exist, our routes, and stable codes.
#[derive(Clone)]
pub struct Metrics {
    /// What `/metrics` shows.
    pub registry: Registry,
    /// Requests by `route` and status `code`.
    pub requests: IntCounterVec,
    /// Lookups by `cache` and `result`.
    pub cache_lookups: IntCounterVec,
    /// Tries to send a request to a worker, by `outcome`.
    pub attempts: IntCounterVec,
    /// Replicas of the gateway that this one knows of, itself among them.
    pub replicas: IntGauge,
    fallbacks: IntCounterVec,
    /// Time from a request's arrival to its sending to a worker, in seconds.
    pub overhead: Histogram,
    /// What guardrails found, by `namespace`, `model`, `check` and `action`.
    pub guardrail_violations: IntCounterVec,
    cost: CounterVec,
    in_flight: IntGauge,
    duration: HistogramVec,
    time_to_first_token: HistogramVec,
    token_usage: HistogramVec,
}

/// Buckets that the conventions prescribe, in seconds.
const FIRST_TOKEN_BUCKETS: [f64; 16] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

const DURATION: &str = "gen_ai_server_request_duration_seconds";
const FIRST_TOKEN: &str = "gen_ai_server_time_to_first_token_seconds";
const TOKEN_USAGE: &str = "gen_ai_client_token_usage";
const COST_LABELS: [&str; 3] = ["namespace", "model", "currency"];
const TOKEN_TYPE: &str = "gen_ai_token_type";
const INPUT: &str = "input";
const OUTPUT: &str = "output";
const OPERATION: &str = "gen_ai_operation_name";
const MODEL: &str = "gen_ai_request_model";
const ERROR: &str = "error_type";
/// Value of `error_type` for requests that went well: an absent label, in Prometheus' terms.
const NO_ERROR: &str = "";

impl Default for Metrics {
    fn default() -> Self {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            register(&registry, GenericCounterVec::new(Opts::new(name, help), labels))
        };
        let doubling = exponential_buckets(0.01, 2.0, 14).expect("a positive start and a factor above one");
        let overhead = exponential_buckets(0.0001, 2.0, 14).expect("a positive start and a factor above one");
        let quadrupling = exponential_buckets(1.0, 4.0, 14).expect("a positive start and a factor above one");
        let usage = HistogramOpts::new(TOKEN_USAGE, "Tokens of prompts and answers, where workers state them.");
        let duration = HistogramOpts::new(DURATION, "Time from a request's arrival to the end of its answer.");
        let first_token = HistogramOpts::new(
            FIRST_TOKEN,
            "Time from a request's arrival to the first bytes of a stream.",
        );
        let overhead_opts = HistogramOpts::new(
            "atelier_gateway_overhead_seconds",
            "Time from a request's arrival to its sending to a worker, the reading of its body included.",
        );
        Self {
            requests: counters(
                "atelier_gateway_requests_total",
                "Requests answered.",
                &["route", "code"],
            ),
            cache_lookups: counters(
                "atelier_gateway_cache_lookups_total",
                "Lookups of identities and permissions: hit, miss, or shared with a question under way.",
                &["cache", "result"],
            ),
            replicas: register(
                &registry,
                IntGauge::new(
                    "atelier_gateway_replicas",
                    "Replicas that count together what callers use, this one among them.",
                ),
            ),
            fallbacks: counters(
                "atelier_gateway_fallbacks_total",
                "Requests that went to another model than the one they named, by whether that answered.",
                &["model", "fallback", "answered"],
            ),
            attempts: counters(
                "atelier_gateway_upstream_attempts_total",
                "Tries to send a request to a worker.",
                &["outcome"],
            ),
            guardrail_violations: counters(
                "atelier_gateway_guardrail_violations_total",
                "Requests and answers in which a check of a model's guardrails found something.",
                &["namespace", "model", "check", "action"],
            ),
            cost: register(
                &registry,
                CounterVec::new(
                    Opts::new(
                        "atelier_cost_total",
                        "What answers of hosted models cost, by the tokens that providers state and the prices of the spec.",
                    ),
                    &COST_LABELS,
                ),
            ),
            overhead: register(&registry, Histogram::with_opts(overhead_opts.buckets(overhead))),
            in_flight: register(
                &registry,
                IntGauge::new(
                    "atelier_gateway_requests_in_flight",
                    "Requests being answered by workers.",
                ),
            ),
            duration: register(
                &registry,
                HistogramVec::new(duration.buckets(doubling), &[OPERATION, MODEL, ERROR]),
            ),
            time_to_first_token: register(
                &registry,
                HistogramVec::new(first_token.buckets(FIRST_TOKEN_BUCKETS.to_vec()), &[OPERATION, MODEL]),
            ),
            token_usage: register(
                &registry,
                HistogramVec::new(usage.buckets(quadrupling), &[OPERATION, MODEL, TOKEN_TYPE]),
            ),
            registry,
        }
    }
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: prometheus::Result<C>) -> C {
    let collector = collector.expect("names and labels are valid constants");
    registry
        .register(Box::new(collector.clone()))
        .expect("each name is registered once");
    collector
}

impl Metrics {
    /// `other` was asked in place of `model`.
    pub fn fell_back(&self, model: &Model, other: &Model, answered: bool) {
        let answered = if answered { "true" } else { "false" };
        let labels = [&*model.qualified(), &*other.qualified(), answered];
        self.fallbacks.with_label_values(&labels).inc();
    }

    /// Starts measuring a request that arrived at `received`.
    pub fn observe(&self, operation: Operation, model: &Model, received: Instant) -> Observation {
        self.in_flight.inc();
        Observation {
            metrics: self.clone(),
            operation,
            model: model.qualified().into(),
            charge: self.charge(model),
            received,
            first_token_seen: false,
            verdict: NO_ERROR.into(),
            error: CLIENT_GONE.into(),
            admission: None,
            spent: Spent::Nothing,
            ending: None,
        }
    }

    /// What answers of a model cost, and where that is added up.
    fn charge(&self, model: &Model) -> Option<(Price, Counter)> {
        let pricing = model.hosted.as_ref()?.pricing.as_ref()?;
        let labels = [&*model.namespace, &*model.name, &*pricing.currency];
        Some((Price::of(pricing)?, self.cost.with_label_values(&labels)))
    }

    /// Drops the series of a model that is gone.
    pub fn forget(&self, model: &Model) {
        for family in prometheus::core::Collector::collect(&self.cost) {
            for metric in family.get_metric() {
                // Sorted by name.
                let values: Vec<_> = metric.get_label().iter().map(|pair| pair.value()).collect();
                if let [currency, name, namespace] = values[..]
                    && (name, namespace) == (&*model.name, &*model.namespace)
                {
                    let _ = self.cost.remove_label_values(&[namespace, name, currency]);
                }
            }
        }
        for family in prometheus::core::Collector::collect(&self.guardrail_violations) {
            for metric in family.get_metric() {
                // Sorted by name.
                let values: Vec<_> = metric.get_label().iter().map(|pair| pair.value()).collect();
                if let [action, check, name, namespace] = values[..]
                    && (name, namespace) == (&*model.name, &*model.namespace)
                {
                    let labels = [namespace, name, check, action];
                    let _ = self.guardrail_violations.remove_label_values(&labels);
                }
            }
        }
        let model = model.qualified();
        for family in prometheus::core::Collector::collect(&self.fallbacks) {
            for metric in family.get_metric() {
                // Sorted by name.
                let values: Vec<_> = metric.get_label().iter().map(|pair| pair.value()).collect();
                if let [answered, other, name] = values[..]
                    && [other, name].contains(&&*model)
                {
                    let _ = self.fallbacks.remove_label_values(&[name, other, answered]);
                }
            }
        }
        for family in prometheus::core::Collector::collect(&self.duration) {
            for metric in family.get_metric() {
                let label = |name| {
                    metric
                        .get_label()
                        .iter()
                        .find(|pair| pair.name() == name)
                        .map(|pair| pair.value())
                };
                if label(MODEL) == Some(&model)
                    && let (Some(operation), Some(error)) = (label(OPERATION), label(ERROR))
                {
                    let _ = self.duration.remove_label_values(&[operation, &model, error]);
                }
            }
        }
        for operation in Operation::ALL {
            for token_type in [INPUT, OUTPUT] {
                let _ = self
                    .token_usage
                    .remove_label_values(&[operation.name(), &model, token_type]);
            }
            let _ = self
                .time_to_first_token
                .remove_label_values(&[operation.name(), &model]);
        }
    }
}

const CLIENT_GONE: &str = "client_gone";

/// Measures one request at a worker until it is dropped. Unless told otherwise, the client left.
pub struct Observation {
    metrics: Metrics,
    operation: Operation,
    model: Arc<str>,
    charge: Option<(Price, Counter)>,
    received: Instant,
    first_token_seen: bool,
    verdict: String,
    error: String,
    admission: Option<Admission>,
    spent: Spent,
    ending: Option<Ending>,
}

/// What is known of the tokens of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spent {
    /// It has not begun.
    Nothing,
    /// Nothing is stated of a whole answer.
    Unstated,
    /// A stream had so many events, of about a token each.
    Events(u64),
    /// The worker stated them.
    Stated(u64),
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
    /// The request counts against limits, with what it used until the end.
    pub fn admitted(&mut self, admission: Option<Admission>) {
        self.admission = admission;
    }

    /// Where to say why nobody wants the rest.
    pub fn ending(&mut self) -> Ending {
        self.ending.get_or_insert_default().clone()
    }

    /// Events of a stream are on their way to the client.
    pub fn streamed(&mut self, events: &[u8]) {
        self.first_token();
        if self.admission.is_some() && !matches!(self.spent, Spent::Stated(_)) {
            let begun = match self.spent {
                Spent::Events(begun) => begun,
                _ => 0,
            };
            self.spent = Spent::Events(begun + count_events(events));
        }
    }

    fn first_token(&mut self) {
        if !std::mem::replace(&mut self.first_token_seen, true) {
            self.metrics
                .time_to_first_token
                .with_label_values(&[self.operation.name(), &self.model])
                .observe(self.received.elapsed().as_secs_f64());
        }
    }

    /// The worker answered with `status`; anything but success is an error of that name.
    pub fn answered(&mut self, status: StatusCode) {
        if status.is_success() {
            self.spent = Spent::Unstated;
        } else {
            self.verdict = status.as_str().into();
        }
    }

    /// The worker stated what the answer took.
    pub fn used(&mut self, usage: Usage) {
        self.spent = Spent::Stated(usage.prompt_tokens + usage.completion_tokens);
        for (token_type, tokens) in [(INPUT, usage.prompt_tokens), (OUTPUT, usage.completion_tokens)] {
            self.metrics
                .token_usage
                .with_label_values(&[self.operation.name(), &self.model, token_type])
                .observe(tokens as f64);
        }
        if let Some((price, sum)) = &self.charge {
            sum.inc_by(price.of_answer(usage));
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

/// The pieces that clients see as such begin with `data:`.
fn count_events(events: &[u8]) -> u64 {
    let lines = events.split(|byte| *byte == b'\n');
    lines.filter(|line| line.starts_with(b"data:")).count() as u64
}

impl Drop for Observation {
    fn drop(&mut self) {
        if let Some(admission) = &mut self.admission {
            match self.spent {
                Spent::Nothing => {}
                Spent::Unstated => admission.keep_estimate(),
                Spent::Events(events) => admission.used_events(events),
                Spent::Stated(tokens) => admission.used(tokens),
            }
        }
        self.metrics.in_flight.dec();
        if self.error == CLIENT_GONE
            && let Some(reason) = self.ending.as_ref().and_then(|ending| ending.0.get())
        {
            self.error = (*reason).into();
        }
        self.metrics
            .duration
            .with_label_values(&[self.operation.name(), &self.model, &self.error])
            .observe(self.received.elapsed().as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::model;

    fn text(metrics: &Metrics) -> String {
        prometheus::TextEncoder::new()
            .encode_to_string(&metrics.registry.gather())
            .unwrap()
    }

    #[test]
    fn a_request_is_measured_once_with_its_end() {
        let metrics = Metrics::default();
        let of = |end: fn(&mut Observation)| {
            let mut observation = metrics.observe(Operation::Chat, &model("ns", "m"), Instant::now());
            end(&mut observation);
        };
        of(|o| {
            o.streamed(b"data: 1\n\n");
            o.streamed(b"data: 2\n\n");
            o.done();
        });
        of(|_| {});
        of(|o| o.failed("upstream_failed"));
        of(|o| {
            o.answered(StatusCode::TOO_MANY_REQUESTS);
            o.done();
        });
        let text = text(&metrics);
        for (error, name) in [
            ("", "fine"),
            ("client_gone", "left"),
            ("upstream_failed", "broken"),
            ("429", "refused"),
        ] {
            let line = format!("{DURATION}_count{{{ERROR}=\"{error}\",{OPERATION}=\"chat\",{MODEL}=\"ns/m\"}} 1");
            assert!(text.contains(&line), "{name}: {text}");
        }
        assert!(
            text.contains(&format!(
                "{FIRST_TOKEN}_count{{{OPERATION}=\"chat\",{MODEL}=\"ns/m\"}} 1"
            )),
            "{text}"
        );
        assert!(text.contains("atelier_gateway_requests_in_flight 0"), "{text}");
    }

    #[test]
    fn a_deleted_model_leaves_no_series() {
        let metrics = Metrics::default();
        for name in ["m", "other"] {
            let mut observation = metrics.observe(Operation::Chat, &model("ns", name), Instant::now());
            observation.streamed(b"data: 1\n\n");
            observation.used(Usage {
                prompt_tokens: 3,
                completion_tokens: 4,
            });
        }
        metrics.forget(&model("ns", "m"));
        let text = text(&metrics);
        assert!(!text.contains("\"ns/m\""), "{text}");
        assert!(text.contains("\"ns/other\""), "{text}");
    }
}
