//! Workers that fail a larger share of their requests than their peers.

use std::net::SocketAddr;

use super::Reason;

/// Requests of an interval that tell something about a worker.
const VOLUME: u32 = 20;
/// Workers with so many requests whose mean is one.
const HOSTS: usize = 5;
/// So many standard deviations below the mean is an outlier.
const DEVIATIONS: f64 = 1.9;
/// The share of failures that is too much where others do better.
const TOO_MANY: f64 = 0.5;

/// How the requests to a worker ended.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub address: SocketAddr,
    pub succeeded: u32,
    pub failed: u32,
}

impl Seen {
    fn volume(&self) -> u32 {
        self.succeeded + self.failed
    }
}

/// The outliers, the worst first.
///
/// The success rate is compared with the mean of all, as in Envoy. Of few workers none can be far from the mean, be it
/// ever so bad: of five, one is at most 1.79 standard deviations away. So there is Envoy's failure percentage as well,
/// which has to be twice that of all others together: a fault that all have alike ejects nobody.
pub fn outliers(seen: &[Seen]) -> Vec<(SocketAddr, Reason)> {
    let mut enough: Vec<_> = seen.iter().filter(|it| it.volume() >= VOLUME).collect();
    enough.sort_by(|a, b| {
        failures(&[*b])
            .total_cmp(&failures(&[*a]))
            .then(a.address.cmp(&b.address))
    });
    let least = least_success(&enough);
    let reason = |it: &Seen| {
        if 1.0 - failures(&[it]) < least {
            return Some(Reason::SuccessRate);
        }
        let others: Vec<_> = seen.iter().filter(|other| other.address != it.address).collect();
        let is_alone = failures(&[it]) >= 2.0 * failures(&others);
        let is_known = others.iter().map(|other| other.volume()).sum::<u32>() >= VOLUME;
        (failures(&[it]) >= TOO_MANY && is_known && is_alone).then_some(Reason::FailurePercentage)
    };
    let outliers = enough.iter().filter_map(|it| Some((it.address, reason(it)?)));
    outliers.collect()
}

/// The success rate below which a worker is an outlier.
fn least_success(enough: &[&Seen]) -> f64 {
    if enough.len() < HOSTS {
        return 0.0;
    }
    let rates: Vec<_> = enough.iter().map(|it| 1.0 - failures(&[it])).collect();
    let mean = rates.iter().sum::<f64>() / rates.len() as f64;
    let squares: f64 = rates.iter().map(|rate| (rate - mean).powi(2)).sum();
    mean - DEVIATIONS * (squares / rates.len() as f64).sqrt()
}

/// The share of failures of all these together.
fn failures(seen: &[&Seen]) -> f64 {
    let failed: u32 = seen.iter().map(|it| it.failed).sum();
    let all: u32 = seen.iter().map(|it| it.volume()).sum();
    f64::from(failed) / f64::from(all.max(1))
}
