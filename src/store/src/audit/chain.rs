//! Rows, and how they are linked.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::OwnedSemaphorePermit;

use super::content::{Commitment, Content, Sealed, WithContent};

/// A SHA-256 sum.
pub type Hash = [u8; 32];

/// Goes before what is hashed, so that no hash of ours means anything elsewhere.
const DOMAIN: &[u8] = b"atelier.dev/audit/v1";

/// What a row tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Something is about to be asked of a model.
    Opened,
    /// That has ended.
    Closed,
    /// It was refused before anything was asked.
    Refused,
    /// What a user asked and got at the models of a namespace was made unreadable.
    Erased,
    /// Somebody has read what was asked and answered.
    Shown,
    /// Contents or rows have expired.
    Pruned,
}

impl Kind {
    /// As it is stored.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Closed => "closed",
            Self::Refused => "refused",
            Self::Erased => "erased",
            Self::Shown => "shown",
            Self::Pruned => "pruned",
        }
    }
}

/// A row that has no place yet.
#[derive(Debug)]
pub struct Draft {
    pub(super) kind: Kind,
    pub(super) request: String,
    pub(super) subject: String,
    pub(super) event: String,
    pub(super) content: Option<Box<Sealed>>,
    /// The memory that the content takes.
    pub(super) memory: Option<OwnedSemaphorePermit>,
}

impl Draft {
    /// A row about a request of `subject`. `event` must serialize as JSON.
    pub fn new(kind: Kind, request: &str, subject: &str, event: &impl Serialize) -> Self {
        let event = serde_json::to_string(event).expect("events have string keys and no failing parts");
        Self {
            kind,
            request: clean(request),
            subject: clean(subject),
            event: match event.contains("\\u0000") {
                false => event,
                true => clean_json(&event),
            },
            content: None,
            memory: None,
        }
    }

    /// A row with `content`, if there is any, which is encrypted. Its event names the hash of that.
    pub fn with(kind: Kind, request: &str, subject: &str, event: &impl Serialize, content: Option<Content>) -> Self {
        let Some(content) = content.filter(|content| !content.is_empty()) else {
            return Self::new(kind, request, subject, event);
        };
        let cut = content.is_cut();
        let (sealed, memory) = content.seal(kind.name(), &clean(request), &clean(subject));
        let content = Commitment::to(&sealed, cut);
        Self {
            content: Some(Box::new(sealed)),
            memory,
            ..Self::new(kind, request, subject, &WithContent { event, content })
        }
    }
}

/// PostgreSQL stores every character but NUL. A row that it does not take would block its chain for ever.
fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn clean_json(text: &str) -> String {
    fn walk(value: &mut Value) {
        match value {
            Value::String(text) => *text = clean(text),
            Value::Array(list) => list.iter_mut().for_each(walk),
            Value::Object(map) => {
                let cleaned = std::mem::take(map).into_iter().map(|(name, mut value)| {
                    walk(&mut value);
                    (clean(&name), value)
                });
                *map = cleaned.collect();
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut value = serde_json::from_str(text).expect("it was serialized a moment ago");
    walk(&mut value);
    value.to_string()
}

/// A row in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The chain.
    pub chain: String,
    /// The place in it, from 1.
    pub seq: i64,
    /// Over this row and the hash of the one before.
    #[serde(with = "hex")]
    pub hash: Hash,
    /// When it was written, in microseconds since 1970.
    pub at: i64,
    /// The name of a [`Kind`].
    pub kind: String,
    /// The request's id.
    pub request: String,
    /// Whose it is.
    pub subject: String,
    /// All else, as JSON.
    pub event: String,
    /// What was said, on its way to the database. Its hash is in the event, and it is not hashed itself: it will go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Box<Sealed>>,
}

impl Row {
    /// The hash that this row must have after one with the hash `previous`.
    pub fn hash_after(&self, previous: &Hash) -> Hash {
        let mut hash = Sha256::new_with_prefix(DOMAIN);
        hash.update(previous);
        hash.update(self.seq.to_be_bytes());
        hash.update(self.at.to_be_bytes());
        for text in [&self.kind, &self.request, &self.subject, &self.event] {
            // With its length before it, so that no two rows share an encoding.
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        hash.finalize().into()
    }
}

/// What the first row of a chain follows.
pub fn genesis(chain: &str) -> Hash {
    Sha256::new_with_prefix(DOMAIN).chain_update(chain).finalize().into()
}

/// The end of a chain that grows.
#[derive(Clone, Debug)]
pub struct Chain {
    name: String,
    last: i64,
    hash: Hash,
}

impl Chain {
    /// A chain without rows.
    pub fn new() -> Self {
        let name = format!("{:032x}", rand::random::<u128>());
        Self {
            hash: genesis(&name),
            name,
            last: 0,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The row that `draft` is when it comes next.
    pub fn next(&self, draft: Draft) -> Row {
        let Draft {
            kind,
            request,
            subject,
            event,
            content,
            memory: _,
        } = draft;
        let mut row = Row {
            chain: self.name.clone(),
            seq: self.last + 1,
            hash: [0; 32],
            at: now(),
            kind: kind.name().into(),
            request,
            subject,
            event,
            content,
        };
        row.hash = row.hash_after(&self.hash);
        row
    }

    /// `row`, which [`Self::next`] made, is the last now.
    pub fn advance(&mut self, row: &Row) {
        self.last = row.seq;
        self.hash = row.hash;
    }
}

/// Microseconds since 1970, as exact as the database keeps them.
pub fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Chain::new().next(Draft::new(Kind::Opened, "r", "jane", &serde_json::json!({"a": 1})))
    }

    #[test]
    fn every_part_of_a_row_counts() {
        let row = row();
        let before = [7; 32];
        let hash = row.hash_after(&before);
        assert_ne!(hash, row.hash_after(&[8; 32]));
        let changes: [fn(&mut Row); 7] = [
            |row| row.seq += 1,
            |row| row.at += 1,
            |row| row.kind.push('x'),
            |row| row.request.push('x'),
            |row| row.subject.push('x'),
            |row| row.event.push(' '),
            // A boundary that moves.
            |row| {
                row.request.push_str(&row.subject);
                row.subject.clear();
            },
        ];
        for change in changes {
            let mut other = row.clone();
            change(&mut other);
            assert_ne!(other.hash_after(&before), hash, "{other:?}");
        }
    }

    #[test]
    fn what_the_database_would_not_take_is_replaced() {
        let event = serde_json::json!({"a\0": ["b\0", {"c": "\\u0000"}]});
        let draft = Draft::new(Kind::Refused, "r\0", "jane\0", &event);
        assert_eq!((&*draft.request, &*draft.subject), ("r\u{fffd}", "jane\u{fffd}"));
        let event: Value = serde_json::from_str(&draft.event).unwrap();
        assert_eq!(event, serde_json::json!({"a\u{fffd}": ["b\u{fffd}", {"c": "\\u0000"}]}));
    }

    #[test]
    fn a_row_survives_its_spool() {
        let row = row();
        let text = serde_json::to_string(&row).unwrap();
        assert_eq!(serde_json::from_str::<Row>(&text).unwrap(), row);
    }
}
