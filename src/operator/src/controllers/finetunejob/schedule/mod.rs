//! Training again at set times: which run is due, and what becomes of those before. Pure.
//!
//! * Of runs that were missed (the operator was down, one was still under way, the schedule was suspended) only the
//!   latest one is started, if it is not later than `startingDeadline`.
//! * While one run is under way `concurrencyPolicy` says whether another one is started, and [`MOST`] how many.
//! * Each run is a FineTuneJob of its own, named by the time in UTC that it was due at.

mod runs;

use std::time::Duration;

use api::finetunejob::{ConcurrencyPolicy, Schedule};
use jiff::{Timestamp, tz::TimeZone};
use sha2::{Digest, Sha256};

use crate::controllers::common::{cron::Cron, duration};
pub use runs::decide;

/// How late a missed run may start when the spec does not say.
const DEADLINE: Duration = Duration::from_secs(3600);
/// Times that are looked back upon while they are put off: more than that are missed.
const LOOK_BACK: usize = 100;

/// Runs at a time at most, whatever the schedule says: they share a volume.
const MOST: usize = 10;

/// When a FineTuneJob trains again.
#[derive(Clone, Debug)]
pub struct Timetable {
    cron: Cron,
    zone: TimeZone,
    jitter: Duration,
    deadline: Duration,
    /// What a run that is due does about those under way.
    policy: ConcurrencyPolicy,
    /// Whether no run is started.
    pub suspended: bool,
}

impl Timetable {
    /// What a schedule means.
    ///
    /// # Errors
    /// Which field makes no sense.
    pub fn new(schedule: &Schedule) -> Result<Self, String> {
        let parse = |name: &str, text: &Option<String>, default| match text {
            None => Ok(default),
            Some(text) => duration::parse(text).ok_or_else(|| format!("spec.schedule.{name} {text:?} is too long")),
        };
        Ok(Self {
            cron: Cron::parse(&schedule.cron).map_err(|why| format!("spec.schedule.cron: {why}"))?,
            zone: TimeZone::get(&schedule.time_zone).map_err(|_| {
                format!(
                    "spec.schedule.timeZone {:?} is no time zone: use a name of the IANA database, such as Europe/Warsaw",
                    schedule.time_zone
                )
            })?,
            jitter: parse("jitter", &schedule.jitter, Duration::ZERO)?,
            deadline: parse("startingDeadline", &schedule.starting_deadline, DEADLINE)?,
            policy: schedule.concurrency_policy,
            suspended: schedule.suspend,
        })
    }

    /// The run that should have started by `now` and has not; `seed` tells FineTuneJobs apart, and runs up to `after`
    /// do not count.
    pub fn due(&self, seed: &str, after: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let mut look = now;
        for _ in 0..LOOK_BACK {
            let scheduled = self.cron.until(look, &self.zone).filter(|found| *found > after)?;
            let start = self.start(seed, scheduled)?;
            if start <= now {
                let late = Duration::try_from(now.duration_since(start)).unwrap_or_default();
                return (late <= self.deadline).then_some(scheduled);
            }
            look = scheduled.checked_sub(Duration::from_secs(1)).ok()?;
        }
        None
    }

    /// Whether another run may start beside so many.
    fn has_room(&self, active: usize) -> bool {
        match self.policy {
            ConcurrencyPolicy::Forbid => active == 0,
            ConcurrencyPolicy::Replace => true,
            ConcurrencyPolicy::Allow => active < MOST,
        }
    }

    /// When the next run starts.
    pub fn next(&self, seed: &str, after: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let put_off = self.cron.until(now, &self.zone).filter(|found| *found > after);
        let put_off = put_off
            .and_then(|found| self.start(seed, found))
            .filter(|start| *start > now);
        put_off.or_else(|| self.start(seed, self.cron.after(now, &self.zone)?))
    }

    /// When a run starts: it is put off by a time that follows from what it is, so that it is always the same.
    fn start(&self, seed: &str, scheduled: Timestamp) -> Option<Timestamp> {
        let most = self.jitter.as_secs();
        if most == 0 {
            return Some(scheduled);
        }
        let digest = Sha256::digest(format!("{seed}/{}", scheduled.as_second()));
        let bytes: [u8; 8] = digest.get(..8)?.try_into().ok()?;
        scheduled
            .checked_add(Duration::from_secs(u64::from_be_bytes(bytes) % (most + 1)))
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn timetable(fields: Value) -> Timetable {
        Timetable::new(&serde_json::from_value(fields).unwrap()).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn only_the_latest_missed_run_is_due() {
        let hourly = timetable(json!({"cron": "@hourly"}));
        let due = |after: &str, now: &str| hourly.due("u", at(after), at(now)).map(|time| time.to_string());
        assert_eq!(
            due("2026-01-01T00:00:00Z", "2026-01-01T05:30:00Z").as_deref(),
            Some("2026-01-01T05:00:00Z")
        );
        assert_eq!(due("2026-01-01T05:00:00Z", "2026-01-01T05:30:00Z"), None);
        assert_eq!(due("2026-01-01T05:10:00Z", "2026-01-01T05:30:00Z"), None);
    }

    #[test]
    fn a_run_that_is_too_late_is_left_out() {
        let nightly = timetable(json!({"cron": "0 3 * * *", "startingDeadline": "2h"}));
        let due = |now: &str| nightly.due("u", at("2026-01-01T00:00:00Z"), at(now));
        assert_eq!(due("2026-01-05T05:00:00Z"), Some(at("2026-01-05T03:00:00Z")));
        assert_eq!(due("2026-01-05T05:00:01Z"), None);
    }

    #[test]
    fn jitter_is_the_same_each_time_and_within_its_bound() {
        let nightly = timetable(json!({"cron": "0 3 * * *", "jitter": "30m"}));
        let (after, early) = (at("2026-01-01T12:00:00Z"), at("2026-01-02T03:00:00Z"));
        let starts: Vec<_> = ["a", "b", "c", "d"]
            .map(|seed| nightly.start(seed, early).unwrap())
            .into();
        assert!(starts.iter().any(|start| *start != starts[0]), "{starts:?}");
        for (seed, start) in ["a", "b", "c", "d"].iter().zip(starts) {
            assert!(start >= early && start <= at("2026-01-02T03:30:00Z"));
            assert_eq!(nightly.due(seed, after, start), Some(early));
            let before = start.checked_sub(Duration::from_secs(1)).unwrap();
            assert_eq!(nightly.due(seed, after, before), None);
            if before > early {
                assert_eq!(nightly.next(seed, after, before), Some(start));
            }
        }
    }

    #[test]
    fn a_storm_of_missed_runs_costs_little() {
        let each_minute = timetable(json!({"cron": "* * * * *", "jitter": "9000d"}));
        // All of them are put off: looking back ends.
        assert_eq!(
            each_minute.due("u", at("2020-01-01T00:00:00Z"), at("2020-01-01T12:00:00Z")),
            None
        );
        let each_minute = timetable(json!({"cron": "* * * * *"}));
        assert_eq!(
            each_minute.due("u", at("2020-01-01T00:00:00Z"), at("2026-01-01T00:00:30Z")),
            Some(at("2026-01-01T00:00:00Z"))
        );
    }
}
