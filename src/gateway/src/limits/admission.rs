//! A request that was let in, until what it used is known.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    Amount, Demand, Settlement, Verdict, Wish,
    peers::{Counter, Peers},
};

/// Limits and what is left of them, as OpenAI names them.
const HEADERS: [(HeaderName, HeaderName); 2] = [
    (
        HeaderName::from_static("x-ratelimit-limit-requests"),
        HeaderName::from_static("x-ratelimit-remaining-requests"),
    ),
    (
        HeaderName::from_static("x-ratelimit-limit-tokens"),
        HeaderName::from_static("x-ratelimit-remaining-tokens"),
    ),
];

/// What was noted for a request. Dropping it corrects that to what was used.
pub struct Admission {
    peers: Arc<Peers>,
    noted: Vec<(Wish, Verdict, Counter)>,
    demand: Demand,
    used: Amount,
}

impl Admission {
    /// Nothing is noted yet for a request of `demand`.
    pub fn new(peers: Arc<Peers>, demand: Demand) -> Self {
        Self {
            peers,
            noted: Vec::new(),
            demand,
            used: Amount::default(),
        }
    }

    /// Remembers what was noted.
    pub fn note(&mut self, wish: Wish, verdict: Verdict, counter: Counter) {
        self.noted.push((wish, verdict, counter));
    }

    /// The request is let in: it counts, whatever becomes of it.
    pub fn begin(&mut self) {
        self.used.requests = 1;
    }

    /// The request used so many tokens.
    pub fn used(&mut self, tokens: u64) {
        self.used.tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
    }

    /// Its answer was a stream of so many events, of about a token each.
    pub fn used_events(&mut self, events: u64) {
        self.used(events.saturating_add(self.demand.prompt.into()));
    }

    /// What it used cannot be known: the estimate stands.
    pub fn keep_estimate(&mut self) {
        self.used.tokens = self.demand.tokens();
    }

    /// Tells the caller what is left of the limit that is theirs most.
    pub fn tell(&self, headers: &mut HeaderMap) {
        let Some((wish, verdict, _)) = self.noted.first() else {
            return;
        };
        let amounts = [
            (wish.limit.requests, verdict.left.requests),
            (wish.limit.tokens, verdict.left.tokens),
        ];
        for ((limit, left), (limit_name, left_name)) in amounts.into_iter().zip(HEADERS) {
            if limit != u32::MAX {
                headers.insert(limit_name, HeaderValue::from(limit));
                headers.insert(left_name, HeaderValue::from(left));
            }
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        for (wish, verdict, counter) in self.noted.drain(..) {
            if wish.wanted != self.used {
                self.peers.clone().settle(
                    counter,
                    Settlement {
                        key: wish.key,
                        second: verdict.second,
                        noted: wish.wanted,
                        used: self.used,
                    },
                );
            }
        }
    }
}
