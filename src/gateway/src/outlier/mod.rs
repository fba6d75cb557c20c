//! Which workers of a version get no requests for a while, because they fail more than the others do.
//!
//! This is Envoy's outlier detection: [`Detector`] counts how requests to each worker end, and ejects one that fails
//! [`CONSECUTIVE`] of them in a row, or too large a share of them against its peers ([`share`]). An ejection lasts the
//! longer the more often it happens. There is a bound on how many are ejected at once, and the last worker never is: a
//! fault that all have alike is no reason to stop asking. Decisions depend on nothing but what is reported and when.

mod share;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Failures in a row that eject.
const CONSECUTIVE: u32 = 5;
/// How often shares of failures are compared. Envoy's 10 s are for services that answer thousands of requests in it.
const INTERVAL: Duration = Duration::from_secs(30);
/// The first ejection of a worker; the second is twice as long, and so on.
const BASE: Duration = Duration::from_secs(30);
/// The longest.
const LONGEST: Duration = Duration::from_secs(300);
/// One of so many workers may be ejected; Envoy has one of ten, of larger fleets.
const ONE_OF: usize = 3;

/// Why a worker was ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It failed several requests in a row.
    Consecutive,
    /// It succeeds far less often than the mean of all.
    SuccessRate,
    /// It fails most requests, and the others do not.
    FailurePercentage,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Consecutive, Self::SuccessRate, Self::FailurePercentage];

    /// As it is called in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Consecutive => "consecutive",
            Self::SuccessRate => "success_rate",
            Self::FailurePercentage => "failure_percentage",
        }
    }
}

/// A worker that gets no requests for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// Which one.
    pub address: SocketAddr,
    /// Why.
    pub reason: Reason,
    /// For how long.
    pub time: Duration,
}

/// What is known of one worker.
#[derive(Debug, Default)]
struct Host {
    consecutive: u32,
    /// How requests ended in this interval.
    succeeded: u32,
    failed: u32,
    /// How often it was ejected, less the intervals that it did well since.
    times: u32,
    ejected_until: Option<Instant>,
}

impl Host {
    fn is_ejected(&self, now: Instant) -> bool {
        self.ejected_until.is_some_and(|until| now < until)
    }
}

/// The workers of one version.
#[derive(Debug)]
pub struct Detector {
    hosts: HashMap<SocketAddr, Host>,
    swept: Instant,
    counts: [u64; Reason::ALL.len()],
}

impl Detector {
    /// Without workers yet.
    pub fn new(now: Instant) -> Self {
        Self {
            hosts: HashMap::new(),
            swept: now,
            counts: [0; Reason::ALL.len()],
        }
    }

    /// Says which workers there are: those that are ready and stay. Others are forgotten.
    pub fn set(&mut self, workers: impl IntoIterator<Item = SocketAddr>) {
        let mut old = std::mem::take(&mut self.hosts);
        let known = |address| (address, old.remove(&address).unwrap_or_default());
        self.hosts = workers.into_iter().map(known).collect();
    }

    /// Whether `address` shall get no requests.
    pub fn is_ejected(&self, address: SocketAddr, now: Instant) -> bool {
        self.hosts.get(&address).is_some_and(|host| host.is_ejected(now))
    }

    /// How many are ejected.
    pub fn ejected(&self, now: Instant) -> usize {
        self.hosts.values().filter(|host| host.is_ejected(now)).count()
    }

    /// How often workers were ejected, by reason.
    pub fn counts(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.into_iter().zip(self.counts)
    }

    /// A request to `address` has ended: who is ejected now.
    pub fn report(&mut self, address: SocketAddr, is_success: bool, now: Instant) -> Vec<Ejection> {
        let mut ejections = self.sweep(now);
        let Some(host) = self.hosts.get_mut(&address) else {
            return ejections;
        };
        if is_success {
            host.consecutive = 0;
            host.succeeded += 1;
            return ejections;
        }
        host.consecutive += 1;
        host.failed += 1;
        if host.consecutive >= CONSECUTIVE {
            host.consecutive = 0;
            ejections.extend(self.eject(address, Reason::Consecutive, now));
        }
        ejections
    }

    /// Compares the workers when an interval has passed.
    fn sweep(&mut self, now: Instant) -> Vec<Ejection> {
        if now.saturating_duration_since(self.swept) < INTERVAL {
            return Vec::new();
        }
        let since = std::mem::replace(&mut self.swept, now);
        let seen = self.hosts.iter().filter(|(_, host)| !host.is_ejected(now));
        let seen: Vec<_> = seen
            .map(|(address, host)| share::Seen {
                address: *address,
                succeeded: host.succeeded,
                failed: host.failed,
            })
            .collect();
        for host in self.hosts.values_mut() {
            (host.succeeded, host.failed) = (0, 0);
            // Only intervals in which it got requests.
            let since = host.ejected_until.map_or(since, |until| until.max(since));
            let good = now.saturating_duration_since(since).as_secs() / INTERVAL.as_secs();
            host.times = host.times.saturating_sub(u32::try_from(good).unwrap_or(u32::MAX));
        }
        let outliers = share::outliers(&seen).into_iter();
        outliers
            .filter_map(|(address, reason)| self.eject(address, reason, now))
            .collect()
    }

    /// Ejects a worker, unless it is already, or as many are as may.
    fn eject(&mut self, address: SocketAddr, reason: Reason, now: Instant) -> Option<Ejection> {
        let all = self.hosts.len();
        let most = (all / ONE_OF).max(1).min(all.saturating_sub(1));
        if self.ejected(now) >= most {
            return None;
        }
        let host = self.hosts.get_mut(&address).filter(|host| !host.is_ejected(now))?;
        host.times = host.times.saturating_add(1);
        host.consecutive = 0;
        let time = BASE.saturating_mul(host.times).min(LONGEST);
        host.ejected_until = Some(now + time);
        self.counts[reason as usize] += 1;
        Some(Ejection { address, reason, time })
    }
}
