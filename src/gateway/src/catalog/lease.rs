//! A request under way at a worker.

use std::{sync::Arc, time::Instant};

use super::{Active, Endpoint};

/// Counts as the worker's load until it is dropped, and tells how the request went.
#[derive(Debug)]
pub struct Lease {
    endpoint: Arc<Endpoint>,
    begun: Instant,
    first_token_seen: bool,
    is_told: bool,
    request: Option<Active>,
}

impl Lease {
    /// Counts one more request at `endpoint`.
    pub fn new(endpoint: Arc<Endpoint>) -> Self {
        endpoint.begin();
        Self {
            endpoint,
            begun: Instant::now(),
            first_token_seen: false,
            is_told: false,
            request: None,
        }
    }

    /// Lets the request count as one for its model as long as it is under way.
    pub fn keep(&mut self, request: Active) {
        self.request = Some(request);
    }

    /// When it was begun.
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// Where the request is.
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// The first bytes of a stream have come. Later calls change nothing.
    pub fn first_token(&mut self) {
        if !std::mem::replace(&mut self.first_token_seen, true) {
            self.endpoint.stats().first_token(self.begun.elapsed());
        }
    }

    /// The worker answered as it should. Only the first verdict counts; without one, as when the client
    /// leaves, the request tells nothing about the worker.
    pub fn succeeded(&mut self) {
        if !std::mem::replace(&mut self.is_told, true) {
            self.endpoint.stats().succeeded(self.endpoint.address);
        }
    }

    /// How it goes on tells nothing about the worker.
    pub fn abstain(&mut self) {
        self.is_told = true;
    }

    /// The worker did not take the request. That is no failure of its version, but one of its own.
    pub fn turned_away(&mut self) {
        if !std::mem::replace(&mut self.is_told, true) {
            self.endpoint.stats().turned_away(self.endpoint.address);
        }
    }

    /// The worker failed the request. See [`Self::succeeded`].
    pub fn failed(&mut self) {
        if !std::mem::replace(&mut self.is_told, true) {
            self.endpoint.stats().failed(self.endpoint.address);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.endpoint.end();
    }
}
