//! A Room's contents, between the operator and the gateway, which alone knows the database.
//!
//! `GET` [`path`] tells of them, for whom may `ingest` into the Room. `DELETE` takes them away, for whom may `purge` it: the
//! query `uid` says of which Room, since another one may have the name by now. Both answer JSON with status 200. Contents
//! that are gone already, or never were, are gone; with `gone: false` the call is to be repeated.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// RBAC verb on `rooms/<name>` that allows taking away all that is in it.
pub const VERB_PURGE: &str = "purge";

/// Path of a Room's contents at the gateway.
pub fn path(namespace: &str, room: &str) -> String {
    format!("/v1/rooms/{namespace}/{room}/contents")
}

/// What is in a Room: more than its members may know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Contents {
    /// The generation that answers; none where nothing was published.
    pub generation: Option<u64>,
    /// Documents that can be found.
    pub documents: u64,
    /// Their chunks.
    pub chunks: u64,
    /// Documents that were set aside, by reason.
    pub quarantined: BTreeMap<String, u64>,
    /// Contributed documents that no generation has seen yet.
    pub pending_uploads: u64,
}

/// What became of a purge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Purged {
    /// Whether nothing is left.
    pub gone: bool,
    /// Documents that this call took away.
    #[serde(default)]
    pub documents: u64,
    /// Their chunks.
    #[serde(default)]
    pub chunks: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_may_know_more_or_less() {
        let purged: Purged = serde_json::from_str(r#"{"gone": true, "pages": 3}"#).unwrap();
        assert!(purged.gone);
        assert!(
            serde_json::from_str::<Purged>("{}").is_err(),
            "nothing is gone unless it is said"
        );
        let contents: Contents = serde_json::from_str(r#"{"pendingUploads": 2}"#).unwrap();
        assert_eq!((contents.pending_uploads, contents.generation), (2, None));
    }
}
