//! What is counted of one version, for the operator.

use std::{
    net::SocketAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use protocol::{Latencies, VersionTraffic};

use super::{ServedVersion, first_bytes::FirstBytes, outliers::Outliers};

/// Counters of one version, shared by all its workers.
#[derive(Debug, Default)]
pub struct Stats {
    version: String,
    in_flight: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    first_token: Mutex<Latencies>,
    outliers: Outliers,
    first_bytes: FirstBytes,
}

impl Stats {
    /// Of a version of that name.
    pub fn new(version: String) -> Self {
        Self {
            version,
            ..Self::default()
        }
    }

    /// Name of the version.
    pub fn version(&self) -> &str {
        &self.version
    }

    pub(super) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Which of its workers fail more than the others.
    pub fn outliers(&self) -> &Outliers {
        &self.outliers
    }

    /// How soon its answers begin.
    pub fn first_bytes(&self) -> &FirstBytes {
        &self.first_bytes
    }

    pub(super) fn succeeded(&self, worker: SocketAddr) {
        self.succeeded.fetch_add(1, Ordering::Relaxed);
        self.outliers.report(&self.version, worker, true);
    }

    pub(super) fn failed(&self, worker: SocketAddr) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.outliers.report(&self.version, worker, false);
    }

    /// The worker did not take the request, which tells nothing about the version.
    pub(super) fn turned_away(&self, worker: SocketAddr) {
        self.outliers.report(&self.version, worker, false);
    }

    pub(super) fn first_token(&self, after: Duration) {
        let mut times = self.first_token.lock().unwrap_or_else(PoisonError::into_inner);
        times.record(after.as_secs_f64() * 1e3);
    }

    /// The counts as they are told.
    pub fn of(&self, version: &ServedVersion) -> VersionTraffic {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let times = self.first_token.lock().unwrap_or_else(PoisonError::into_inner);
        VersionTraffic {
            namespace: version.namespace.clone(),
            model: version.model.clone(),
            version: version.version.clone(),
            in_flight: count(&self.in_flight),
            succeeded: count(&self.succeeded),
            failed: count(&self.failed),
            first_token: times.clone(),
        }
    }
}
