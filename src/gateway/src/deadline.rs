//! How long a request may take to its first byte, and how that is shared among its tries.
//!
//! Clients say how long they wait by the standard header `Prefer: wait=SECONDS` (RFC 7240, 4.3), gRPC clients by
//! `grpc-timeout`; otherwise it is what workers may take at most. A try after which there may be another one gets half of
//! what is left, the last one all of it: so a worker that hangs leaves time for another one, or for another model.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

/// What clients prefer, of which `wait` is heeded.
pub const PREFER: HeaderName = HeaderName::from_static("prefer");
/// What was heeded.
pub const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// The deadline of a gRPC call.
pub const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The time of one request until the first byte of its answer.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    until: Instant,
    is_shared: bool,
    has_others: bool,
}

impl Deadline {
    /// A request that arrived at `received` may take as long as its client waits, or else `longest`. A whole answer
    /// begins when it is complete: unless its client is in a hurry, a try may need all of the time (`is_whole`).
    pub fn of(headers: &HeaderMap, received: Instant, longest: Duration, is_whole: bool) -> Self {
        let wished = wished(headers);
        Self {
            until: received + wished.unwrap_or(longest).min(longest),
            is_shared: wished.is_some() || !is_whole,
            has_others: false,
        }
    }

    /// The same where other models are asked afterwards, or not.
    pub fn before(self, has_others: bool) -> Self {
        Self { has_others, ..self }
    }

    /// When it ends.
    pub fn until(&self) -> Instant {
        self.until
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// What the next try gets; `is_last` says whether its model has no other one.
    pub fn share(&self, is_last: impl FnOnce() -> bool) -> Duration {
        match self.is_shared && (self.has_others || !is_last()) {
            true => self.left() / 2,
            false => self.left(),
        }
    }
}

/// Says that the client's wish holds, if it has one.
pub fn tell(request: &HeaderMap, answer: &mut HeaderMap) {
    if let Some(wait) = wait(request)
        && let Ok(applied) = HeaderValue::from_str(&format!("wait={wait}"))
    {
        answer.insert(PREFERENCE_APPLIED, applied);
    }
}

/// How long the client waits.
fn wished(headers: &HeaderMap) -> Option<Duration> {
    let wait = wait(headers).map(Duration::from_secs);
    let grpc = headers.get(GRPC_TIMEOUT).and_then(|value| value.to_str().ok());
    wait.into_iter().chain(grpc.and_then(grpc_timeout)).min()
}

/// The preference `wait`. What is malformed is none, as the RFC says.
fn wait(headers: &HeaderMap) -> Option<u64> {
    let values = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let preferences = values.flat_map(|value| value.split(','));
    let mut waits = preferences.filter_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        let seconds = value.trim().trim_matches('"').parse::<u32>().ok()?;
        name.trim().eq_ignore_ascii_case("wait").then_some(seconds.into())
    });
    // The first one counts.
    waits.next().filter(|seconds| *seconds > 0)
}

/// At most eight digits and a unit, as gRPC has it.
fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let is_number = (1..=8).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse().ok().filter(|_| is_number)?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[rstest]
    #[case(&[("prefer", "wait=10")], Some(10_000))]
    #[case(&[("prefer", "respond-async, Wait = \"7\"; x=1")], Some(7_000))]
    #[case(&[("prefer", "return=minimal"), ("prefer", "wait=3"), ("prefer", "wait=9")], Some(3_000))]
    #[case(&[("prefer", "wait=soon")], None)]
    #[case(&[("prefer", "wait=0")], None)]
    #[case(&[("prefer", "wait=99999999999999999999")], None)]
    #[case(&[("grpc-timeout", "1500m")], Some(1_500))]
    #[case(&[("grpc-timeout", "2M"), ("prefer", "wait=5")], Some(5_000))]
    #[case(&[("grpc-timeout", "123456789S")], None)]
    #[case(&[("grpc-timeout", "+1S")], None)]
    #[case(&[("grpc-timeout", "S")], None)]
    #[case(&[("grpc-timeout", "")], None)]
    #[case(&[], None)]
    fn clients_say_how_long_they_wait(#[case] sent: &[(&'static str, &'static str)], #[case] expected: Option<u64>) {
        assert_eq!(wished(&headers(sent)), expected.map(Duration::from_millis));
        assert_eq!(grpc_timeout("1\u{e4}"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn each_try_leaves_half_and_the_last_one_nothing() {
        let seconds = Duration::from_secs;
        let of = |sent: &[_], is_whole| Deadline::of(&headers(sent), Instant::now(), seconds(600), is_whole);
        let stream = of(&[], false);
        assert_eq!(
            (stream.share(|| false), stream.share(|| true)),
            (seconds(300), seconds(600))
        );
        let before = stream.before(true);
        assert_eq!(
            (before.share(|| false), before.share(|| true)),
            (seconds(300), seconds(300))
        );
        tokio::time::advance(seconds(300)).await;
        assert_eq!(
            (stream.share(|| false), stream.share(|| true)),
            (seconds(150), seconds(300))
        );
        tokio::time::advance(seconds(301)).await;
        assert!(stream.is_over());
        let whole = of(&[], true).before(true);
        assert_eq!(whole.share(|| false), seconds(600));
        let hurried = of(&[("prefer", "wait=10")], true);
        assert_eq!(
            (hurried.share(|| false), hurried.share(|| true)),
            (seconds(5), seconds(10))
        );
        // Nobody can make workers wait longer than they may.
        assert_eq!(of(&[("prefer", "wait=9999")], true).share(|| true), seconds(600));
    }

    #[test]
    fn what_is_heeded_is_told() {
        let mut answer = HeaderMap::new();
        tell(&headers(&[("grpc-timeout", "1S")]), &mut answer);
        assert!(answer.is_empty());
        tell(&headers(&[("prefer", "wait=\"10\"")]), &mut answer);
        assert_eq!(answer[PREFERENCE_APPLIED], "wait=10");
    }
}
