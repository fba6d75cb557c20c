//! What `/metrics` tells: vLLM's names, which autoscalers, routers and dashboards already read.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use engine::{Engine, Failure, FinishReason};
use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use telemetry::trace::Span;

use super::{
    generation::{Broken, Spent},
    trace::Phases,
};

/// Seconds, from a fast token to a long answer.
pub const SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
];

/// Mean of -ln of the tokens' probabilities: 0 is certain, 11 is drawing from 60,000 tokens blindly.
const NLL: &[f64] = &[
    0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0, 10.0,
];

/// Counters of what was answered.
pub struct Metrics {
    prompt_tokens: IntCounter,
    prefix_queries: IntCounter,
    prefix_hits: IntCounter,
    generation_tokens: IntCounter,
    successes: IntCounterVec,
    time_to_first_token: Histogram,
    inter_token_latency: Histogram,
    whole_latency: Histogram,
    queue_time: Histogram,
    prefill_time: Histogram,
    decode_time: Histogram,
    mean_nll: Histogram,
    failures: IntCounterVec,
}

impl Metrics {
    /// Registers the metrics of a model.
    ///
    /// # Errors
    /// When a name is taken already.
    pub fn new(registry: &Registry, model: &str, engine: &Engine) -> prometheus::Result<Self> {
        let opts = |name: &str, help: &str| Opts::new(name, help).const_label("model_name", model);
        let counter = |name, help| registered(registry, IntCounter::with_opts(opts(name, help))?);
        let histogram_of = |name, help, buckets: &[f64]| {
            let opts = HistogramOpts::from(opts(name, help)).buckets(buckets.into());
            registered(registry, Histogram::with_opts(opts)?)
        };
        let histogram = |name, help| histogram_of(name, help, SECONDS);
        registry.register(Box::new(EngineState::new(opts, engine)?))?;
        Ok(Self {
            prompt_tokens: counter("vllm:prompt_tokens_total", "Tokens of prompts.")?,
            prefix_queries: counter(
                "vllm:prefix_cache_queries_total",
                "Tokens of prompts that the prefix cache was asked for.",
            )?,
            prefix_hits: counter(
                "vllm:prefix_cache_hits_total",
                "Tokens of prompts that the prefix cache held, so that they were not computed.",
            )?,
            generation_tokens: counter("vllm:generation_tokens_total", "Tokens of answers.")?,
            successes: registered(
                registry,
                IntCounterVec::new(
                    opts("vllm:request_success_total", "Answers that were completed."),
                    &["finished_reason"],
                )?,
            )?,
            time_to_first_token: histogram("vllm:time_to_first_token_seconds", "From a request to its first token.")?,
            inter_token_latency: histogram("vllm:inter_token_latency_seconds", "Between two tokens of an answer.")?,
            whole_latency: histogram(
                "vllm:e2e_request_latency_seconds",
                "From a request to the end of its answer.",
            )?,
            queue_time: histogram("vllm:request_queue_time_seconds", "From a request to its turn.")?,
            prefill_time: histogram(
                "vllm:request_prefill_time_seconds",
                "From a request's turn until its prompt was computed.",
            )?,
            decode_time: histogram(
                "vllm:request_decode_time_seconds",
                "From a computed prompt to the end of the answer.",
            )?,
            mean_nll: histogram_of(
                "atelier_request_mean_nll",
                "Mean of -ln of the probabilities that the model itself gave to the tokens of an answer.",
                NLL,
            )?,
            failures: registered(
                registry,
                IntCounterVec::new(
                    opts("atelier_request_failures_total", "Answers that could not be completed."),
                    &["reason"],
                )?,
            )?,
        })
    }

    /// Begins to observe one answer to the request of `span`.
    pub fn begin(self: &Arc<Self>, span: Span) -> Observation {
        Observation {
            metrics: self.clone(),
            phases: Phases::new(span),
            received: Instant::now(),
            computed: None,
            last_token: None,
        }
    }
}

/// Times of one answer.
pub struct Observation {
    metrics: Arc<Metrics>,
    phases: Phases,
    received: Instant,
    /// When its prompt was.
    computed: Option<Instant>,
    last_token: Option<Instant>,
}

