//! How many copies there may be each second.

use std::time::Duration;

/// A token bucket: copies up to a rate, and up to those of one second at once.
///
/// It cuts conversations apart when it is empty, which no fair cap can help: what it refuses is counted as dropped, and
/// a smaller `sample.percent` is the better cap.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenBucket {
    per_second: f64,
    tokens: f64,
    last: Duration,
}

impl TokenBucket {
    /// A full bucket. `now` is the time since whenever, on a clock that does not go back.
    pub fn new(per_second: u32, now: Duration) -> Self {
        let per_second = f64::from(per_second);
        Self {
            per_second,
            tokens: per_second,
            last: now,
        }
    }

    /// Another rate from now on.
    pub fn set_rate(&mut self, per_second: u32, now: Duration) {
        self.refill(now);
        self.per_second = f64::from(per_second);
        self.tokens = self.tokens.min(self.per_second);
    }

    /// Takes the token of one copy, if there is one. A clock that goes back refills nothing.
    pub fn take(&mut self, now: Duration) -> bool {
        self.refill(now);
        let may = self.tokens >= 1.0;
        if may {
            self.tokens -= 1.0;
        }
        may
    }

    fn refill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.last);
        self.tokens = (self.tokens + passed.as_secs_f64() * self.per_second).min(self.per_second);
        self.last = self.last.max(now);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Duration = Duration::from_secs(1000);

    fn taken(bucket: &mut TokenBucket, now: Duration, tries: u32) -> u32 {
        (0..tries).filter(|_| bucket.take(now)).count() as u32
    }

    #[test]
    fn no_more_than_the_copies_of_a_second_come_at_once() {
        let mut bucket = TokenBucket::new(5, START);
        assert_eq!(taken(&mut bucket, START, 20), 5);
        assert_eq!(taken(&mut bucket, START + Duration::from_millis(400), 20), 2);
        // However long it rests.
        assert_eq!(taken(&mut bucket, START + Duration::from_secs(3600), 20), 5);
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_twice() {
        let mut bucket = TokenBucket::new(5, START);
        assert_eq!(taken(&mut bucket, START, 20), 5);
        assert_eq!(taken(&mut bucket, Duration::ZERO, 20), 0);
        assert_eq!(taken(&mut bucket, START, 20), 0);
        assert_eq!(taken(&mut bucket, START + Duration::from_secs(1), 20), 5);
    }

    #[test]
    fn a_rate_may_change() {
        let mut bucket = TokenBucket::new(100, START);
        bucket.set_rate(2, START);
        assert_eq!(taken(&mut bucket, START, 20), 2);
        bucket.set_rate(10, START);
        assert_eq!(taken(&mut bucket, START + Duration::from_secs(1), 20), 10);
    }

    proptest! {
        #[test]
        fn the_rate_holds_over_any_time(rate in 1u32..50, steps in prop::collection::vec(0u64..500, 1..200)) {
            let mut bucket = TokenBucket::new(rate, START);
            let (mut now, mut all) = (START, 0);
            for step in steps {
                now += Duration::from_millis(step);
                all += taken(&mut bucket, now, 3);
                let most = f64::from(rate) * (1.0 + (now - START).as_secs_f64());
                prop_assert!(f64::from(all) <= most + 1e-6, "{all} > {most}");
            }
        }
    }
}
