//! Which worker gets the next request.

use std::sync::Arc;

use crate::catalog::{Endpoint, Lease};

/// Workers by preference: those that serve, those that serve but could not be reached a moment ago,
/// and (when all are shutting down) those that may still take a request.
fn tier(endpoint: &Endpoint) -> Option<u8> {
    match (endpoint.serving, endpoint.terminating) {
        (true, false) if !endpoint.is_suspect() => Some(0),
        (true, false) => Some(1),
        (true, true) => Some(2),
        (false, _) => None,
    }
}

/// The least loaded worker of the best tier that is not in `tried`; a fair die decides ties. The
/// lease counts as load from this moment on.
pub fn pick(endpoints: &[Arc<Endpoint>], tried: &[Arc<Endpoint>]) -> Option<Lease> {
    let ranked: Vec<_> = endpoints
        .iter()
        .filter(|endpoint| !tried.iter().any(|t| Arc::ptr_eq(t, endpoint)))
        .filter_map(|endpoint| Some(((tier(endpoint)?, endpoint.in_flight()), endpoint)))
        .collect();
    let best = ranked.iter().map(|(rank, _)| *rank).min()?;
    let equal: Vec<_> = ranked.into_iter().filter(|(rank, _)| *rank == best).collect();
    let (_, chosen) = equal[rand::random_range(0..equal.len())];
    Some(Lease::new(chosen.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(last: u8, serving: bool, terminating: bool) -> Arc<Endpoint> {
        Arc::new(Endpoint::new(([10, 0, 0, last], 8000).into(), serving, terminating))
    }

    fn picked(endpoints: &[Arc<Endpoint>], tried: &[Arc<Endpoint>]) -> Option<usize> {
        let lease = pick(endpoints, tried)?;
        endpoints.iter().position(|e| Arc::ptr_eq(e, lease.endpoint()))
    }

    #[test]
    fn load_spreads_evenly() {
        let endpoints = [
            endpoint(1, true, false),
            endpoint(2, true, false),
            endpoint(3, true, false),
        ];
        let leases: Vec<_> = (0..30).map(|_| pick(&endpoints, &[]).unwrap()).collect();
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

    #[test]
    fn a_worker_that_is_not_ready_gets_nothing() {
        assert_eq!(
            picked(&[endpoint(1, false, false), endpoint(2, false, true)], &[]),
            None
        );
        assert_eq!(picked(&[], &[]), None);
    }
}
