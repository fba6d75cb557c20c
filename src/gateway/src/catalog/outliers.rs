//! Outliers among the workers of a version, as they are found, logged and shown.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use prometheus::{
    IntCounterVec, IntGaugeVec, Opts,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::{Catalog, ServedVersion};
use crate::outlier::Detector;

/// Finds outliers among the workers of one version.
#[derive(Debug)]
pub struct Outliers(Mutex<Detector>);

impl Default for Outliers {
    fn default() -> Self {
        Self(Mutex::new(Detector::new(Instant::now())))
    }
}

impl Outliers {
    /// Says which workers there are.
    pub fn set(&self, workers: impl IntoIterator<Item = SocketAddr>) {
        self.lock().set(workers);
    }

    /// Whether `worker` shall get no requests.
    pub fn is_ejected(&self, worker: SocketAddr) -> bool {
        self.lock().is_ejected(worker, Instant::now())
    }

    /// A request to a worker of `version` has ended.
    pub fn report(&self, version: &str, worker: SocketAddr, is_success: bool) {
        let ejections = self.lock().report(worker, is_success, Instant::now());
        for ejection in ejections {
            tracing::warn!(
                worker = %ejection.address,
                version,
                reason = ejection.reason.name(),
                seconds = ejection.time.as_secs(),
                "a worker fails more than others: it gets no requests for a while"
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, Detector> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows how many workers are ejected, and how often that happened.
pub struct OutliersCollector {
    catalog: Arc<Catalog>,
    descriptions: Vec<Desc>,
}

impl OutliersCollector {
    /// Of the workers in `catalog`.
    pub fn new(catalog: Arc<Catalog>) -> Self {
        let (ejected, ejections) = families();
        let descriptions = [ejected.desc(), ejections.desc()].concat();
        Self {
            catalog,
            descriptions: descriptions.into_iter().cloned().collect(),
        }
    }
}

/// Made anew for each look, so that versions that are gone leave no series.
fn families() -> (IntGaugeVec, IntCounterVec) {
    const VALID: &str = "names and labels are valid constants";
    let ejected = Opts::new(
        "atelier_gateway_outliers_ejected",
        "Workers that get no requests for a while, because they fail more than others.",
    );
    let ejections = Opts::new(
        "atelier_gateway_outlier_ejections_total",
        "Times that a worker was found to fail more than others, by version and reason.",
    );
    let ejected = IntGaugeVec::new(ejected, &["namespace", "model", "version"]);
    let ejections = IntCounterVec::new(ejections, &["namespace", "model", "version", "reason"]);
    (ejected.expect(VALID), ejections.expect(VALID))
}

impl Collector for OutliersCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let (ejected, ejections) = families();
        let now = Instant::now();
        for (served, outliers) in self.catalog.read().endpoints.outliers() {
            let ServedVersion {
                namespace,
                model,
                version,
            } = served;
            let detector = outliers.lock();
            // Versions of which no worker was ever ejected need no series.
            if detector.counts().all(|(_, count)| count == 0) {
                continue;
            }
            let count = i64::try_from(detector.ejected(now)).unwrap_or(i64::MAX);
            ejected.with_label_values(&[namespace, model, version]).set(count);
            for (reason, count) in detector.counts().filter(|(_, count)| *count > 0) {
                let labels = [namespace, model, version, reason.name()];
                ejections.with_label_values(&labels).inc_by(count);
            }
        }
        [ejected.collect(), ejections.collect()].concat()
    }
}
