//! What is remembered between passes: little, and nothing that a restart must not forget.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use crate::controllers::common::reconcile::PROGRESS;

/// FineTuneJobs that wait for an LlmModel, by namespace and name: which one.
#[derive(Debug, Default)]
pub struct Waiting(Mutex<HashMap<(String, String), String>>);

impl Waiting {
    /// Notes which LlmModel a FineTuneJob waits for, if it does.
    pub fn note(&self, namespace: &str, name: &str, model: Option<String>) {
        let key = (namespace.to_owned(), name.to_owned());
        match model {
            Some(model) => self.lock().insert(key, model),
            None => self.lock().remove(&key),
        };
    }

    /// The FineTuneJobs that wait for an LlmModel.
    pub fn of(&self, namespace: &str, model: &str) -> Vec<String> {
        let waiting = self.lock();
        let theirs = waiting
            .iter()
            .filter(|((space, _), awaited)| space == namespace && *awaited == model);
        theirs.map(|((_, name), _)| name.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When the status of a FineTuneJob was written.
#[derive(Debug, Default)]
pub struct Written(Mutex<HashMap<String, Instant>>);

impl Written {
    /// Whether figures may be written again.
    pub fn may_write(&self, key: &str) -> bool {
        // Passes that are as far apart as writes are not to lose every second one.
        self.lock()
            .get(key)
            .is_none_or(|last| last.elapsed() >= PROGRESS.mul_f64(0.9))
    }

    /// Notes a write.
    pub fn wrote(&self, key: &str) {
        let mut written = self.lock();
        written.retain(|_, last| last.elapsed() < PROGRESS);
        written.insert(key.to_owned(), Instant::now());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_that_wait_are_told() {
        let waiting = Waiting::default();
        waiting.note("ns", "a", Some("small".into()));
        waiting.note("other", "b", Some("small".into()));
        assert_eq!(waiting.of("ns", "small"), ["a"]);
        assert!(waiting.of("ns", "large").is_empty());
        waiting.note("ns", "a", None);
        assert!(waiting.of("ns", "small").is_empty());
    }

    #[test]
    fn figures_are_not_written_all_the_time() {
        let written = Written::default();
        assert!(written.may_write("ns/a"));
        written.wrote("ns/a");
        assert!(!written.may_write("ns/a"));
        assert!(written.may_write("ns/b"));
    }
}