impl Observation {
    /// The prompt, of so many tokens, is computed; `cached` of them were already. Its turn was at `begun`.
    pub fn prompt(&mut self, begun: Instant, tokens: usize, cached: usize) {
        let computed = Instant::now();
        self.phases.prompt(begun, computed, tokens, cached);
        self.computed = Some(computed);
        let seconds = |from: Instant, to: Instant| to.duration_since(from).as_secs_f64();
        self.metrics.queue_time.observe(seconds(self.received, begun));
        self.metrics.prefill_time.observe(seconds(begun, computed));
        self.metrics.prefix_queries.inc_by(tokens as u64);
        self.metrics.prefix_hits.inc_by(cached as u64);
        self.metrics.prompt_tokens.inc_by(tokens as u64);
    }

    /// A token of the answer came.
    pub fn token(&mut self) {
        let now = Instant::now();
        self.phases.token();
        self.metrics.generation_tokens.inc();
        match self.last_token.replace(now) {
            Some(last) => self.metrics.inter_token_latency.observe((now - last).as_secs_f64()),
            None => self
                .metrics
                .time_to_first_token
                .observe((now - self.received).as_secs_f64()),
        }
    }

    /// The answer is complete.
    pub fn end(&mut self, reason: FinishReason, spent: Spent) {
        self.phases.end(None);
        if let Some(computed) = self.computed {
            self.metrics.decode_time.observe(computed.elapsed().as_secs_f64());
        }
        if let Some(mean) = spent.mean_nll() {
            self.metrics.mean_nll.observe(mean);
        }
        let reason = match reason {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
        };
        self.metrics.successes.with_label_values(&[reason]).inc();
        self.metrics
            .whole_latency
            .observe(self.received.elapsed().as_secs_f64());
    }

    /// The answer cannot be completed.
    pub fn fail(&mut self, broken: &Broken) {
        let reason = match broken {
            Broken::Failed(Failure::NotFinite) => "not_finite",
            Broken::Failed(Failure::Constraint(_)) => "constraint",
            Broken::Failed(Failure::Computation(_)) => "computation",
            Broken::Stopped => "stopped",
        };
        self.phases.end(Some(reason));
        self.metrics.failures.with_label_values(&[reason]).inc();
    }
}

/// Registers a metric and returns it.
pub fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

/// What is read from the engine when somebody looks.
struct EngineState {
    engine: Engine,
    running: Gauge,
    waiting: Gauge,
    cache_usage: Gauge,
    preemptions: IntCounter,
    /// Preemptions that `preemptions` knows of.
    counted: AtomicUsize,
}

impl EngineState {
    fn new(opts: impl Fn(&str, &str) -> Opts, engine: &Engine) -> prometheus::Result<Self> {
        let gauge = |name, help| Gauge::with_opts(opts(name, help));
        Ok(Self {
            engine: engine.clone(),
            running: gauge("vllm:num_requests_running", "Requests that are being computed.")?,
            waiting: gauge("vllm:num_requests_waiting", "Requests that wait for their turn.")?,
            cache_usage: gauge("vllm:kv_cache_usage_perc", "Used share of the KV cache, 0 to 1.")?,
            preemptions: IntCounter::with_opts(opts(
                "vllm:num_preemptions_total",
                "How often a request gave its share of the KV cache back, to be computed again later.",
            ))?,
            counted: AtomicUsize::new(0),
        })
    }

    fn collectors(&self) -> [&dyn Collector; 4] {
        [&self.running, &self.waiting, &self.cache_usage, &self.preemptions]
    }
}

impl Collector for EngineState {
    fn desc(&self) -> Vec<&Desc> {
        self.collectors().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let gauges = self.engine.gauges();
        let room = gauges.cache_room().max(1);
        self.running.set(gauges.running() as f64);
        self.waiting.set(gauges.waiting() as f64);
        self.cache_usage.set(gauges.cached_tokens() as f64 / room as f64);
        // Two may look at once; each adds what the other has not.
        let preemptions = gauges.preemptions();
        let before = self.counted.fetch_max(preemptions, Ordering::Relaxed);
        self.preemptions.inc_by(preemptions.saturating_sub(before) as u64);
        self.collectors().into_iter().flat_map(Collector::collect).collect()
    }
}
