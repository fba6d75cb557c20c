//! What `/metrics` tells of an encoder: the names of generation where they mean the same.

use std::time::Instant;

use engine::encoder::Encoder;
use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::metrics::{SECONDS, registered};

/// Counters of what was encoded.
pub struct EncodeMetrics {
    prompt_tokens: IntCounter,
    texts: IntCounter,
    successes: IntCounterVec,
    latency: Histogram,
}

impl EncodeMetrics {
    /// Registers the metrics of a model.
    ///
    /// # Errors
    /// When a name is taken already.
    pub fn new(registry: &Registry, model: &str, encoder: &Encoder) -> prometheus::Result<Self> {
        let opts = |name: &str, help: &str| Opts::new(name, help).const_label("model_name", model);
        let state = State {
            encoder: encoder.clone(),
            running: Gauge::with_opts(opts("vllm:num_requests_running", "Requests that are being computed."))?,
            waiting: Gauge::with_opts(opts("vllm:num_requests_waiting", "Requests that wait for their turn."))?,
        };
        registry.register(Box::new(state))?;
        let latency = opts("vllm:e2e_request_latency_seconds", "From a request to its answer.");
        Ok(Self {
            prompt_tokens: registered(
                registry,
                IntCounter::with_opts(opts("vllm:prompt_tokens_total", "Tokens of texts that were computed."))?,
            )?,
            texts: registered(
                registry,
                IntCounter::with_opts(opts(
                    "atelier_encoded_texts_total",
                    "Texts, or pairs of texts, that were computed.",
                ))?,
            )?,
            successes: registered(
                registry,
                IntCounterVec::new(
                    opts("vllm:request_success_total", "Answers that were completed."),
                    &["finished_reason"],
                )?,
            )?,
            latency: registered(
                registry,
                Histogram::with_opts(HistogramOpts::from(latency).buckets(SECONDS.into()))?,
            )?,
        })
    }

    /// Counts an answer to a request that was received then.
    pub fn answered(&self, received: Instant, texts: usize, tokens: usize) {
        self.texts.inc_by(texts as u64);
        self.prompt_tokens.inc_by(tokens as u64);
        self.successes.with_label_values(&["stop"]).inc();
        self.latency.observe(received.elapsed().as_secs_f64());
    }
}

/// Gauges that are read from the encoder when somebody looks.
struct State {
    encoder: Encoder,
    running: Gauge,
    waiting: Gauge,
}

impl Collector for State {
    fn desc(&self) -> Vec<&Desc> {
        [&self.running, &self.waiting]
            .into_iter()
            .flat_map(Collector::desc)
            .collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let gauges = self.encoder.gauges();
        self.running.set(gauges.running() as f64);
        self.waiting.set(gauges.waiting() as f64);
        [&self.running, &self.waiting]
            .into_iter()
            .flat_map(Collector::collect)
            .collect()
    }
}
