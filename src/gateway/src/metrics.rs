//! What the gateway counts, in OpenTelemetry's GenAI vocabulary where it has the words.

use std::{sync::Arc, time::Instant};

use api::llmmodel::Task;
use axum::http::StatusCode;
use prometheus::{
    Counter, CounterVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry,
    core::{Collector, GenericCounterVec},
    exponential_buckets,
};

use crate::{audit::Entry, catalog::Model, price::Price, usage::Usage};

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
    /// Time from a request's arrival to its sending to a worker, in seconds.
    pub overhead: Histogram,
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
            attempts: counters(
                "atelier_gateway_upstream_attempts_total",
                "Tries to send a request to a worker.",
                &["outcome"],
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
            audit: None,
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
        let model = model.qualified();
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
    audit: Option<Entry>,
}

impl Observation {
    /// From now on, the audit trail is told as well.
    pub fn audit(&mut self, entry: Option<Entry>) {
        self.audit = entry;
    }

    /// The version that answers.
    pub fn served_by(&mut self, version: &str) {
        if let Some(entry) = &mut self.audit {
            entry.served_by(version);
        }
    }

    /// A piece of the answer is on its way to the client.
    pub fn piece(&mut self, bytes: &[u8]) {
        if let Some(entry) = &mut self.audit {
            entry.piece(bytes);
        }
    }

    /// The first bytes of a stream are on their way to the client. Later calls change nothing.
    pub fn first_token(&mut self) {
        if !std::mem::replace(&mut self.first_token_seen, true) {
            self.metrics
                .time_to_first_token
                .with_label_values(&[self.operation.name(), &self.model])
                .observe(self.received.elapsed().as_secs_f64());
            if let Some(entry) = &mut self.audit {
                entry.first_token();
            }
        }
    }

    /// The worker answered with `status`; anything but success is an error of that name.
    pub fn answered(&mut self, status: StatusCode) {
        if let Some(entry) = &mut self.audit {
            entry.answered(status);
        }
        if !status.is_success() {
            self.verdict = status.as_str().into();
        }
    }

    /// The worker stated what the answer took.
    pub fn used(&self, usage: Usage) {
        if let Some(entry) = &self.audit {
            entry.used(usage);
        }
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

impl Drop for Observation {
    fn drop(&mut self) {
        if let Some(entry) = &mut self.audit {
            entry.ended(&self.error);
        }
        self.metrics.in_flight.dec();
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
            o.first_token();
            o.first_token();
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
            observation.first_token();
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
