//! The workers behind each version of each model, from EndpointSlices.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use api::names::{LABEL_MODEL, LABEL_VERSION, PORT_API};
use k8s_openapi::api::discovery::v1::{EndpointConditions, EndpointPort, EndpointSlice};
use kube::ResourceExt;
use protocol::VersionTraffic;

use super::{Outliers, Stats};

/// A version of a model in a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServedVersion {
    /// Namespace of the LlmModel.
    pub namespace: String,
    /// Name of the LlmModel.
    pub model: String,
    /// Name of the version.
    pub version: String,
}

/// One worker. What its EndpointSlice says of it never changes within one value: a worker that
/// becomes ready again is a new `Endpoint` with the old counters.
#[derive(Debug)]
pub struct Endpoint {
    /// Where its API listens.
    pub address: SocketAddr,
    /// Whether it passes its readiness probe.
    pub serving: bool,
    /// Whether it is shutting down.
    pub terminating: bool,
    zone: Option<String>,
    load: Arc<Load>,
    stats: Arc<Stats>,
}

#[derive(Debug, Default)]
struct Load {
    in_flight: AtomicUsize,
    suspect_until: Mutex<Option<Instant>>,
}

/// How long a worker that could not be reached is used only when there is no other.
const SUSPICION: Duration = Duration::from_secs(2);

impl Endpoint {
    /// A worker without load.
    pub fn new(address: SocketAddr, serving: bool, terminating: bool) -> Self {
        Self {
            address,
            serving,
            terminating,
            zone: None,
            load: Arc::default(),
            stats: Arc::default(),
        }
    }

    /// The same in a zone.
    pub fn in_zone(self, zone: Option<String>) -> Self {
        Self { zone, ..self }
    }

    /// Whether it is in a zone.
    pub fn is_in(&self, zone: &str) -> bool {
        self.zone.as_deref() == Some(zone)
    }

    /// Counters of the version that it serves.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Name of the version that it serves.
    pub fn version(&self) -> &str {
        self.stats.version()
    }

    pub(super) fn begin(&self) {
        self.load.in_flight.fetch_add(1, Ordering::Relaxed);
        self.stats.begin();
    }

    pub(super) fn end(&self) {
        self.load.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.stats.end();
    }

    /// Requests this gateway has under way there.
    pub fn in_flight(&self) -> usize {
        self.load.in_flight.load(Ordering::Relaxed)
    }

    /// Whether it was unreachable a moment ago.
    pub fn is_suspect(&self) -> bool {
        let until = *self.load.suspect_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Notes that it could not be reached.
    pub fn suspect(&self) {
        let mut until = self.load.suspect_until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = Some(Instant::now() + SUSPICION);
    }

    /// Whether it gets no requests for a while, because it fails more of them than others.
    pub fn is_ejected(&self) -> bool {
        self.stats.outliers().is_ejected(self.address)
    }

    fn without_load(&self) -> Self {
        Self::new(self.address, self.serving, self.terminating).in_zone(self.zone.clone())
    }

    fn same_facts(&self, other: &Self) -> bool {
        let facts = |of: &Self| (of.address, of.serving, of.terminating);
        facts(self) == facts(other) && self.zone == other.zone
    }
}

/// Namespace and name of an EndpointSlice.
pub type SliceKey = (String, String);

/// Endpoints by version. A version may be spread over several slices.
#[derive(Default)]
pub struct Endpoints {
    slices: HashMap<SliceKey, (ServedVersion, Vec<Endpoint>)>,
    versions: HashMap<ServedVersion, Vec<Arc<Endpoint>>>,
    stats: HashMap<ServedVersion, Arc<Stats>>,
}

impl Endpoints {
    pub fn of(&self, version: &ServedVersion) -> &[Arc<Endpoint>] {
        self.versions.get(version).map_or(&[], Vec::as_slice)
    }

    pub fn is_live(&self, version: &ServedVersion) -> bool {
        self.versions.contains_key(version)
    }

    /// Whether a worker is at `address`.
    pub fn has(&self, address: IpAddr) -> bool {
        let mut workers = self.versions.values().flatten();
        workers.any(|worker| worker.address.ip() == address)
    }

    /// What is counted of the versions that have workers.
    pub fn traffic(&self) -> Vec<VersionTraffic> {
        self.stats.iter().map(|(version, stats)| stats.of(version)).collect()
    }

