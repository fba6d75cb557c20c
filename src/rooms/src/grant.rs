//! What somebody may do in one Room, as a value that every access needs.
//!
//! A [`Grant`] is made at one place of the gateway, from an authenticated principal, an answer of the API server's
//! authorizer, and the Room's members. Whoever holds one may see the chunks that [`Grant::sees`] says, in that Room, and
//! nothing else. It cannot be cloned into another Room, raised, or prolonged.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::document::Acl;
use crate::redteam::{is_reserved_group, is_reserved_user};

/// How long a decision may be acted upon: revocation takes effect within this time.
pub const LIFETIME: Duration = Duration::from_secs(10);

/// How much somebody may see, from 0 to 100. What has a higher one is hidden.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Clearance(pub u8);

/// A Room, as the API server knows it. One that is deleted and made again by the same name is another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RoomKey {
    /// Its `metadata.uid`.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What somebody wants to do; the names are the verbs of RBAC on `rooms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Find chunks.
    Search,
    /// Get an answer from a model.
    Ask,
    /// Add documents.
    Contribute,
    /// Remove documents, and release those that were set aside.
    Curate,
    /// Fill the Room from its sources: what its own Jobs do.
    Ingest,
    /// Say what an answer was worth.
    Feedback,
    /// Read who asked what.
    Audit,
    /// Try to make the Room leak.
    RedTeam,
}

impl Verb {
    /// The verb of RBAC.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Ask => "ask",
            Self::Contribute => "contribute",
            Self::Curate => "curate",
            Self::Ingest => "ingest",
            Self::Feedback => "feedback",
            Self::Audit => "audit",
            Self::RedTeam => "redteam",
        }
    }
}

/// Somebody, as the API server's TokenReview says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal {
    /// The user's name; for a ServiceAccount `system:serviceaccount:NAMESPACE:NAME`.
    pub user: String,
    /// The user's groups.
    pub groups: BTreeSet<String>,
}

impl Principal {
    /// Somebody who was authenticated; nobody where they call themselves by a name of ours. Of their groups, ours are left
    /// out: nobody is in them, whoever says so.
    pub fn of(user: &str, groups: impl IntoIterator<Item = String>) -> Option<Self> {
        let groups = groups.into_iter().filter(|group| !is_reserved_group(group)).collect();
        (!is_reserved_user(user)).then(|| Self {
            user: user.into(),
            groups,
        })
    }
}

/// What somebody may do in one Room until it expires. There is no `Clone`: a grant is for one request.
#[derive(Debug)]
pub struct Grant {
    room: RoomKey,
    verb: Verb,
    principal: Principal,
    clearance: Clearance,
    expires: Instant,
}

impl Grant {
    /// To be called by the gateway's authorizer alone, once the API server has allowed `verb` on the Room to
    /// `principal`. `decided` is when it did: a decision from a cache does not live longer for being used.
    pub fn issue(room: RoomKey, verb: Verb, principal: Principal, clearance: Clearance, decided: Instant) -> Self {
        Self {
            room,
            verb,
            principal,
            clearance,
            expires: decided + LIFETIME,
        }
    }

    /// The Room.
    pub fn room(&self) -> &RoomKey {
        &self.room
    }

    /// What was allowed.
    pub fn verb(&self) -> Verb {
        self.verb
    }

    /// To whom.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// How much they see.
    pub fn clearance(&self) -> Clearance {
        self.clearance
    }

    /// Whether the decision is too old to be acted upon: ask again.
    pub fn has_expired(&self, now: Instant) -> bool {
        now >= self.expires
    }

    /// Whether a document of this clearance and this list of names may be seen.
    pub fn sees(&self, clearance: Clearance, acl: &Acl) -> bool {
        clearance <= self.clearance && acl.admits(&self.principal)
    }

    /// A digest of everything that decides what is seen. Two grants with the same one see the same; caches use it, with
    /// the index's generation, as their key.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        let groups = self.principal.groups.iter().map(String::as_str);
        let parts = [self.room.uid.as_str(), self.verb.as_str(), self.principal.user.as_str()];
        for part in parts.into_iter().chain(groups) {
            // With its length, lest two lists of names read alike.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.update([self.clearance.0]);
        hex::encode(hash.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(room: &str, verb: Verb, user: &str, groups: &[&str], clearance: u8) -> Grant {
        let room = RoomKey {
            uid: room.into(),
            namespace: "ns".into(),
            name: "room".into(),
        };
        let principal = Principal {
            user: user.into(),
            groups: groups.iter().map(|&group| group.into()).collect(),
        };
        Grant::issue(room, verb, principal, Clearance(clearance), Instant::now())
    }

    #[test]
    fn who_is_named_and_cleared_sees() {
        let jane = grant("1", Verb::Search, "jane", &["hr"], 2);
        let acl = |names: &[&str]| Acl::of(names.iter().map(|&name| name.to_owned()));
        assert!(jane.sees(Clearance(2), &Acl::everyone()));
        assert!(!jane.sees(Clearance(3), &Acl::everyone()));
        assert!(jane.sees(Clearance(0), &acl(&["group:hr"])) && jane.sees(Clearance(0), &acl(&["user:jane"])));
        // A user is no group, whatever its name.
        assert!(!jane.sees(Clearance(0), &acl(&["user:hr", "group:jane", "jane"])));
        assert!(
            !jane.sees(Clearance(0), &acl(&[])),
            "a list that names nobody admits nobody"
        );
        assert!(!jane.sees(Clearance(3), &acl(&["user:jane"])));
    }

    #[test]
    fn a_decision_is_old_after_its_time_however_often_it_is_used() {
        let decided = Instant::now();
        let jane = grant("1", Verb::Ask, "jane", &[], 0);
        let again = Grant::issue(
            jane.room().clone(),
            Verb::Ask,
            jane.principal().clone(),
            Clearance(0),
            decided,
        );
        assert!(!again.has_expired(decided) && again.has_expired(decided + LIFETIME));
    }

    #[test]
    fn fingerprints_differ_with_all_that_decides() {
        let prints = [
            grant("1", Verb::Ask, "jane", &["a", "b"], 1),
            grant("2", Verb::Ask, "jane", &["a", "b"], 1),
            grant("1", Verb::Search, "jane", &["a", "b"], 1),
            grant("1", Verb::Ask, "joe", &["a", "b"], 1),
            grant("1", Verb::Ask, "jane", &["ab"], 1),
            grant("1", Verb::Ask, "janea", &["b"], 1),
            grant("1", Verb::Ask, "jane", &["a", "b"], 2),
        ];
        let distinct: BTreeSet<_> = prints.iter().map(Grant::fingerprint).collect();
        assert_eq!(distinct.len(), prints.len());
    }
}
