//! What the gateway counts, in OpenTelemetry's GenAI vocabulary where it has the words.

mod client;
mod observation;
mod operation;
mod tenants;

use std::{collections::HashMap, sync::Arc, time::Instant};

use prometheus::{
    CounterVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry,
    core::{Collector, GenericCounterVec, MetricVec, MetricVecBuilder},
    exponential_buckets,
    proto::MetricFamily,
};
use telemetry::Exemplars;

use self::{client::ClientMetrics, tenants::Tenants};
pub use self::{
    observation::{Ending, Observation},
    operation::Operation,
};
use crate::{catalog::Model, provider::Service, trace::OURS};

/// The gateway's metrics. Labels have few values: models that exist, our routes, and stable codes.
#[derive(Clone)]
pub struct Metrics {
    /// What `/metrics` shows.
    pub registry: Registry,
    /// Traces of requests that took so long.
    pub exemplars: Exemplars,
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
    /// What webhooks of guardrails said, or why nothing, by `namespace`, `model`, `check` and `outcome`.
    pub webhook_verdicts: IntCounterVec,
    cost: CounterVec,
    in_flight: IntGauge,
    duration: HistogramVec,
    time_to_first_token: HistogramVec,
    token_usage: HistogramVec,
    client: ClientMetrics,
    tenants: Arc<Tenants>,
    /// Bounds of the buckets of `duration`.
    seconds: Arc<[f64]>,
}

/// Buckets that the conventions prescribe, in seconds.
const FIRST_TOKEN_BUCKETS: [f64; 16] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

const DURATION: &str = "gen_ai_server_request_duration_seconds";
const FIRST_TOKEN: &str = "gen_ai_server_time_to_first_token_seconds";
const TOKEN_USAGE: &str = "gen_ai_client_token_usage";
const COST_LABELS: [&str; 4] = ["namespace", "model", "currency", "tenant"];
const TOKEN_TYPE: &str = "gen_ai_token_type";
const PROVIDER: &str = "gen_ai_provider_name";
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
                "Tries to send a request to a worker, by what came of them; \"over_retry_budget\" were not made.",
                &["outcome"],
            ),
            guardrail_violations: counters(
                "atelier_gateway_guardrail_violations_total",
                "Requests and answers in which a check of a model's guardrails found something.",
                &["namespace", "model", "check", "action"],
            ),
            webhook_verdicts: counters(
                "atelier_gateway_guardrail_webhook_verdicts_total",
                "Verdicts of the webhooks of a model's guardrails, or why there was none.",
                &["namespace", "model", "check", "outcome"],
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
                HistogramVec::new(duration.buckets(doubling.clone()), &[OPERATION, MODEL, ERROR]),
            ),
            time_to_first_token: register(
                &registry,
                HistogramVec::new(first_token.buckets(FIRST_TOKEN_BUCKETS.to_vec()), &[OPERATION, MODEL]),
            ),
            token_usage: register(
                &registry,
                HistogramVec::new(usage.buckets(quadrupling), &[OPERATION, PROVIDER, MODEL, TOKEN_TYPE]),
            ),
            client: ClientMetrics::new(&registry),
            tenants: Arc::default(),
            exemplars: Exemplars::default(),
            seconds: doubling.as_slice().into(),
            registry,
        }
    }
}

pub(crate) fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: prometheus::Result<C>) -> C {
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
        Observation::begin(self, operation, model, received)
    }

    /// Drops the series of a model that is gone.
    pub fn forget(&self, model: &Model) {
        let qualified = model.qualified();
        for family in [&self.duration, &self.time_to_first_token, &self.token_usage] {
            forget_where(family, &[(MODEL, &qualified)]);
        }
        for label in ["model", "fallback"] {
            forget_where(&self.fallbacks, &[(label, &qualified)]);
        }
        let named = [("namespace", &*model.namespace), ("model", &*model.name)];
        forget_where(&self.cost, &named);
        forget_where(&self.guardrail_violations, &named);
        forget_where(&self.webhook_verdicts, &named);
        self.client.forget(model);
    }
}

/// Drops the series with these labels.
fn forget_where<T: MetricVecBuilder>(family: &MetricVec<T>, wanted: &[(&str, &str)]) {
    for series in family.collect().iter().flat_map(MetricFamily::get_metric) {
        let labels: HashMap<_, _> = series
            .get_label()
            .iter()
            .map(|pair| (pair.name(), pair.value()))
            .collect();
        if wanted.iter().all(|(name, value)| labels.get(name) == Some(value)) {
            let _ = family.remove(&labels);
        }
    }
}

/// Who answers for a model, in the words of the conventions.
pub fn provider(model: &Model) -> &'static str {
    let service = model.hosted.as_ref().and_then(Service::of);
    service.map_or(OURS, Service::convention)
}

#[cfg(test)]
mod tests;
