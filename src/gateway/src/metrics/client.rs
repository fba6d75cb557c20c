//! The gateway as a client of workers and providers, as the GenAI conventions have it: from the try that is answered,
//! without what happened in the gateway before.

use std::time::{Duration, Instant};

use prometheus::{CounterVec, Histogram, HistogramOpts, HistogramVec, Opts, Registry, exponential_buckets};

use super::{ERROR, MODEL, OPERATION, Operation, PROVIDER, TOKEN_TYPE, forget_where, register};
use crate::{catalog::Model, usage::Usage};

/// What is measured of requests at workers and providers, and what they used.
#[derive(Clone)]
pub struct ClientMetrics {
    duration: HistogramVec,
    first_chunk: HistogramVec,
    output_chunk: HistogramVec,
    tokens: CounterVec,
}

impl ClientMetrics {
    /// Registers the metrics.
    pub fn new(registry: &Registry) -> Self {
        let doubling = exponential_buckets(0.01, 2.0, 14).expect("a positive start and a factor above one");
        let seconds = |name: &str, help: &str, labels: &[&str]| {
            let opts = HistogramOpts::new(name, help).buckets(doubling.clone());
            register(registry, HistogramVec::new(opts, labels))
        };
        let labels = [OPERATION, PROVIDER, MODEL];
        Self {
            duration: seconds(
                "gen_ai_client_operation_duration_seconds",
                "Time from a request's sending to the end of its answer.",
                &[OPERATION, PROVIDER, MODEL, ERROR],
            ),
            first_chunk: seconds(
                "gen_ai_client_operation_time_to_first_chunk_seconds",
                "Time from a request's sending to the first bytes of a stream.",
                &labels,
            ),
            output_chunk: seconds(
                "gen_ai_client_operation_time_per_output_chunk_seconds",
                "Time between two pieces of a stream.",
                &labels,
            ),
            tokens: register(
                registry,
                CounterVec::new(
                    Opts::new(
                        "atelier_tokens_total",
                        "Tokens of prompts and answers by version and tenant: the namespace of a ServiceAccount, the \
                         pseudonym of anybody else, _others beyond 256 of them.",
                    ),
                    &["namespace", "model", "version", "tenant", TOKEN_TYPE],
                ),
            ),
        }
    }

    /// Counts tokens for a tenant.
    pub fn used(&self, namespace: &str, model: &str, version: &str, tenant: &str, usage: Usage) {
        for (token_type, tokens) in usage.by_type() {
            self.tokens
                .with_label_values(&[namespace, model, version, tenant, token_type])
                .inc_by(tokens as f64);
        }
    }

    /// Drops the series of a model that is gone.
    pub fn forget(&self, model: &Model) {
        let qualified = model.qualified();
        for family in [&self.duration, &self.first_chunk, &self.output_chunk] {
            forget_where(family, &[(MODEL, &qualified)]);
        }
        forget_where(&self.tokens, &[("namespace", &model.namespace), ("model", &model.name)]);
    }
}

/// Measures one request.
pub struct Call {
    metrics: ClientMetrics,
    operation: Operation,
    provider: &'static str,
    sent: Instant,
    last_chunk: Option<(Instant, Histogram)>,
}

impl Call {
    /// Of a request that arrived then.
    pub fn new(metrics: ClientMetrics, operation: Operation, provider: &'static str, received: Instant) -> Self {
        Self {
            metrics,
            operation,
            provider,
            sent: received,
            last_chunk: None,
        }
    }

    /// The try that is answered was begun at `sent`.
    pub fn sent(&mut self, sent: Instant) {
        self.sent = sent;
    }

    /// Another piece of a stream of `model` came.
    pub fn chunk(&mut self, model: &str) {
        let now = Instant::now();
        if let Some((last, gaps)) = &mut self.last_chunk {
            gaps.observe(seconds(now, std::mem::replace(last, now)));
            return;
        }
        let labels = [self.operation.name(), self.provider, model];
        self.metrics
            .first_chunk
            .with_label_values(&labels)
            .observe(seconds(now, self.sent));
        self.last_chunk = Some((now, self.metrics.output_chunk.with_label_values(&labels)));
    }

    /// It is over.
    pub fn end(&self, model: &str, error: &str) {
        self.metrics
            .duration
            .with_label_values(&[self.operation.name(), self.provider, model, error])
            .observe(seconds(Instant::now(), self.sent));
    }

    /// Name of who is asked.
    pub fn provider(&self) -> &'static str {
        self.provider
    }
}

fn seconds(now: Instant, then: Instant) -> f64 {
    now.checked_duration_since(then).unwrap_or(Duration::ZERO).as_secs_f64()
}
