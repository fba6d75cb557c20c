//! The newest that was seen of each kind, by which a list from a cache that lags is told.
//!
//! Resource versions of objects of one kind are numbers that grow with each write, which Kubernetes promises since
//! 1.35 (KEP-5504). Where they are anything else, nothing is called old.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// The newest resource versions, by kind. A clone knows the same.
#[derive(Clone, Debug, Default)]
pub struct Freshness(Arc<Mutex<HashMap<&'static str, u64>>>);

impl Freshness {
    /// Notes that an object of a kind, or a list of them, has been seen at a resource version.
    pub fn saw(&self, kind: &'static str, version: Option<&str>) {
        if let Some(version) = number(version) {
            let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let newest = newest.entry(kind).or_default();
            *newest = version.max(*newest);
        }
    }

    /// What a list that is asked for now must not be older than.
    pub fn newest(&self, kind: &'static str) -> Newest {
        let newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Newest(newest.get(kind).copied().unwrap_or_default())
    }

    /// Begins anew with a kind: a store that was restored from a backup counts from where it was then.
    pub fn forget(&self, kind: &'static str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(kind);
    }
}

/// The newest that had been seen of a kind at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Newest(u64);

impl Newest {
    /// Whether a list is from before that moment.
    pub fn is_after(self, version: Option<&str>) -> bool {
        number(version).is_some_and(|version| version < self.0)
    }
}

fn number(version: Option<&str>) -> Option<u64> {
    version?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_from_before_a_write_is_behind() {
        let freshness = Freshness::default();
        assert!(!freshness.newest("Pod").is_after(Some("5")));
        freshness.saw("Pod", Some("100"));
        freshness.saw("Pod", Some("20"));
        let newest = freshness.newest("Pod");
        assert!(newest.is_after(Some("99")));
        assert!(!newest.is_after(Some("100")));
        assert!(!freshness.newest("Service").is_after(Some("1")), "another kind");
        // What is seen while a list is on its way does not make it old.
        freshness.saw("Pod", Some("105"));
        assert!(!newest.is_after(Some("100")));
        freshness.forget("Pod");
        assert!(!freshness.newest("Pod").is_after(Some("1")));
    }

    #[test]
    fn versions_that_are_no_numbers_say_nothing() {
        let freshness = Freshness::default();
        freshness.saw("Pod", Some("100"));
        freshness.saw("Pod", Some("abc"));
        freshness.saw("Pod", None);
        assert!(!freshness.newest("Pod").is_after(Some("abc")));
        assert!(!freshness.newest("Pod").is_after(None));
    }
}
