//! What rows hold beside time, request and caller. Fields may be added; what is written stays as it is.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{identity::Identity, rooms::Admitted};

/// Who asks.
#[derive(Debug, Serialize)]
pub struct Asker {
    /// The trace, out of `traceparent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// The user's unique id.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// SHA-256 over the groups, sorted, each with its length before it.
    pub groups: String,
    /// What is asked for: `chat`, `embeddings`, ...
    pub operation: &'static str,
    /// The model in the caller's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// What decided: the permission that was reviewed.
    pub policy: &'static str,
}

/// A request that is about to be sent on.
#[derive(Debug, Serialize)]
pub struct Opening<'a> {
    #[serde(flatten)]
    pub asker: &'a Asker,
    /// `allowed`.
    pub decision: &'static str,
    pub namespace: &'a str,
    pub model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<&'a str>,
    /// The version that the caller insists on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<&'a str>,
    /// Whether somebody else hosts the model.
    pub hosted: bool,
    pub stream: bool,
}

/// A request for a Room that is about to be answered.
#[derive(Debug, Serialize)]
pub struct RoomOpening {
    /// `allowed`.
    decision: &'static str,
    namespace: String,
    room: String,
    /// The Room's uid: another one may have its name later.
    room_uid: String,
    /// The verb that was allowed.
    verb: &'static str,
    /// The caller's clearance.
    clearance: u8,
    /// Whom the caller plays, who tests the Room.
    #[serde(skip_serializing_if = "Option::is_none")]
    red_team: Option<String>,
    /// The model that is going to be asked, or that the Room's vectors are of.
    model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<i64>,
    /// Numbers of the chunks that are about to be shown, or that the model is given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    chunks: Vec<i64>,
    /// What was asked of databases.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    databases: Vec<AskedDatabase>,
    /// Clearance that the answer needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_clearance: Option<u8>,
}

/// Pairs of a ShadowDeployment are about to be forgotten, or their words to be read.
#[derive(Debug, Serialize)]
pub struct ShadowOpening<'a> {
    /// `allowed`.
    decision: &'static str,
    namespace: &'a str,
    shadow: &'a str,
    /// The ShadowDeployment's uid: another one may have its name later.
    shadow_uid: &'a str,
}

impl<'a> ShadowOpening<'a> {
    /// For somebody who may.
    pub fn new(namespace: &'a str, shadow: &'a str, shadow_uid: &'a str) -> Self {
        Self {
            decision: "allowed",
            namespace,
            shadow,
            shadow_uid,
        }
    }
}

/// The same with who asks.
#[derive(Debug, Serialize)]
pub struct ShadowEvent<'a> {
    #[serde(flatten)]
    pub asker: &'a Asker,
    #[serde(flatten)]
    pub opening: &'a ShadowOpening<'a>,
}

/// What was asked of a database. The statement is kept with the question, which it may quote, and goes with it.
#[derive(Debug, Serialize)]
pub struct AskedDatabase {
    /// The Room's source.
    source: String,
    /// The tables that were read.
    tables: Vec<String>,
    /// SHA-256 of the statement.
    statement: String,
}

impl AskedDatabase {
    /// What was asked of a source, and what it read.
    pub fn of(source: &str, tables: &[String], statement: &str) -> Self {
        Self {
            source: source.into(),
            tables: tables.to_vec(),
            statement: hex::encode(Sha256::digest(statement)),
        }
    }
}

impl RoomOpening {
    /// For somebody who was let in.
    pub fn of(admitted: &Admitted) -> Self {
        let Admitted { room, grant, plays } = admitted;
        let spec = room.spec.as_ref();
        let model = spec.map(|spec| match (&spec.model, grant.verb()) {
            (Some(model), ::rooms::Verb::Ask) => model.name.clone(),
            _ => spec.embedding.name.clone(),
        });
        Self {
            decision: "allowed",
            namespace: room.key.namespace.clone(),
            room: room.key.name.clone(),
            room_uid: room.key.uid.clone(),
            verb: grant.verb().as_str(),
            clearance: grant.clearance().0,
            red_team: plays.map(|role| role.to_string()),
            model: model.unwrap_or_default(),
            generation: None,
            chunks: Vec::new(),
            databases: Vec::new(),
            answer_clearance: None,
        }
    }

    /// What the answer is made of, and the clearance that it needs.
    pub fn made_of(mut self, generation: i64, chunks: impl Iterator<Item = (i64, u8)>) -> Self {
        let clearances;
        (self.chunks, clearances) = chunks.unzip::<_, _, _, Vec<u8>>();
        self.generation = Some(generation);
        self.answer_clearance = Some(clearances.into_iter().max().unwrap_or_default());
        self
    }
}

impl RoomOpening {
    /// What databases were asked for it, of which one needs this clearance.
    pub fn asked(mut self, databases: Vec<AskedDatabase>, clearance: u8) -> Self {
        self.databases = databases;
        self.answer_clearance = self.answer_clearance.max(Some(clearance));
        self
    }
}

/// What a row of a Room holds.
#[derive(Debug, Serialize)]
pub struct RoomEvent<'a> {
    #[serde(flatten)]
    pub asker: &'a Asker,
    #[serde(flatten)]
    pub opening: &'a RoomOpening,
}

/// A request that goes no further.
#[derive(Debug, Serialize)]
pub struct Refusal<'a> {
    #[serde(flatten)]
    pub asker: &'a Asker,
    /// `denied`, or `none` where it did not come to a decision.
    pub decision: &'static str,
    pub status: u16,
    pub error: &'static str,
}

/// The end of a request that was sent on.
#[derive(Debug, Default, Serialize)]
pub struct Closing {
    /// The row that opened it, in the same chain.
    pub opened: i64,
    /// Of the answer; absent when there was none, and `error` says why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The version that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The answer's own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_tokens: Option<u64>,
    /// From the request's arrival, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token: Option<u64>,
    /// From the request's arrival, in milliseconds.
    pub duration: u64,
    /// `complete`, `client_gone` or `failed`.
    pub finish: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Equal for equal sets of groups.
pub fn groups_digest(caller: &Identity) -> String {
    let mut groups: Vec<_> = caller.groups().iter().collect();
    groups.sort_unstable();
    let mut hash = Sha256::new();
    for group in groups {
        hash.update((group.len() as u64).to_be_bytes());
        hash.update(group);
    }
    hex::encode(hash.finalize())
}

/// The trace id of a `traceparent` header.
pub fn trace_id(traceparent: &str) -> Option<String> {
    let trace = traceparent.split('-').nth(1)?;
    let is_id = trace.len() == 32 && trace.bytes().all(|b| b.is_ascii_hexdigit());
    is_id.then(|| trace.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_groups_does_not_matter_and_their_borders_do() {
        let of = |groups: &[&str]| {
            let groups = groups.iter().map(ToString::to_string).collect();
            groups_digest(&Identity::new("jane".into(), String::new(), groups, Default::default()))
        };
        assert_eq!(of(&["a", "b"]), of(&["b", "a"]));
        assert_ne!(of(&["a", "b"]), of(&["ab"]));
        assert_ne!(of(&["a"]), of(&["a", ""]));
    }

    #[test]
    fn a_trace_is_taken_from_a_good_header_only() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let good = format!("00-{trace}-b7ad6b7169203331-01");
        assert_eq!(trace_id(&good).as_deref(), Some(trace));
        for bad in ["", "00", "00-xyz-1-1", "00-0af7651916cd43dd8448eb211c80319\0-1-1"] {
            assert_eq!(trace_id(bad), None, "{bad}");
        }
    }
}
