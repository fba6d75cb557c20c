//! Which worker gets the next request.
//!
//! The turns of a conversation go to the worker that has its beginning in the prefix cache: the one with the highest
//! hash of both (rendezvous hashing), which all gateways find alike. Its load is bounded (Mirrokni, Thorup and
//! Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2018): a worker with more than [`BOUND`] of the mean passes
//! requests on to the next one. Workers of the gateway's own zone come first, within the same bound.

use std::{net::SocketAddr, sync::Arc};

use crate::catalog::{Endpoint, Lease};

/// Load that a worker may have, over the mean of all.
const BOUND: f64 = 1.25;

/// Which workers a request likes best.
#[derive(Clone, Copy, Debug, Default)]
pub struct Preference<'a> {
    /// The gateway's zone.
    pub zone: Option<&'a str>,
    /// What the worker may have in its prefix cache.
    pub prefix: Option<[u8; 16]>,
}

/// Workers by preference: those that serve, those that serve but could not be reached a moment ago,
/// those that are shutting down and may still take a request, and in the end those that fail more than others.
fn tier(endpoint: &Endpoint) -> Option<u8> {
    match (endpoint.serving, endpoint.terminating) {
        (true, _) if endpoint.is_ejected() => Some(3),
        (true, false) if !endpoint.is_suspect() => Some(0),
        (true, false) => Some(1),
        (true, true) => Some(2),
        (false, _) => None,
    }
}

/// The best worker that is not in `tried`. The lease counts as load from this moment on.
pub fn pick(endpoints: &[Arc<Endpoint>], tried: &[Arc<Endpoint>], preference: Preference<'_>) -> Option<Lease> {
    let untried = endpoints
        .iter()
        .filter(|endpoint| !tried.iter().any(|t| Arc::ptr_eq(t, endpoint)));
    let tiers: Vec<_> = untried
        .filter_map(|endpoint| Some((tier(endpoint)?, endpoint.in_flight(), endpoint)))
        .collect();
    let best = tiers.iter().map(|(tier, ..)| *tier).min()?;
    let equal: Vec<_> = tiers.into_iter().filter(|(tier, ..)| *tier == best).collect();
    let total: usize = equal.iter().map(|(_, load, _)| load).sum();
    let most = (BOUND * (total + 1) as f64 / equal.len() as f64).ceil() as usize;
    let rank = |load: usize, endpoint: &Endpoint| {
        let is_far = preference.zone.is_some_and(|zone| !endpoint.is_in(zone));
        match preference.prefix {
            Some(prefix) => (is_far, u64::MAX - weight(prefix, endpoint.address)),
            None => (is_far, load as u64),
        }
    };
    // The least loaded one is always within the bound.
    let free = equal.iter().filter(|(_, load, _)| *load < most);
    let ranked: Vec<_> = free
        .map(|(_, load, endpoint)| (rank(*load, endpoint), *endpoint))
        .collect();
    let best = ranked.iter().map(|(rank, _)| *rank).min()?;
    let equal: Vec<_> = ranked.into_iter().filter(|(rank, _)| *rank == best).collect();
    let (_, chosen) = equal[rand::random_range(0..equal.len())];
    Some(Lease::new(chosen.clone()))
}

/// Where a copy goes that counts as nobody's load: the serving worker that has its conversation, by the same hash.
pub fn nearest(endpoints: &[Arc<Endpoint>], prefix: [u8; 16]) -> Option<SocketAddr> {
    let serving = endpoints.iter().filter(|worker| worker.serving && !worker.terminating);
    let nearest = serving.max_by_key(|worker| weight(prefix, worker.address));
    nearest.map(|worker| worker.address)
}

