//! Who used how much, of all for whom this replica counts.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use serde::{Deserialize, Serialize};

use super::window::{Amount, Window};

/// Windows held before those without use are looked for.
const SWEEP_FROM: usize = 1024;

/// A wish to use something that is limited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// Whose use is counted, and of what.
    pub key: String,
    /// What may be used in any minute.
    pub limit: Amount,
    /// What is wanted. More than the limit is let in when nothing else was used.
    pub wanted: Amount,
}

/// What becomes of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Seconds until the same wish can be fulfilled; 0 when it is.
    pub wait: u64,
    /// What is left of the limit after this.
    pub left: Amount,
    /// The second, by the counting replica's clock, in which it was noted.
    pub second: u64,
}

/// What was used in the end, to be noted in place of what was wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// Whose use is counted, and of what.
    pub key: String,
    /// The verdict's second.
    pub second: u64,
    /// What was noted then.
    pub noted: Amount,
    /// What is to be noted.
    pub used: Amount,
}

/// The windows of all keys.
pub struct Quotas {
    start: Instant,
    windows: Mutex<Windows>,
}

#[derive(Default)]
struct Windows {
    by_key: HashMap<String, Window>,
    sweep_at: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            windows: Mutex::new(Windows::default()),
        }
    }
}

impl Quotas {
    /// A minute before this replica started is a second too, so that the first minute needs no exception.
    fn now(&self) -> u64 {
        self.start.elapsed().as_secs() + 60
    }

    /// Notes what is wanted if it is within the limit.
    pub fn take(&self, wish: &Wish) -> Verdict {
        self.take_at(wish, self.now())
    }

    fn take_at(&self, wish: &Wish, now: u64) -> Verdict {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.sweep(now);
        let window = windows
            .by_key
            .entry(wish.key.clone())
            .or_insert_with(|| Window::new(now));
        // A single request larger than the limit would otherwise wait for ever.
        let asked = Amount {
            requests: wish.wanted.requests.min(wish.limit.requests),
            tokens: wish.wanted.tokens.min(wish.limit.tokens),
        };
        let wait = window.wait(now, asked, wish.limit);
        if wait == 0 {
            window.add(now, wish.wanted);
        }
        let used = window.used(now);
        Verdict {
            wait,
            left: Amount {
                requests: wish.limit.requests.saturating_sub(used.requests),
                tokens: wish.limit.tokens.saturating_sub(used.tokens),
            },
            second: now,
        }
    }

    /// Corrects what was noted.
    pub fn settle(&self, settlement: &Settlement) {
        let now = self.now();
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = windows.by_key.get_mut(&settlement.key) {
            window.replace(now, settlement.second, settlement.noted, settlement.used);
        }
    }
}

impl Windows {
    /// Forgets windows without use, whenever their number has doubled.
    fn sweep(&mut self, now: u64) {
        if self.by_key.len() >= self.sweep_at.max(SWEEP_FROM) {
            self.by_key.retain(|_, window| !window.is_empty(now));
            self.sweep_at = self.by_key.len() * 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(key: &str, requests: u32, tokens: u32) -> Wish {
        Wish {
            key: key.into(),
            limit: Amount { requests, tokens },
            wanted: Amount {
                requests: 1,
                tokens: 10,
            },
        }
    }

    #[test]
    fn keys_do_not_share() {
        let quotas = Quotas::default();
        assert_eq!(quotas.take(&wish("a", 1, 100)).wait, 0);
        assert_eq!(quotas.take(&wish("b", 1, 100)).wait, 0);
        let verdict = quotas.take(&wish("a", 1, 100));
        assert!((60..=61).contains(&verdict.wait), "{verdict:?}");
        assert_eq!(
            verdict.left,
            Amount {
                requests: 0,
                tokens: 90
            }
        );
    }

    #[test]
    fn what_was_not_used_is_given_back() {
        let quotas = Quotas::default();
        let wish = wish("a", 100, 10);
        let verdict = quotas.take(&wish);
        assert_ne!(quotas.take(&wish).wait, 0);
        quotas.settle(&Settlement {
            key: wish.key.clone(),
            second: verdict.second,
            noted: wish.wanted,
            used: Amount { requests: 1, tokens: 0 },
        });
        assert_eq!(quotas.take(&wish).wait, 0);
    }

    #[test]
    fn a_request_larger_than_the_limit_is_let_in_alone() {
        let quotas = Quotas::default();
        assert_eq!(quotas.take(&wish("a", 100, 5)).wait, 0);
        assert_ne!(quotas.take(&wish("a", 100, 5)).wait, 0);
    }

    #[test]
    fn memory_is_of_the_last_minutes_only() {
        let quotas = Quotas::default();
        for i in 0..10 * SWEEP_FROM {
            quotas.take_at(&wish(&i.to_string(), 1, 100), 60 + i as u64);
        }
        assert!(quotas.windows.lock().unwrap().by_key.len() <= 2 * SWEEP_FROM);
    }
}
