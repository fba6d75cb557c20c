//! A request that was let in, until what it used is known.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    Amount, Demand, Money, Settlement, Verdict, Wish,
    accounts::Reservation,
    concurrency::Place,
    peers::{Counter, Peers},
};
use crate::{price::Price, usage::Usage};

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

/// What was noted for a request. Dropping it corrects that to what was used, and gives its places back.
pub struct Admission {
    peers: Arc<Peers>,
    noted: Vec<(Wish, Verdict, Counter)>,
    places: Vec<Place>,
    reserved: Vec<Reservation>,
    price: Option<Price>,
    demand: Demand,
    used: Amount,
}

impl Admission {
    /// Nothing is noted yet for a request of `demand`.
    pub fn new(peers: Arc<Peers>, demand: Demand) -> Self {
        Self {
            peers,
            noted: Vec::new(),
            places: Vec::new(),
            reserved: Vec::new(),
            price: None,
            demand,
            used: Amount::default(),
        }
    }

    /// Remembers what was noted.
    pub fn note(&mut self, wish: Wish, verdict: Verdict, counter: Counter) {
        self.noted.push((wish, verdict, counter));
    }

    /// Keeps a place until the request has ended.
    pub fn hold(&mut self, place: Place) {
        self.places.push(place);
    }

    /// Books what the answer costs at `price` in place of what is reserved.
    pub fn reserve(&mut self, reservation: Reservation, price: Price) {
        self.reserved.push(reservation);
        self.price = Some(price);
    }

    /// The request is let in: it counts, whatever becomes of it.
    pub fn begin(&mut self) {
        self.used.requests = 1;
    }

    /// The request used so many tokens.
    pub fn used(&mut self, usage: Usage) {
        let tokens = usage.prompt_tokens.saturating_add(usage.completion_tokens);
        self.used.tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        if let Some(price) = &self.price {
            let cost = Money::of_price(price.of_answer(usage));
            self.reserved.iter_mut().for_each(|reserved| reserved.costs(cost));
        }
    }

    /// Its answer was a stream of so many events, of about a token each.
    pub fn used_events(&mut self, events: u64) {
        self.used(Usage {
            completion_tokens: events,
            ..self.demand.usage()
        });
    }

    /// What it used cannot be known: the estimate stands.
    pub fn keep_estimate(&mut self) {
        self.used(self.demand.usage());
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
