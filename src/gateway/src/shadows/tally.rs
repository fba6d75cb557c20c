//! What this process has counted of a ShadowDeployment since it started.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use store::shadows::Counts;

use super::drops::Drop;

/// Counts, and whether the database has been told of them.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    counts: Counts,
    is_told: bool,
}

impl Tally {
    /// A copy is about to be sent: how many those are now.
    pub fn begin(&self) -> i64 {
        let mut kept = self.lock();
        kept.counts.begun += 1;
        kept.counts.begun
    }

    /// There is no pair, of a copy that was about to be sent if `has_begun`.
    pub fn dropped(&self, why: Drop, has_begun: bool) {
        let mut kept = self.lock();
        *kept.counts.drops.entry(why.as_str()).or_default() += 1;
        kept.counts.unpaired += i64::from(has_begun);
        kept.is_told = false;
    }

    /// A copy took so many tokens, and so many billionths of a currency's unit.
    pub fn used(&self, tokens: u64, nanos: Option<i64>) {
        let mut kept = self.lock();
        let tokens = i64::try_from(tokens).unwrap_or(i64::MAX);
        kept.counts.tokens = kept.counts.tokens.saturating_add(tokens);
        if let Some(nanos) = nanos {
            kept.counts.nanos = Some(kept.counts.nanos.unwrap_or_default().saturating_add(nanos));
        }
        kept.is_told = false;
    }

    /// As they are, without reasons: those are written from time to time.
    pub fn totals(&self) -> Counts {
        let kept = self.lock();
        Counts {
            drops: BTreeMap::new(),
            ..kept.counts.clone()
        }
    }

    /// All of them if the database has not been told yet.
    pub fn news(&self) -> Option<Counts> {
        let mut kept = self.lock();
        let is_told = std::mem::replace(&mut kept.is_told, true);
        let is_empty = kept.counts == Counts::default();
        (!is_told && !is_empty).then(|| kept.counts.clone())
    }

    /// All of them.
    pub fn all(&self) -> Counts {
        self.lock().counts.clone()
    }

    /// The database could not be told.
    pub fn untold(&self) {
        self.lock().is_told = false;
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_is_told_of_what_is_new() {
        let tally = Tally::default();
        assert_eq!(tally.news(), None);
        assert_eq!((tally.begin(), tally.begin()), (1, 2));
        tally.dropped(Drop::Queue, false);
        tally.dropped(Drop::Database, true);
        tally.used(7, Some(3));
        tally.used(1, None);
        let counts = Counts {
            begun: 2,
            unpaired: 1,
            tokens: 8,
            nanos: Some(3),
            drops: BTreeMap::from([("database", 1), ("queue", 1)]),
        };
        assert_eq!(tally.news(), Some(counts));
        assert_eq!(tally.news(), None);
        tally.untold();
        assert!(tally.news().is_some());
        assert!(tally.totals().drops.is_empty());
    }
}
