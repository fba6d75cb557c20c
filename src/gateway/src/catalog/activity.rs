//! Whether anybody asks a model: what the operator has to know before it stops the last worker, and to
//! start the first one.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Of so many requests under way, one may be sent a second time at once: 20 %, as proxies have it by default.
const ONE_OF: u64 = 5;
/// So many may be in any case.
const LEAST_RETRIES: u64 = 10;

/// Requests for one model, since this gateway knows it.
#[derive(Debug)]
pub struct Activity {
    active: AtomicU64,
    held: AtomicU64,
    retries: AtomicU64,
    last: Mutex<Instant>,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            active: AtomicU64::new(0),
            held: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            last: Mutex::new(Instant::now()),
        }
    }
}

impl Activity {
    /// How long no request has been under way; never longer than this gateway knows the model.
    pub fn idle(&self) -> Duration {
        // In this order: a request that ends in between is seen as one or the other.
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match self.active.load(Ordering::Relaxed) {
            0 => last.elapsed(),
            _ => Duration::ZERO,
        }
    }

    /// Requests that wait for the first worker.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }
}

/// A request from its arrival to the end of its answer.
#[derive(Debug)]
pub struct Active(Arc<Activity>);

impl Active {
    fn new(activity: Arc<Activity>) -> Self {
        activity.active.fetch_add(1, Ordering::Relaxed);
        Self(activity)
    }

    /// The request waits for the first worker, until the guard is dropped.
    pub fn hold(&self) -> Waiting {
        self.0.held.fetch_add(1, Ordering::Relaxed);
        Waiting(self.0.clone())
    }

    /// The request is sent a second time to a worker that may compute it, until the guard is dropped. `None` when
    /// that happens to too many: what fails all of them must not be made worse by twice the load.
    pub fn retry(&self) -> Option<Retry> {
        let most = (self.0.active.load(Ordering::Relaxed) / ONE_OF).max(LEAST_RETRIES);
        let retry = Retry(self.0.clone());
        (self.0.retries.fetch_add(1, Ordering::Relaxed) < most).then_some(retry)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that waits for the first worker.
#[derive(Debug)]
pub struct Waiting(Arc<Activity>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that was sent a second time and has no answer yet.
#[derive(Debug)]
pub struct Retry(Arc<Activity>);

impl Drop for Retry {
    fn drop(&mut self) {
        self.0.retries.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Those of all models, by namespace and name.
#[derive(Default)]
pub struct Activities(HashMap<(String, String), Arc<Activity>>);

impl Activities {
    /// That of one model, from now on.
    pub fn know(&mut self, namespace: &str, name: &str) {
        self.0.entry((namespace.into(), name.into())).or_default();
    }

    pub fn forget(&mut self, namespace: &str, name: &str) {
        self.0.remove(&(namespace.into(), name.into()));
    }

    pub fn of(&self, namespace: &str, name: &str) -> Option<&Arc<Activity>> {
        self.0.get(&(namespace.to_owned(), name.to_owned()))
    }

    /// Counts a request for a model; one that is gone counts for itself.
    pub fn begin(&self, namespace: &str, name: &str) -> Active {
        Active::new(self.of(namespace, name).cloned().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_idle_while_no_request_is_under_way() {
        let mut activities = Activities::default();
        activities.know("ns", "m");
        let activity = activities.of("ns", "m").unwrap().clone();
        let active = activities.begin("ns", "m");
        let waiting = active.hold();
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!((activity.idle(), activity.held()), (Duration::ZERO, 1));
        drop(waiting);
        assert_eq!((activity.idle(), activity.held()), (Duration::ZERO, 0));
        drop(active);
        std::thread::sleep(Duration::from_millis(5));
        let idle = activity.idle();
        assert!(idle >= Duration::from_millis(5), "{idle:?}");
        // Nothing that the watch repeats makes it a new one; being deleted does.
        activities.know("ns", "m");
        assert!(activities.of("ns", "m").unwrap().idle() >= idle);
        activities.forget("ns", "m");
        assert!(activities.of("ns", "m").is_none());
        drop(activities.begin("ns", "m"));
    }

    #[test]
    fn a_share_of_the_requests_may_be_sent_again() {
        let activities = Activities::default();
        let one = activities.begin("ns", "m");
        let mut retries: Vec<_> = std::iter::from_fn(|| one.retry()).collect();
        assert_eq!(retries.len(), 10);
        retries.pop();
        assert!(one.retry().is_some());
        let mut activities = activities;
        activities.know("ns", "busy");
        let many: Vec<_> = (0..100).map(|_| activities.begin("ns", "busy")).collect();
        let retries: Vec<_> = many.iter().map_while(Active::retry).collect();
        assert_eq!(retries.len(), 20);
    }
}
