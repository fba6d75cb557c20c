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

/// Requests for one model, since this gateway knows it.
#[derive(Debug)]
pub struct Activity {
    active: AtomicU64,
    held: AtomicU64,
    last: Mutex<Instant>,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            active: AtomicU64::new(0),
            held: AtomicU64::new(0),
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
}
