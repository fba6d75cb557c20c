//! Who has requests under way, of all for whom this replica counts.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

/// A place lapses when nobody has asked to keep it for so long: its replica is gone.
pub const LAPSE: Duration = Duration::from_secs(30);

/// The place of a request under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    /// Whose requests are counted, and of what.
    pub key: String,
    /// The request's own number.
    pub id: u64,
}

/// The places that are taken, and until when.
#[derive(Default)]
pub struct Places(HashMap<String, HashMap<u64, Instant>>);

impl Places {
    /// Takes a place if fewer than `limit` are taken.
    pub fn take(&mut self, seat: &Seat, limit: u32, now: Instant) -> bool {
        let taken = self.0.entry(seat.key.clone()).or_default();
        taken.retain(|_, until| now < *until);
        let is_free = taken.len() < limit as usize;
        if is_free {
            taken.insert(seat.id, now + LAPSE);
        }
        is_free
    }

    /// Keeps a place for a while, which may have been taken at another replica: it is not refused any more.
    pub fn keep(&mut self, seat: &Seat, now: Instant) {
        self.0.entry(seat.key.clone()).or_default().insert(seat.id, now + LAPSE);
    }

    /// Gives a place back.
    pub fn give_back(&mut self, seat: &Seat) {
        if let Some(taken) = self.0.get_mut(&seat.key) {
            taken.remove(&seat.id);
            if taken.is_empty() {
                self.0.remove(&seat.key);
            }
        }
    }

    /// Forgets places that have lapsed.
    pub fn sweep(&mut self, now: Instant) {
        self.0.retain(|_, taken| {
            taken.retain(|_, until| now < *until);
            !taken.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(key: &str, id: u64) -> Seat {
        Seat { key: key.into(), id }
    }

    #[test]
    fn there_are_so_many_places_and_each_is_free_again() {
        let (mut places, now) = (Places::default(), Instant::now());
        let taken: Vec<_> = (0..5).map(|id| places.take(&seat("a", id), 3, now)).collect();
        assert_eq!(taken, [true, true, true, false, false]);
        assert!(places.take(&seat("b", 9), 3, now));
        // What was refused has nothing to give back.
        places.give_back(&seat("a", 4));
        assert!(!places.take(&seat("a", 5), 3, now));
        places.give_back(&seat("a", 1));
        assert!(places.take(&seat("a", 6), 3, now));
        assert!(!places.take(&seat("a", 7), 3, now));
    }

    #[test]
    fn places_that_nobody_keeps_lapse() {
        let (mut places, now) = (Places::default(), Instant::now());
        assert!(places.take(&seat("a", 0), 2, now) && places.take(&seat("a", 1), 2, now));
        let later = now + LAPSE / 2;
        places.keep(&seat("a", 1), later);
        let end = now + LAPSE;
        assert!(places.take(&seat("a", 2), 2, end));
        assert!(!places.take(&seat("a", 3), 2, end));
        places.sweep(end + LAPSE);
        assert!(places.0.is_empty());
    }

    #[test]
    fn places_of_another_replica_count_although_they_are_too_many() {
        let (mut places, now) = (Places::default(), Instant::now());
        for id in 0..3 {
            places.keep(&seat("a", id), now);
        }
        assert!(!places.take(&seat("a", 3), 2, now));
        for id in 0..2 {
            places.give_back(&seat("a", id));
        }
        assert!(places.take(&seat("a", 3), 2, now));
        places.give_back(&seat("a", 2));
        places.give_back(&seat("a", 3));
        assert!(places.0.is_empty());
    }
}
