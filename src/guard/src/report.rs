//! What was found.

use std::collections::BTreeMap;

use crate::{check::Action, guard::Guard};

/// What the checks of a guard found in one or several texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    checks: Vec<BTreeMap<String, u64>>,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violations<'a> {
    /// Its name.
    pub check: &'a str,
    /// What happened.
    pub action: Action,
    /// How often, by kind.
    pub kinds: &'a BTreeMap<String, u64>,
}

impl Report {
    pub(crate) fn new(checks: usize) -> Self {
        Self {
            checks: vec![BTreeMap::new(); checks],
        }
    }

    pub(crate) fn count(&mut self, check: usize, kind: &str) {
        let kinds = &mut self.checks[check];
        match kinds.get_mut(kind) {
            Some(count) => *count += 1,
            None => drop(kinds.insert(kind.into(), 1)),
        }
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.checks.iter().all(BTreeMap::is_empty)
    }

    /// The checks of `guard` that found something.
    pub fn violations<'a>(&'a self, guard: &'a Guard) -> impl Iterator<Item = Violations<'a>> {
        let found = guard.checks.iter().zip(&self.checks);
        let found = found.filter(|(_, kinds)| !kinds.is_empty());
        found.map(|(check, kinds)| Violations {
            check: &check.name,
            action: check.action,
            kinds,
        })
    }
}
