//! What passed.

use std::collections::BTreeMap;

use crate::{Call, Verb};

/// A call that was forwarded and what the API server answered, whatever its caller heard of it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Which run of the operator made it, from 1 on.
    pub incarnation: usize,
    /// What was asked.
    pub call: Call,
    /// HTTP status.
    pub status: u16,
}

/// All writes since the last look, and how often objects came to be and were deleted.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// In the order in which they took effect.
    pub entries: Vec<Entry>,
}

impl Log {
    /// Objects that came to be: `resource/name` and how often. Events are told as often as something happens.
    pub fn creations(&self) -> BTreeMap<String, usize> {
        self.count(|entry| entry.status == 201)
    }

    /// Deletions that were accepted, in the same form.
    pub fn deletions(&self) -> BTreeMap<String, usize> {
        self.count(|entry| entry.call.verb == Verb::Delete && entry.status < 300)
    }

    /// Writes that changed or repeated what was there: applies of an object that exists.
    pub fn updates(&self) -> usize {
        let updates = |entry: &&Entry| entry.call.verb != Verb::Delete && entry.status == 200;
        self.entries.iter().filter(updates).count()
    }

    fn count(&self, counts: impl Fn(&Entry) -> bool) -> BTreeMap<String, usize> {
        let mut found = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| counts(entry)) {
            let Call { resource, name, .. } = &entry.call;
            if resource != "events" {
                *found.entry(format!("{resource}/{name}")).or_insert(0) += 1;
            }
        }
        found
    }
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Call { verb, resource, name } = &self.call;
        write!(f, "#{} {verb:?} {resource}/{name} {}", self.incarnation, self.status)
    }
}
