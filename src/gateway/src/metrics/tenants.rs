//! Whom tokens and costs are counted for.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

/// Tenants that are told apart. Each may have a series for every version of every model.
const MAX_TENANTS: usize = 256;
/// All others. No namespace has such a name.
const OTHERS: &str = "_others";
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// The tenants seen so far, since the start of the process: the first ones are told apart.
#[derive(Debug, Default)]
pub struct Tenants(Mutex<HashSet<String>>);

impl Tenants {
    /// The tenant of a user: the namespace of a ServiceAccount, the pseudonym of anybody else.
    pub fn of(&self, user: &str, pseudonym: &str) -> String {
        let account = user.strip_prefix(SERVICE_ACCOUNT);
        let namespace = account.and_then(|account| account.split_once(':'));
        let tenant = namespace.map_or(pseudonym, |(namespace, _)| namespace);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(tenant) {
            if known.len() >= MAX_TENANTS {
                return OTHERS.into();
            }
            known.insert(tenant.into());
        }
        tenant.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_count_for_their_namespace_and_people_under_a_pseudonym() {
        let tenants = Tenants::default();
        assert_eq!(tenants.of("system:serviceaccount:team:app", "0a"), "team");
        assert_eq!(tenants.of("system:serviceaccount:team:other", "0b"), "team");
        assert_eq!(tenants.of("jane@example.com", "0c"), "0c");
        assert_eq!(tenants.of("system:serviceaccount", "0d"), "0d");
    }

    #[test]
    fn there_are_only_so_many() {
        let tenants = Tenants::default();
        let all: HashSet<_> = (0..10_000).map(|i| tenants.of("jane", &format!("{i:x}"))).collect();
        assert_eq!(all.len(), MAX_TENANTS + 1);
        assert!(all.contains(OTHERS));
        assert_eq!(tenants.of("jane", "0"), "0", "who was there first stays");
    }
}
