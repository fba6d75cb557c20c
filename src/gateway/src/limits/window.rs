//! What somebody used in the last minute.

/// A minute, and the second that has just begun.
const SECONDS: usize = 61;

/// Requests and tokens, or a limit of both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Amount {
    /// Requests.
    pub requests: u32,
    /// Tokens of prompts and answers.
    pub tokens: u32,
}

impl Amount {
    /// As much as anybody wants.
    pub const UNLIMITED: Self = Self {
        requests: u32::MAX,
        tokens: u32::MAX,
    };
}

/// Use by the second. Whole seconds count, so that a limit holds in *any* minute, at the price of one second in 61.
#[derive(Clone, Debug)]
pub struct Window {
    seconds: [Amount; SECONDS],
    /// The second that was used last.
    latest: u64,
}

impl Window {
    /// Nothing was used, at second `now`.
    pub fn new(now: u64) -> Self {
        Self {
            seconds: [Amount::default(); SECONDS],
            latest: now,
        }
    }

    /// Forgets what was used more than a minute before `now`.
    fn advance(&mut self, now: u64) {
        let passed = now.saturating_sub(self.latest).min(SECONDS as u64);
        for second in 1..=passed {
            *self.at(self.latest + second) = Amount::default();
        }
        self.latest = self.latest.max(now);
    }

    fn at(&mut self, second: u64) -> &mut Amount {
        &mut self.seconds[(second % SECONDS as u64) as usize]
    }

    /// What was used in the minute before `now`.
    pub fn used(&mut self, now: u64) -> Amount {
        self.advance(now);
        let sum = |of: fn(&Amount) -> u32| self.seconds.iter().map(of).fold(0, u32::saturating_add);
        Amount {
            requests: sum(|it| it.requests),
            tokens: sum(|it| it.tokens),
        }
    }

    /// Whether nothing was used in the minute before `now`.
    pub fn is_empty(&mut self, now: u64) -> bool {
        self.used(now) == Amount::default()
    }

    /// Notes that `amount` is used at `now`.
    pub fn add(&mut self, now: u64, amount: Amount) {
        self.advance(now);
        let second = self.at(now);
        second.requests = second.requests.saturating_add(amount.requests);
        second.tokens = second.tokens.saturating_add(amount.tokens);
    }

    /// Replaces what was noted at second `then`, unless that is forgotten already.
    pub fn replace(&mut self, now: u64, then: u64, noted: Amount, used: Amount) {
        self.advance(now);
        if then + (SECONDS as u64) > self.latest && then <= self.latest {
            let second = self.at(then);
            second.requests = second
                .requests
                .saturating_sub(noted.requests)
                .saturating_add(used.requests);
            second.tokens = second.tokens.saturating_sub(noted.tokens).saturating_add(used.tokens);
        }
    }

    /// Seconds from `now` until enough was forgotten for `wanted` to be within `limit`. 0 when it is already.
    pub fn wait(&mut self, now: u64, wanted: Amount, limit: Amount) -> u64 {
        let mut used = self.used(now);
        let fits = |used: Amount| {
            used.requests.saturating_add(wanted.requests) <= limit.requests
                && used.tokens.saturating_add(wanted.tokens) <= limit.tokens
        };
        // One after the latest is the oldest: there are only so many.
        let oldest = self.latest + 1;
        for second in 0..SECONDS as u64 {
            if fits(used) {
                return second;
            }
            let gone = *self.at(oldest + second);
            used.requests = used.requests.saturating_sub(gone.requests);
            used.tokens = used.tokens.saturating_sub(gone.tokens);
        }
        SECONDS as u64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn amount(requests: u32, tokens: u32) -> Amount {
        Amount { requests, tokens }
    }

    #[test]
    fn a_minute_later_all_is_forgotten() {
        let mut window = Window::new(1000);
        window.add(1000, amount(3, 50));
        window.add(1030, amount(1, 5));
        assert_eq!(window.used(1060), amount(4, 55));
        assert_eq!(window.used(1061), amount(1, 5));
        assert!(!window.is_empty(1090));
        assert!(window.is_empty(1091));
        assert!(window.is_empty(1_000_000));
    }

    #[test]
    fn the_wait_ends_when_the_wanted_fits() {
        let mut window = Window::new(0);
        window.add(0, amount(1, 10));
        window.add(10, amount(1, 90));
        let limit = amount(3, 100);
        assert_eq!(window.wait(20, amount(1, 0), limit), 0);
        assert_eq!(window.wait(20, amount(1, 10), limit), 41);
        assert_eq!(window.wait(20, amount(1, 11), limit), 51);
        assert_eq!(window.wait(20, amount(2, 0), limit), 41);
    }

    #[test]
    fn corrections_reach_the_second_they_are_about_and_no_other() {
        let mut window = Window::new(0);
        window.add(5, amount(1, 100));
        window.replace(30, 5, amount(1, 100), amount(1, 20));
        assert_eq!(window.used(30), amount(1, 20));
        window.replace(31, 5, amount(1, 20), amount(0, 0));
        assert!(window.is_empty(31));
        window.add(100, amount(1, 100));
        for forgotten in [5, 39] {
            window.replace(100, forgotten, amount(1, 100), amount(1, 20));
        }
        assert_eq!(window.used(100), amount(1, 100));
    }

    proptest! {
        /// Whoever waits as told is let in then, and not a second earlier.
        #[test]
        fn waits_are_exact(uses in proptest::collection::vec((0u64..60, 0u32..5, 0u32..50), 0..40), wanted in 0u32..60) {
            let mut window = Window::new(0);
            let mut uses = uses;
            uses.sort();
            for (second, requests, tokens) in uses {
                window.add(second, amount(requests, tokens));
            }
            let (wanted, limit) = (amount(1, wanted), amount(20, 60));
            let wait = window.wait(60, wanted, limit);
            prop_assert_eq!(window.clone().wait(60 + wait, wanted, limit), 0);
            if wait > 0 {
                prop_assert!(window.wait(60 + wait - 1, wanted, limit) > 0);
            }
        }

        /// Never more than the limit in any 60 seconds, whatever the rhythm.
        #[test]
        fn a_limit_holds_in_any_minute(gaps in proptest::collection::vec(0u64..20, 1..200)) {
            let (mut window, mut now, mut taken) = (Window::new(0), 0, Vec::new());
            for gap in gaps {
                now += gap;
                if window.wait(now, amount(1, 0), amount(10, u32::MAX)) == 0 {
                    window.add(now, amount(1, 0));
                    taken.push(now);
                }
            }
            for (i, from) in taken.iter().enumerate() {
                let within = taken[i..].iter().take_while(|then| **then <= from + 60).count();
                prop_assert!(within <= 10, "{within} from {from} on");
            }
        }
    }
}
