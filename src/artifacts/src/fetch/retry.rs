//! When to try again.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

use super::{Error, SUBSTANTIAL_BYTES, Settings};

/// Longest wait that a server may ask for; beyond it the Job's own backoff takes over.
const LONGEST_ASKED: Duration = Duration::from_secs(300);

/// Waits that double from failure to failure, spread by chance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    /// Wait after the first failure.
    pub first: Duration,
    /// Longest wait.
    pub longest: Duration,
}

impl Backoff {
    /// How long to wait after so many failures in a row (1 and more), or `None` when the server
    /// asks for more patience than we have. `chance` is uniform over all values: half of the wait
    /// is fixed, half is spread, so that many workers do not come back at once.
    pub(crate) fn wait(&self, failures: u32, asked: Option<Duration>, chance: u32) -> Option<Duration> {
        let doubled = self.first.saturating_mul(1 << (failures - 1).min(16)).min(self.longest);
        let spread = f64::from(chance) / f64::from(u32::MAX);
        let own = doubled.mul_f64(0.5 + 0.5 * spread);
        match asked {
            Some(asked) if asked > LONGEST_ASKED => None,
            Some(asked) => Some(own.max(asked)),
            None => Some(own),
        }
    }
}

/// Failed attempts at one thing, in a row.
pub(crate) struct Attempts<'a> {
    settings: &'a Settings,
    failures: u32,
}

impl<'a> Attempts<'a> {
    /// None has failed yet.
    pub(crate) fn new(settings: &'a Settings) -> Self {
        Self { settings, failures: 0 }
    }

    /// Waits for the next attempt after one that failed and brought so many bytes; `there` are the bytes
    /// that it can begin with, of how many.
    ///
    /// # Errors
    /// When another attempt cannot help, or there were too many.
    pub(crate) async fn again(&mut self, error: Error, gained: u64, there: (u64, Option<u64>)) -> Result<(), Error> {
        if !error.is_transient() {
            return Err(error);
        }
        if gained >= SUBSTANTIAL_BYTES {
            self.failures = 0;
        }
        self.failures += 1;
        let wait = self
            .settings
            .backoff
            .wait(self.failures, error.retry_after(), rand::random());
        match wait {
            Some(wait) if self.failures < self.settings.attempts => {
                tracing::warn!("{error}; trying again in {:.1} s", wait.as_secs_f64());
                tokio::time::sleep(wait).await;
                Ok(())
            }
            _ => Err(error.gave_up(self.failures, there.0, there.1)),
        }
    }
}

/// The wait of a `Retry-After` header: seconds, or an HTTP date.
pub(crate) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTimeParser::new().parse_timestamp(value).ok()?;
    // A date that has passed means now.
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const BACKOFF: Backoff = Backoff {
        first: Duration::from_secs(1),
        longest: Duration::from_secs(30),
    };

    #[rstest]
    #[case(1, 0, 500)]
    #[case(1, u32::MAX, 1000)]
    #[case(2, u32::MAX, 2000)]
    #[case(4, u32::MAX, 8000)]
    #[case(9, u32::MAX, 30_000)]
    #[case(u32::MAX, 0, 15_000)]
    fn waits_double_up_to_a_limit_and_are_spread(#[case] failures: u32, #[case] chance: u32, #[case] millis: u64) {
        assert_eq!(
            BACKOFF.wait(failures, None, chance),
            Some(Duration::from_millis(millis))
        );
    }

    #[test]
    fn a_server_can_ask_for_more_patience_within_limits() {
        let asked = |seconds| BACKOFF.wait(1, Some(Duration::from_secs(seconds)), u32::MAX);
        assert_eq!(asked(0), Some(Duration::from_secs(1)));
        assert_eq!(asked(7), Some(Duration::from_secs(7)));
        assert_eq!(asked(3600), None);
    }

    #[rstest]
    #[case("120", Some(120))]
    #[case(" 3 ", Some(3))]
    #[case("Sun, 06 Nov 1994 08:49:47 GMT", Some(10))]
    #[case("Sun, 06 Nov 1994 08:00:00 GMT", Some(0))]
    #[case("soon", None)]
    #[case("-1", None)]
    fn both_forms_of_the_header_are_read(#[case] value: &str, #[case] seconds: Option<u64>) {
        let now: Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
        assert_eq!(retry_after(value, now), seconds.map(Duration::from_secs));
    }
}
