//! Who leads: the decision, without a clock or a cluster.

use std::time::{Duration, Instant};

use k8s_openapi::{api::coordination::v1::LeaseSpec, apimachinery::pkg::apis::meta::v1::MicroTime, jiff::Timestamp};

/// Seconds without a renewal after which others may take over.
pub const DURATION: Duration = Duration::from_secs(15);
/// A leader stops this long before others may take over: it may have been slow to notice.
const GRACE: Duration = Duration::from_secs(3);

/// What this process may believe about its own leadership.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    until: Option<Instant>,
}

impl Claim {
    /// Leadership confirmed by a write that was sent at `sent`.
    pub fn confirmed(sent: Instant) -> Self {
        Self {
            until: Some(sent + DURATION - GRACE),
        }
    }

    /// Whether this process leads at `now`.
    pub fn is_current(self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// When leadership ends unless it is renewed.
    pub fn until(self) -> Option<Instant> {
        self.until
    }
}

/// What to do about the Lease.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// There is none: create it.
    Create(LeaseSpec),
    /// It is free, expired or ours: write this.
    Write(LeaseSpec),
    /// Somebody else leads.
    Wait,
}

/// One candidate. Expiry is judged by how long the record stays unchanged on our own clock, so that
/// the clocks of nodes need not agree.
#[derive(Debug)]
pub struct Candidate {
    identity: String,
    pod: Option<String>,
    seen: Option<(LeaseSpec, Instant)>,
}

impl Candidate {
    /// A candidate called `<pod>_<suffix>`; the suffix tells processes of one pod apart.
    pub fn new(pod: Option<String>, suffix: &str) -> Self {
        let base = pod.as_deref().unwrap_or("local");
        Self {
            identity: format!("{base}_{suffix}"),
            pod,
            seen: None,
        }
    }

    /// The name in the Lease.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Decides by the Lease as it is now.
    pub fn step(&mut self, lease: Option<&LeaseSpec>, now: Instant, wall: Timestamp) -> Step {
        let Some(lease) = lease else {
            return Step::Create(self.record(None, wall));
        };
        let since = match &self.seen {
            Some((seen, since)) if seen == lease => *since,
            _ => {
                self.seen = Some((lease.clone(), now));
                now
            }
        };
        let seconds = lease.lease_duration_seconds.unwrap_or_default().max(1);
        let expired = now.saturating_duration_since(since) >= Duration::from_secs(u64::from(seconds.unsigned_abs()));
        let holder = lease.holder_identity.as_deref().unwrap_or_default();
        if holder.is_empty() || holder == self.identity || expired || self.is_former_self(holder) {
            Step::Write(self.record(Some(lease), wall))
        } else {
            Step::Wait
        }
    }

    /// The record that gives the Lease up.
    pub fn released(&self, lease: &LeaseSpec, wall: Timestamp) -> Option<LeaseSpec> {
        (lease.holder_identity.as_deref() == Some(&self.identity)).then(|| LeaseSpec {
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            renew_time: Some(MicroTime(wall)),
            ..lease.clone()
        })
    }

    /// A pod runs one operator at a time: an earlier process of this pod is dead.
    fn is_former_self(&self, holder: &str) -> bool {
        let former = self.pod.as_deref().and_then(|pod| holder.strip_prefix(pod));
        former.is_some_and(|rest| rest.starts_with('_'))
    }

    fn record(&self, before: Option<&LeaseSpec>, wall: Timestamp) -> LeaseSpec {
        let ours = before.is_some_and(|lease| lease.holder_identity.as_deref() == Some(&self.identity));
        let transitions = before.and_then(|lease| lease.lease_transitions);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(i32::try_from(DURATION.as_secs()).expect("a few seconds")),
            acquire_time: before
                .filter(|_| ours)
                .and_then(|lease| lease.acquire_time.clone())
                .or(Some(MicroTime(wall))),
            renew_time: Some(MicroTime(wall)),
            lease_transitions: Some(match before {
                Some(_) if ours => transitions.unwrap_or_default(),
                Some(_) => transitions.unwrap_or_default().saturating_add(1),
                None => 0,
            }),
            preferred_holder: None,
            strategy: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wall(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn held_by(holder: &str, renewed: i64) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.into()),
            lease_duration_seconds: Some(15),
            renew_time: Some(MicroTime(wall(renewed))),
            lease_transitions: Some(3),
            ..LeaseSpec::default()
        }
    }

    fn candidate() -> Candidate {
        Candidate::new(Some("operator-0".into()), "b")
    }

    #[test]
    fn a_missing_lease_is_created() {
        let Step::Create(spec) = candidate().step(None, Instant::now(), wall(5)) else {
            panic!("not created")
        };
        assert_eq!(spec.holder_identity.as_deref(), Some("operator-0_b"));
        assert_eq!(spec.lease_transitions, Some(0));
    }

    #[test]
    fn a_free_lease_and_that_of_a_former_process_are_taken_at_once() {
        for holder in ["", "operator-0_a"] {
            let Step::Write(spec) = candidate().step(Some(&held_by(holder, 1)), Instant::now(), wall(5)) else {
                panic!("{holder:?} was respected")
            };
            assert_eq!(spec.lease_transitions, Some(4));
            assert_eq!(spec.acquire_time, Some(MicroTime(wall(5))));
        }
    }

    #[test]
    fn another_leader_is_respected_until_its_record_stands_still() {
        let mut candidate = candidate();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        // Another pod whose name begins like ours, and whose clock is far behind.
        let step = |c: &mut Candidate, renewed, at| c.step(Some(&held_by("operator-01_a", renewed)), at, wall(9_999));
        assert_eq!(step(&mut candidate, 1, after(0)), Step::Wait);
        assert_eq!(step(&mut candidate, 1, after(14)), Step::Wait);
        assert_eq!(step(&mut candidate, 2, after(15)), Step::Wait);
        assert_eq!(step(&mut candidate, 2, after(29)), Step::Wait);
        assert!(matches!(step(&mut candidate, 2, after(30)), Step::Write(_)));
    }

    #[test]
    fn a_renewal_keeps_what_does_not_change() {
        let mut ours = held_by("operator-0_b", 1);
        ours.acquire_time = Some(MicroTime(wall(1)));
        let Step::Write(spec) = candidate().step(Some(&ours), Instant::now(), wall(6)) else {
            panic!("not renewed")
        };
        assert_eq!(
            (spec.lease_transitions, spec.acquire_time),
            (Some(3), Some(MicroTime(wall(1))))
        );
        assert_eq!(spec.renew_time, Some(MicroTime(wall(6))));
    }

    #[test]
    fn only_the_holder_releases() {
        let candidate = candidate();
        assert_eq!(candidate.released(&held_by("other_x", 1), wall(2)), None);
        let released = candidate.released(&held_by("operator-0_b", 1), wall(2)).unwrap();
        assert_eq!(released.holder_identity.as_deref(), Some(""));
    }

    #[test]
    fn a_claim_ends_before_others_may_take_over() {
        let sent = Instant::now();
        let claim = Claim::confirmed(sent);
        assert!(claim.is_current(sent + Duration::from_secs(11)));
        assert!(!claim.is_current(sent + Duration::from_secs(12)));
        assert!(!Claim::default().is_current(sent));
    }
}
