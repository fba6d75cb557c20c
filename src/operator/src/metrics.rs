//! What the operator counts. Names of objects are never labels: their number has no bound.

use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry, core::Collector};

/// Counters of the whole process; clones share them.
#[derive(Clone)]
pub struct Metrics {
    /// Where they are collected.
    pub registry: Registry,
    /// Finished reconciliations by `result`: `ok` or `error`.
    pub reconciles: IntCounterVec,
    /// Failed reconciliations by `category`.
    pub errors: IntCounterVec,
    /// Seconds one reconciliation took.
    pub duration: Histogram,
    /// Reconciliations under way.
    pub active: IntGauge,
    /// Notifications of watches that wait to be scheduled.
    pub queue: IntGauge,
    /// Calls to the API server by `verb` and `outcome`: `ok`, `error`, `timeout` or `dropped`.
    pub requests: IntCounterVec,
    /// 1 while this process holds the Lease.
    pub leader: IntGauge,
    /// 1 while autoscalers get their metrics from Atelier, 0 while another provider has the API.
    pub metrics_api: IntGauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let registry = Registry::new();
        let vector = |name, help, labels: &[&str]| {
            registered(
                &registry,
                IntCounterVec::new(Opts::new(name, help), labels).expect("names and labels are valid"),
            )
        };
        let gauge = |name, help| registered(&registry, IntGauge::new(name, help).expect("names are valid"));
        let seconds = HistogramOpts::new(
            "atelier_operator_reconcile_duration_seconds",
            "Seconds that one reconciliation took.",
        )
        .buckets(vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0]);
        Self {
            reconciles: vector(
                "atelier_operator_reconciles_total",
                "Finished reconciliations.",
                &["result"],
            ),
            errors: vector(
                "atelier_operator_errors_total",
                "Failed reconciliations by kind of error.",
                &["category"],
            ),
            duration: registered(&registry, Histogram::with_opts(seconds).expect("names are valid")),
            active: gauge("atelier_operator_active_reconciles", "Reconciliations under way."),
            queue: gauge(
                "atelier_operator_queue_depth",
                "Notifications that wait to be scheduled.",
            ),
            requests: vector(
                "atelier_operator_api_requests_total",
                "Calls to the API server, without watches.",
                &["verb", "outcome"],
            ),
            leader: gauge("atelier_operator_leader", "1 while this process holds the Lease."),
            metrics_api: gauge(
                "atelier_operator_metrics_api",
                "1 while autoscalers get their metrics from Atelier.",
            ),
            registry,
        }
    }
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> C {
    registry
        .register(Box::new(collector.clone()))
        .expect("each name is registered once");
    collector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_count_together() {
        let metrics = Metrics::default();
        metrics.clone().reconciles.with_label_values(&["ok"]).inc();
        let families = metrics.registry.gather();
        let names: Vec<_> = families.iter().map(|family| family.name()).collect();
        assert!(names.contains(&"atelier_operator_reconciles_total"), "{names:?}");
    }
}