/// The worker with the highest one has the prefix. Equal in all gateways, and cheap: FNV-1a, mixed by SplitMix64.
fn weight(prefix: [u8; 16], address: SocketAddr) -> u64 {
    let ip = match address.ip() {
        std::net::IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        std::net::IpAddr::V6(ip) => ip,
    };
    let port = address.port().to_be_bytes();
    let octets = ip.octets();
    let bytes = prefix.iter().chain(&octets).chain(&port);
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(last: u8, serving: bool, terminating: bool) -> Arc<Endpoint> {
        Arc::new(Endpoint::new(([10, 0, 0, last], 8000).into(), serving, terminating))
    }

    fn picked(endpoints: &[Arc<Endpoint>], tried: &[Arc<Endpoint>]) -> Option<usize> {
        let lease = pick(endpoints, tried, Preference::default())?;
        endpoints.iter().position(|e| Arc::ptr_eq(e, lease.endpoint()))
    }

    #[test]
    fn load_spreads_evenly() {
        let endpoints = [
            endpoint(1, true, false),
            endpoint(2, true, false),
            endpoint(3, true, false),
        ];
        let leases: Vec<_> = (0..30)
            .map(|_| pick(&endpoints, &[], Preference::default()).unwrap())
            .collect();
        assert!(endpoints.iter().all(|e| e.in_flight() == 10));
        drop(leases);
        assert!(endpoints.iter().all(|e| e.in_flight() == 0));
    }

    #[test]
    fn ties_reach_everyone() {
        let endpoints = [
            endpoint(1, true, false),
            endpoint(2, true, false),
            endpoint(3, true, false),
        ];
        let mut seen = [0; 3];
        for _ in 0..600 {
            seen[picked(&endpoints, &[]).unwrap()] += 1;
        }
        assert!(seen.iter().all(|n| *n > 100), "{seen:?}");
    }

    #[test]
    fn tiers_go_before_load() {
        let endpoints = [
            endpoint(1, true, true),
            endpoint(2, true, false),
            endpoint(3, true, false),
        ];
        let _busy: Vec<_> = (0..5).map(|_| Lease::new(endpoints[1].clone())).collect();
        assert_eq!(picked(&endpoints, &[]), Some(2));
        endpoints[2].suspect();
        assert_eq!(picked(&endpoints, &[]), Some(1));
        assert_eq!(picked(&endpoints, &endpoints[1..2]), Some(2));
        assert_eq!(picked(&endpoints, &endpoints[1..]), Some(0));
        assert_eq!(picked(&endpoints, &endpoints), None);
    }

    /// Where a conversation goes, as the position of its worker.
    fn sent(endpoints: &[Arc<Endpoint>], conversation: u8) -> (usize, Lease) {
        let preference = Preference {
            prefix: Some([conversation; 16]),
            ..Preference::default()
        };
        let lease = pick(endpoints, &[], preference).unwrap();
        let at = endpoints.iter().position(|e| Arc::ptr_eq(e, lease.endpoint())).unwrap();
        (at, lease)
    }

    #[test]
    fn a_conversation_keeps_its_worker_and_only_moves_with_it() {
        let endpoints: Vec<_> = (1..=5).map(|last| endpoint(last, true, false)).collect();
        let homes: Vec<_> = (0..200).map(|i| sent(&endpoints, i).0).collect();
        let again: Vec<_> = (0..200).map(|i| sent(&endpoints, i).0).collect();
        assert_eq!(homes, again);
        for at in 0..5 {
            let count = homes.iter().filter(|home| **home == at).count();
            assert!((15..=70).contains(&count), "{count} of 200 at {at}");
        }
        let fewer: Vec<_> = (0..200).map(|i| sent(&endpoints[..4], i).0).collect();
        let moved = homes.iter().zip(&fewer).filter(|(before, after)| before != after);
        assert!(moved.into_iter().all(|(before, _)| *before == 4));
    }

    #[test]
    fn a_favourite_is_not_overrun() {
        let endpoints: Vec<_> = (1..=4).map(|last| endpoint(last, true, false)).collect();
        let (home, first) = sent(&endpoints, 7);
        let mut leases = vec![first];
        for _ in 0..99 {
            leases.push(sent(&endpoints, 7).1);
        }
        let loads: Vec<_> = endpoints.iter().map(|endpoint| endpoint.in_flight()).collect();
        assert!(loads.iter().all(|load| *load <= 32), "{loads:?}");
        assert_eq!(loads[home], *loads.iter().max().unwrap());
    }

    #[test]
    fn the_own_zone_comes_first_until_it_is_full() {
        let mut endpoints: Vec<_> = (1..=4)
            .map(|last| Endpoint::new(([10, 0, 0, last], 8000).into(), true, false))
            .collect();
        endpoints[2] = Endpoint::new(endpoints[2].address, true, false).in_zone(Some("here".into()));
        let endpoints: Vec<_> = endpoints.into_iter().map(Arc::new).collect();
        let preference = Preference {
            zone: Some("here"),
            prefix: None,
        };
        let leases: Vec<_> = (0..20).map(|_| pick(&endpoints, &[], preference).unwrap()).collect();
        let loads: Vec<_> = endpoints.iter().map(|endpoint| endpoint.in_flight()).collect();
        assert_eq!(loads.iter().sum::<usize>(), 20);
        assert_eq!(loads[2], *loads.iter().max().unwrap(), "{loads:?}");
        assert!(loads[2] <= 7 && loads.iter().all(|load| *load >= 3), "{loads:?}");
        drop(leases);
        // And others when it is gone.
        assert!(pick(&endpoints, &endpoints[2..3], preference).is_some());
    }

    #[test]
    fn a_worker_that_is_not_ready_gets_nothing() {
        assert_eq!(
            picked(&[endpoint(1, false, false), endpoint(2, false, true)], &[]),
            None
        );
        assert_eq!(picked(&[], &[]), None);
    }
}
