//! What `/metrics` tells of adapters.

use std::sync::Arc;

use prometheus::{
    Counter, Gauge, GaugeVec, IntCounter, IntCounterVec, Opts, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::Adapters;

/// Metrics that are read from the adapters when somebody looks. Only adapters that there are have a
/// series, so clients cannot make more by asking for names.
pub struct Metrics {
    adapters: Arc<Adapters>,
}

/// The metrics at one moment.
struct Families {
    count: GaugeVec,
    bytes: Gauge,
    loads: IntCounter,
    failures: IntCounter,
    evictions: IntCounter,
    load_seconds: Counter,
    requests: IntCounterVec,
}

impl Metrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// When a name is taken already.
    pub fn register(registry: &Registry, adapters: &Arc<Adapters>) -> prometheus::Result<()> {
        registry.register(Box::new(Self {
            adapters: adapters.clone(),
        }))
    }

    fn families(&self) -> prometheus::Result<Families> {
        let opts = |name: &str, help: &str| Opts::new(name, help).const_label("model_name", &self.adapters.served_name);
        let counter = |name, help| IntCounter::with_opts(opts(name, help));
        Ok(Families {
            count: GaugeVec::new(
                opts(
                    "atelier_adapters",
                    "Adapters that requests can ask for, by where they are.",
                ),
                &["state"],
            )?,
            bytes: Gauge::with_opts(opts("atelier_adapter_memory_bytes", "Memory that adapters take."))?,
            loads: counter("atelier_adapter_loads_total", "Adapters read into memory.")?,
            failures: counter(
                "atelier_adapter_load_failures_total",
                "Adapters that could not be loaded.",
            )?,
            evictions: counter(
                "atelier_adapter_evictions_total",
                "Adapters put out of memory to make room.",
            )?,
            load_seconds: Counter::with_opts(opts(
                "atelier_adapter_load_seconds_total",
                "Time that loading adapters took.",
            ))?,
            requests: IntCounterVec::new(
                opts(
                    "atelier_adapter_requests_total",
                    "Requests by the adapter they asked for.",
                ),
                &["adapter"],
            )?,
        })
    }
}

impl Families {
    fn collectors(&self) -> [&dyn Collector; 7] {
        [
            &self.count,
            &self.bytes,
            &self.loads,
            &self.failures,
            &self.evictions,
            &self.load_seconds,
            &self.requests,
        ]
    }
}

impl Collector for Metrics {
    fn desc(&self) -> Vec<&Desc> {
        // An unchecked collector: its families are made anew each time.
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Ok(families) = self.families() else {
            return Vec::new();
        };
        let registry = &self.adapters.registry;
        let (list, stats) = (registry.list(), registry.stats());
        let loaded = list.iter().filter(|summary| summary.loaded).count();
        for (state, count) in [("loaded", loaded), ("on_disk", list.len() - loaded)] {
            families.count.with_label_values(&[state]).set(count as f64);
        }
        families.bytes.set(registry.bytes() as f64);
        families.loads.inc_by(stats.loads);
        families.failures.inc_by(stats.failures);
        families.evictions.inc_by(stats.evictions);
        families.load_seconds.inc_by(stats.load_seconds);
        for summary in &list {
            families
                .requests
                .with_label_values(&[&summary.name])
                .inc_by(summary.requests);
        }
        families.collectors().into_iter().flat_map(Collector::collect).collect()
    }
}
