//! The story of one request, from worker to worker.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    catalog::{Endpoint, Lease, Retry},
    deadline::Deadline,
    error::Error,
};

/// How often one request is offered to workers when there is no time left to wait for them.
const MAX_OFFERS: usize = 4;
/// How many workers may break the connection, or hang, after they had the request: there is one more try, so
/// that a request which kills its worker does not go on to kill them all.
const MAX_BROKEN: usize = 2;
/// When all workers have been tried, how long until the first may be tried again.
pub const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// The story of one request so far.
pub struct Attempts {
    /// Workers that did not take it, lately.
    pub tried: Vec<Arc<Endpoint>>,
    /// Workers that do not have the adapter.
    pub lacking: Vec<Arc<Endpoint>>,
    /// How often it was offered to a worker that did not answer it.
    pub offers: usize,
    broken: usize,
    /// What went wrong last.
    pub last: Option<Error>,
    /// The version on its way did not answer it as it should: the current one does.
    pub shuns_canary: bool,
    /// Where that was, until the current version tells whose fault it is.
    pub accused: Option<Lease>,
    /// It came while the model slept, so that it is one of many that come at once.
    pub was_held: bool,
    /// Until when a worker is waited for.
    pub until: Instant,
    /// It is sent a second time to a worker that may compute it.
    pub retry: Option<Retry>,
    deadline: Deadline,
}

impl Attempts {
    /// None yet, of a request that waits as long as `patience` for a worker, and no longer than its deadline.
    pub fn new(patience: Duration, deadline: Deadline) -> Self {
        Self {
            tried: Vec::new(),
            lacking: Vec::new(),
            offers: 0,
            broken: 0,
            last: None,
            shuns_canary: false,
            accused: None,
            was_held: false,
            until: (Instant::now() + patience).min(deadline.until()),
            retry: None,
            deadline,
        }
    }

    /// Notes a failure; `Err` when there shall be no further try.
    pub fn failed(&mut self, lease: &Lease, error: Error, broken: bool) -> Result<(), Error> {
        self.tried.push(lease.endpoint().clone());
        self.offers += 1;
        self.broken += usize::from(broken);
        let late = Instant::now() >= self.until;
        if (late && self.offers >= MAX_OFFERS) || self.broken >= MAX_BROKEN || self.deadline.is_over() {
            return Err(error);
        }
        self.last = Some(error);
        Ok(())
    }

    /// Notes the failure of one of two tries while the other goes on.
    pub fn failed_beside(&mut self, lease: &Lease, broken: bool) {
        self.tried.push(lease.endpoint().clone());
        self.broken += usize::from(broken);
    }

    /// Whether no worker gets the request after the next one that may compute it.
    pub fn are_spent(&self) -> bool {
        self.broken + 1 >= MAX_BROKEN
    }

    /// Workers that shall not get it, those of `lease` among them.
    pub fn passed_over(&self, lease: Option<&Lease>) -> Vec<Arc<Endpoint>> {
        let current = lease.map(Lease::endpoint);
        let passed_over = self.tried.iter().chain(&self.lacking).chain(current);
        passed_over.cloned().collect()
    }
}
