//! Whether an operator is there: without one, nobody would ever say that mirroring has to stop.
//!
//! The operator that leads renews its Lease every few seconds. What counts is when this gateway *saw* it renewed, on its own
//! clock, as in leader election: clocks of machines differ.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::coordination::v1::Lease;

/// So long after the Lease was last seen to be renewed, mirroring stops.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Whether an operator is there.
#[derive(Debug, Default)]
pub struct Alive(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// Who held the Lease, and when they renewed it by their clock: whatever is different from before is news.
    renewal: Option<String>,
    at: Option<Instant>,
}

impl Alive {
    /// Whether the Lease was renewed lately.
    pub fn holds(&self) -> bool {
        self.holds_at(Instant::now())
    }

    /// The Lease, as the API server has it now. The first sight of one counts as a renewal, for it is not known how long ago
    /// that was: after a restart of the gateway, a dead operator's mirroring may go on for [`PATIENCE`] once more.
    pub fn see(&self, lease: &Lease) {
        self.see_at(lease, Instant::now());
    }

    /// There is no Lease.
    pub fn gone(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Seen::default();
    }

    fn holds_at(&self, now: Instant) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.at.is_some_and(|at| now.saturating_duration_since(at) < PATIENCE)
    }

    fn see_at(&self, lease: &Lease, now: Instant) {
        let spec = lease.spec.as_ref();
        let holder = spec
            .and_then(|spec| spec.holder_identity.as_deref())
            .filter(|holder| !holder.is_empty());
        let renewed = spec.and_then(|spec| spec.renew_time.as_ref());
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody holds one that was given up.
        let (Some(holder), Some(renewed)) = (holder, renewed) else {
            return;
        };
        let renewal = format!("{holder} {}", renewed.0);
        if seen.renewal.as_ref() != Some(&renewal) {
            *seen = Seen {
                renewal: Some(renewal),
                at: Some(now),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lease(holder: &str, renewed: &str) -> Lease {
        serde_json::from_value(json!({"spec": {"holderIdentity": holder, "renewTime": renewed}})).unwrap()
    }

    #[test]
    fn an_operator_that_is_not_heard_of_for_two_minutes_is_taken_for_dead() {
        let (alive, start) = (Alive::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!alive.holds_at(start), "nobody was ever there");
        // Whatever the clock of its machine says.
        alive.see_at(&lease("one", "2001-01-01T00:00:00.000000Z"), start);
        assert!(alive.holds_at(at(119)) && !alive.holds_at(at(120)));
        // The same again, as when a watch starts anew, is no renewal.
        alive.see_at(&lease("one", "2001-01-01T00:00:00.000000Z"), at(100));
        assert!(!alive.holds_at(at(120)));
        alive.see_at(&lease("one", "2001-01-01T00:00:05.000000Z"), at(110));
        assert!(alive.holds_at(at(229)));
        alive.see_at(&lease("two", "2001-01-01T00:00:05.000000Z"), at(220));
        assert!(alive.holds_at(at(339)));
        alive.see_at(&lease("", "2001-01-01T00:09:00.000000Z"), at(330));
        assert!(!alive.holds_at(at(340)), "nobody took over");
        alive.see_at(&lease("three", "2001-01-01T00:00:09.000000Z"), at(400));
        alive.gone();
        assert!(!alive.holds_at(at(400)));
    }
}
