//! Pauses between failed passes over one object: kube's controller has none of its own.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(300);

/// Failures in a row, by object.
#[derive(Debug)]
pub struct Backoff<K>(Mutex<HashMap<K, u32>>);

impl<K> Default for Backoff<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Backoff<K> {
    /// Another failure; returns how long to wait, between half of the full pause and all of it by
    /// `jitter` from 0 to 1.
    pub fn failed(&self, key: K, jitter: f64) -> Duration {
        let mut failures = self.lock();
        let count = failures.entry(key).or_default();
        let full = FIRST.saturating_mul(1 << (*count).min(16)).min(LONGEST);
        *count = count.saturating_add(1);
        full.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
    }

    /// After a success, or when there is nothing left to try: the next failure is the first one again.
    pub fn forget(&self, key: &K) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_start_over_after_success() {
        let backoff = Backoff::default();
        assert_eq!(backoff.failed("a", 1.0), FIRST);
        assert_eq!(backoff.failed("a", 1.0), FIRST * 2);
        assert_eq!(backoff.failed("b", 1.0), FIRST);
        assert_eq!(backoff.failed("a", 0.0), FIRST * 2);
        for _ in 0..40 {
            backoff.failed("a", 1.0);
        }
        assert_eq!(backoff.failed("a", 1.0), LONGEST);
        backoff.forget(&"a");
        assert_eq!(backoff.failed("a", 1.0), FIRST);
    }
}
