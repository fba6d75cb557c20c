//! API keys, for callers that have no ServiceAccount. Each is a Secret of type [`SECRET_TYPE`] in one namespace, which
//! holds the SHA-256 of the key and whose it is; nobody can read the key from it, and to delete it revokes the key.
//!
//! Keys are random, of 256 bits, so that a plain hash is as good as a slow one, and no table of guesses helps.

pub mod poll;
mod secret;

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::{Arc, PoisonError, RwLock},
    time::Instant,
};

use k8s_openapi::{api::core::v1::Secret, jiff::Timestamp};
use kube::ResourceExt;
use sha2::{Digest, Sha256};

use crate::{
    cache::{KEPT_IN_OUTAGE, Unavailable},
    identity::{Fingerprint, Identity},
};
use secret::Key;

/// What a key begins with: such a token is no other kind of token.
pub const PREFIX: &str = "atl-";
/// Type of the Secrets.
pub const SECRET_TYPE: &str = "atelier.dev/api-key";

/// All keys, as they were read last.
#[derive(Default)]
pub struct Keys(RwLock<Table>);

/// What is wrong with Secrets, by their names.
pub type Faults = BTreeMap<String, String>;

#[derive(Default)]
enum Table {
    /// This gateway takes none.
    #[default]
    Off,
    /// Not read yet.
    Unread,
    Read {
        keys: HashMap<Fingerprint, Key>,
        at: Instant,
    },
}

impl Keys {
    /// Keys that are about to be read.
    pub fn unread() -> Self {
        Self(RwLock::new(Table::Unread))
    }

    /// From now on these Secrets count, as they were at `at`; what is wrong with some of them.
    pub fn replace(&self, secrets: &[Secret], at: Instant) -> Faults {
        let mut faults = Faults::new();
        let mut keys = HashMap::new();
        for secret in secrets {
            let name = secret.name_any();
            match Key::parse(secret) {
                Ok((digest, key)) => match keys.entry(digest) {
                    Entry::Vacant(place) => {
                        place.insert(Some((name, key)));
                    }
                    // Whose it is cannot be told.
                    Entry::Occupied(mut place) => {
                        let fault = "another Secret has the same sha256: each key is one caller's";
                        faults.insert(name, fault.into());
                        if let Some((other, _)) = place.insert(None) {
                            faults.insert(other, fault.into());
                        }
                    }
                },
                Err(fault) => {
                    faults.insert(name, fault);
                }
            }
        }
        let keys = keys
            .into_iter()
            .filter_map(|(digest, key)| Some((digest, key?.1)))
            .collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Table::Read { keys, at };
        faults
    }

    /// Whose key `token` is at `now`; `None` when it is nobody's.
    ///
    /// # Errors
    /// When the Secrets have not been read, or not for [`KEPT_IN_OUTAGE`].
    pub fn find(&self, token: &str, now: Timestamp) -> Result<Option<Arc<Identity>>, Unavailable> {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            Table::Off => Ok(None),
            Table::Read { keys, at } if at.elapsed() < KEPT_IN_OUTAGE => {
                let digest: Fingerprint = Sha256::digest(token.as_bytes()).into();
                let key = keys.get(&digest).filter(|key| key.is_valid(now));
                Ok(key.map(|key| key.identity.clone()))
            }
            Table::Unread | Table::Read { .. } => Err(Unavailable("the API keys cannot be read".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn secret(name: &str, key: &str, user: &str) -> Secret {
        serde_json::from_value(json!({
            "metadata": {"name": name},
            "type": SECRET_TYPE,
            "data": {
                "sha256": k8s_openapi::ByteString(hex::encode(Sha256::digest(key)).into_bytes()),
                "user": k8s_openapi::ByteString(user.into()),
            },
        }))
        .unwrap()
    }

    fn user(keys: &Keys, token: &str) -> Option<String> {
        let found = keys.find(token, Timestamp::UNIX_EPOCH).unwrap();
        found.map(|identity| identity.user().to_owned())
    }

    #[test]
    fn a_key_is_its_owner_s_until_its_secret_is_gone() {
        let keys = Keys::unread();
        assert!(keys.find("atl-a", Timestamp::UNIX_EPOCH).is_err(), "nobody knows yet");
        let [a, b] = [("a", "jane"), ("b", "joe")].map(|(key, user)| secret(key, &format!("atl-{key}"), user));
        assert!(keys.replace(&[a.clone(), b], Instant::now()).is_empty());
        assert_eq!(user(&keys, "atl-a").as_deref(), Some("jane"));
        assert_eq!(user(&keys, "atl-b").as_deref(), Some("joe"));
        assert_eq!(user(&keys, "atl-c"), None);
        keys.replace(&[a], Instant::now());
        assert_eq!(user(&keys, "atl-b"), None);
        assert_eq!(user(&keys, "atl-a").as_deref(), Some("jane"));
    }

    #[test]
    fn a_key_of_two_callers_is_nobody_s() {
        let keys = Keys::unread();
        let all = [("a", "jane"), ("b", "joe"), ("c", "eve")].map(|(name, user)| secret(name, "atl-x", user));
        let faults = keys.replace(&all, Instant::now());
        assert_eq!(faults.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(user(&keys, "atl-x"), None);
    }

    #[test]
    fn a_broken_secret_costs_the_others_nothing() {
        let keys = Keys::unread();
        let mut broken = secret("broken", "atl-x", "eve");
        broken.data.as_mut().unwrap().remove("sha256");
        let faults = keys.replace(&[broken, secret("a", "atl-a", "jane")], Instant::now());
        assert_eq!(faults.len(), 1);
        assert!(faults["broken"].contains("sha256"), "{faults:?}");
        assert_eq!(user(&keys, "atl-a").as_deref(), Some("jane"));
    }

    #[test]
    fn keys_that_cannot_be_read_for_long_are_not_believed() {
        let keys = Keys::unread();
        let Some(then) = Instant::now().checked_sub(KEPT_IN_OUTAGE + Duration::from_secs(1)) else {
            // The clock began a moment ago.
            return;
        };
        keys.replace(&[secret("a", "atl-a", "jane")], then);
        assert!(keys.find("atl-a", Timestamp::UNIX_EPOCH).is_err());
    }

    #[test]
    fn a_gateway_without_keys_knows_none() {
        assert_eq!(user(&Keys::default(), "atl-a"), None);
    }
}
