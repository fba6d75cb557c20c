//! The state of the audit trail, as `/metrics` shows it.

use std::sync::Arc;

use prometheus::{
    IntCounter, IntGauge,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use store::audit::Log;

/// Looks at the log when somebody asks.
pub struct LogCollector {
    log: Arc<Log>,
    up: IntGauge,
    queued: IntGauge,
    written: IntCounter,
    refused: IntCounter,
    failures: IntCounter,
}

impl LogCollector {
    /// Over `log`.
    pub fn new(log: Arc<Log>) -> Self {
        const VALID: &str = "names are valid constants";
        let gauge = |name: &str, help: &str| IntGauge::new(name, help).expect(VALID);
        let counter = |name: &str, help: &str| IntCounter::new(name, help).expect(VALID);
        Self {
            log,
            up: gauge("atelier_audit_up", "Whether the database takes audit rows."),
            queued: gauge("atelier_audit_rows_queued", "Audit rows on their way to the database."),
            written: counter("atelier_audit_rows_written_total", "Audit rows in the database."),
            refused: counter(
                "atelier_audit_refused_total",
                "Requests refused because their audit row could not be written.",
            ),
            failures: counter(
                "atelier_audit_failures_total",
                "Times that the database did not take audit rows; they are written again.",
            ),
        }
    }

    fn parts(&self) -> [&dyn Collector; 5] {
        [&self.up, &self.queued, &self.written, &self.refused, &self.failures]
    }
}

impl Collector for LogCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.parts().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let stats = self.log.stats();
        self.up.set(stats.up.into());
        self.queued.set(i64::try_from(stats.queued).unwrap_or(i64::MAX));
        for (counter, total) in [
            (&self.written, stats.written),
            (&self.refused, stats.refused),
            (&self.failures, stats.failures),
        ] {
            counter.inc_by(total.saturating_sub(counter.get()));
        }
        self.parts().into_iter().flat_map(Collector::collect).collect()
    }
}
