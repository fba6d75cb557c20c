//! A second try beside the one under way.

use axum::http::HeaderMap;

use super::{Attempt, Trace, lock};
use crate::catalog::Lease;

/// A try that is made while an earlier one goes on.
pub struct Beside(Attempt);

impl Beside {
    /// The earlier one brought the answer.
    pub fn loses(mut self, outcome: &str) {
        self.0.fail(outcome);
    }
}

impl Trace {
    /// Another try to send the request, to the worker of `lease`, whom `headers` tell to go on with the trace.
    pub fn beside(&self, lease: &Lease, headers: &mut HeaderMap) -> Beside {
        let Some(traced) = &self.0 else {
            return Beside(Attempt::default());
        };
        let earlier = std::mem::take(&mut *lock(&traced.attempt));
        self.attempt(lease, headers);
        Beside(std::mem::replace(&mut *lock(&traced.attempt), earlier))
    }

    /// The other try is the one that counts from now on; the earlier one is over.
    pub fn takes(&self, Beside(attempt): Beside, outcome: &str) {
        if let Some(traced) = &self.0 {
            let mut earlier = lock(&traced.attempt);
            earlier.fail(outcome);
            *earlier = attempt;
        }
    }
}