    /// How many workers of each version are ejected, and how often they were.
    pub fn outliers(&self) -> impl Iterator<Item = (&ServedVersion, &Outliers)> {
        self.stats.iter().map(|(version, stats)| (version, stats.outliers()))
    }

    /// Whether a worker of `version` is ready and stays.
    pub fn serves(&self, version: &ServedVersion) -> bool {
        self.of(version)
            .iter()
            .any(|worker| worker.serving && !worker.terminating)
    }

    pub fn apply(&mut self, slice: &EndpointSlice) {
        let key = slice_key(slice);
        let before = match parse(slice) {
            Some((version, endpoints)) => {
                let before = self.slices.insert(key, (version.clone(), endpoints));
                self.rebuild(&version);
                before.filter(|(old, _)| *old != version)
            }
            None => self.slices.remove(&key),
        };
        if let Some((version, _)) = before {
            self.rebuild(&version);
        }
    }

    pub fn remove(&mut self, key: &SliceKey) {
        if let Some((version, _)) = self.slices.remove(key) {
            self.rebuild(&version);
        }
    }

    /// Removes all slices that `keep` does not hold for.
    pub fn retain(&mut self, keep: impl Fn(&SliceKey) -> bool) {
        let gone: Vec<_> = self.slices.keys().filter(|key| !keep(key)).cloned().collect();
        for key in gone {
            self.remove(&key);
        }
    }

    /// Collects the endpoints of `version` anew; those that did not change stay the same value.
    fn rebuild(&mut self, version: &ServedVersion) {
        let old = self.versions.remove(version).unwrap_or_default();
        let stats = self.stats.remove(version);
        let stats = stats.unwrap_or_else(|| Arc::new(Stats::new(version.version.clone())));
        let mut new: Vec<Arc<Endpoint>> = Vec::new();
        let mut live = false;
        for (_, endpoints) in self.slices.values().filter(|(of, _)| of == version) {
            live = true;
            for endpoint in endpoints {
                if new.iter().any(|known| known.address == endpoint.address) {
                    continue;
                }
                let known = old.iter().find(|old| old.address == endpoint.address);
                new.push(match known {
                    Some(same) if same.same_facts(endpoint) => same.clone(),
                    Some(changed) => Arc::new(Endpoint {
                        load: changed.load.clone(),
                        stats: stats.clone(),
                        ..endpoint.without_load()
                    }),
                    None => Arc::new(Endpoint {
                        stats: stats.clone(),
                        ..endpoint.without_load()
                    }),
                });
            }
        }
        if live {
            let staying = new.iter().filter(|worker| worker.serving && !worker.terminating);
            stats.outliers().set(staying.map(|worker| worker.address));
            self.versions.insert(version.clone(), new);
            self.stats.insert(version.clone(), stats);
        }
    }
}

/// Namespace and name.
pub fn slice_key(slice: &EndpointSlice) -> SliceKey {
    (slice.namespace().unwrap_or_default(), slice.name_any())
}

/// The version a slice belongs to and its endpoints; `None` when it lacks our labels or a port.
fn parse(slice: &EndpointSlice) -> Option<(ServedVersion, Vec<Endpoint>)> {
    let label = |name| slice.labels().get(name).filter(|value| !value.is_empty()).cloned();
    let version = ServedVersion {
        namespace: slice.namespace()?,
        model: label(LABEL_MODEL)?,
        version: label(LABEL_VERSION)?,
    };
    let port = api_port(slice.ports.as_deref().unwrap_or_default())?;
    let endpoints = slice.endpoints.iter().flatten().filter_map(|endpoint| {
        // All addresses of an endpoint lead to the same pod; host names (FQDN slices) are not ours.
        let address: IpAddr = endpoint.addresses.first()?.parse().ok()?;
        let EndpointConditions {
            ready,
            serving,
            terminating,
        } = endpoint.conditions.clone().unwrap_or_default();
        let serving = serving.or(ready).unwrap_or(true);
        let worker = Endpoint::new(SocketAddr::new(address, port), serving, terminating.unwrap_or(false));
        Some(worker.in_zone(endpoint.zone.clone()))
    });
    Some((version, endpoints.collect()))
}

/// The port of the API among those of a slice: the one of that name, or the only one.
fn api_port(ports: &[EndpointPort]) -> Option<u16> {
    let port = match ports {
        [only] => only,
        _ => ports.iter().find(|port| port.name.as_deref() == Some(PORT_API))?,
    };
    u16::try_from(port.port?).ok().filter(|port| *port != 0)
}

#[cfg(test)]
mod tests;
