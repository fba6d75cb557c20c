//! How a generation is filled. See [the module above](super) for the order of things.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::place::Place;

/// What a generation is made with. Chunks are taken over from one that was made with the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Recipe {
    /// Name of the embedding LlmModel.
    pub model: String,
    /// Its digest, or the name of its version: whatever changes with the vectors.
    pub digest: String,
    /// How many components its vectors have, from 1 to 8192.
    pub dimension: u32,
    /// Everything else that decides what chunks are made of a document: cleaning, sizes, what is put before a text.
    pub settings: String,
}

/// `POST /generations`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Begin {
    /// What it is made with.
    pub recipe: Recipe,
    /// Whether to begin anew even where there is a generation to go on with.
    #[serde(default)]
    pub anew: bool,
}

/// A generation that is being filled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Begun {
    /// Its number.
    pub generation: i64,
    /// For [`super::TOKEN_HEADER`]. It means nothing to anybody else.
    pub token: String,
    /// Whether an earlier writer has begun it: what it has already, [`Carry`] says.
    pub resumed: bool,
    /// Now, by the clock of the database, in microseconds since 1970.
    pub now: i64,
}

/// `GET /generations/{n}/known`: documents of a source in the order of their names, [`super::MAX_BATCH`] at most.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Known {
    /// Now, by the clock of the database, in microseconds since 1970. Taken before a source is read, it is the time that
    /// what it says of rights is at least as new as.
    pub now: i64,
    /// The documents.
    pub documents: Vec<KnownDocument>,
    /// What to ask for next as `after`; none after the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What a Room knows of a document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct KnownDocument {
    /// Its name, unique in its source.
    pub name: String,
    /// SHA-256 of its bytes in the generation that answers, in hex, if it is in that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Clearance that it needs, from 0 to 100.
    pub clearance: u8,
    /// Who may see it, as `user:NAME` and `group:NAME`; everyone in the Room if it is missing, nobody if it is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acl: Option<Vec<String>>,
    /// Why it is set aside, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantined: Option<String>,
    /// SHA-256 of the bytes that a curator has released, in hex: do not set those aside again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub released: Option<String>,
    /// Whether a curator has removed it: pass it over.
    pub barred: bool,
    /// Whether it is gone, by whomever. It may come back.
    pub deleted: bool,
}

/// `POST /generations/{n}/carry`: documents of a source that may be as they were, [`super::MAX_BATCH`] at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Carry {
    /// The source.
    pub source: String,
    /// SHA-256 of documents' bytes, in hex, by the documents' names.
    pub documents: BTreeMap<String, String>,
}

/// Those that the generation has now as a whole, also from before. Only the others have to be placed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Carried {
    /// Names.
    pub documents: Vec<String>,
}

/// `POST /generations/{n}/documents`: documents to come, [`super::MAX_BATCH`] at most. One that is placed again begins
/// anew.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlaceDocuments {
    /// The source.
    pub source: String,
    /// When its rights were read: [`Known::now`] or [`Begun::now`] from before.
    pub read: i64,
    /// The documents.
    pub documents: Vec<NewDocument>,
}

/// A document that is placed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct NewDocument {
    /// Its name, unique in its source; 2,048 bytes at most.
    pub name: String,
    /// SHA-256 of its bytes, in hex.
    pub digest: String,
    /// Clearance that it needs, from 0 to 100. The gateway raises it to its source's.
    pub clearance: u8,
    /// Who may see it: see [`KnownDocument::acl`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acl: Option<Vec<String>>,
    /// What it is called; 1,024 bytes at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Where it came from, a URL or a path, for citations; 4,096 bytes at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its pages, where it has pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<u32>,
    /// How many chunks it is going to have, up to [`super::MAX_CHUNKS`].
    pub chunks: u32,
    /// Why it is set aside, in CamelCase. It has no chunks then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantined: Option<String>,
}

/// What became of [`PlaceDocuments`], in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlacedDocuments {
    /// One for each.
    pub documents: Vec<Placed>,
}

/// What became of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Placed {
    /// It is in the generation: add its chunks.
    Here {
        /// Its number, for chunks and pages.
        id: i64,
    },
    /// A curator has removed it: pass it over.
    Barred,
    /// It was set aside in all generations: pass it over until a curator releases it.
    Quarantined,
}

/// `POST /generations/{n}/chunks`: chunks of documents that were placed, [`super::MAX_BATCH`] and [`super::MAX_BODY`]
/// bytes at most. All of them are added or none; what is added again replaces what was there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AddChunks {
    /// The chunks.
    pub chunks: Vec<NewChunk>,
}

/// A chunk of a document that was placed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct NewChunk {
    /// The document's number.
    pub document: i64,
    /// Its number among the document's chunks, from 0.
    pub ordinal: u32,
    /// Its text, as it is cited; 1 MiB at most.
    pub text: String,
    /// Its vector, as [`super::vector`] has them, of any length other than 0.
    pub vector: String,
    /// Where it stands.
    pub place: Place,
    /// Its tokens, by the embedding model.
    pub tokens: u32,
}

/// How many chunks were added: those of a document that was removed meanwhile are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Added {
    /// That many.
    pub chunks: u64,
}

/// `POST /generations/{n}/verify`: what the generation has. Whoever filled it knows whether that is all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Verified {
    /// Documents that are not set aside.
    pub documents: u64,
    /// Documents that are.
    pub quarantined: u64,
    /// Chunks.
    pub chunks: u64,
    /// Recall at 10 of its index over a sample of its own vectors, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recall_at_10: Option<f64>,
}

/// `POST /generations/{n}/publish`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Publish {
    /// How many of the generations from before are kept to roll back to.
    #[serde(default)]
    pub keep: u32,
    /// Sources that were read as a whole, with the time at which it began ([`Known::now`]): from then on their rights are
    /// known.
    #[serde(default)]
    pub read: BTreeMap<String, i64>,
}

/// What became of generations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Published {
    /// The one that answers now.
    pub live: i64,
    /// Those that are not kept any more.
    pub expired: Vec<i64>,
}

/// `POST /rights`: who may see documents of a source, [`super::MAX_BATCH`] at most. It holds at once, in all generations;
/// documents that are not known, and rights older than those that are, are passed over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SetRights {
    /// The source.
    pub source: String,
    /// When they were read: [`Known::now`] from before.
    pub read: i64,
    /// The rights.
    pub documents: Vec<Rights>,
    /// Whether these were the last, so that all rights of the source have been read by now.
    #[serde(default)]
    pub complete: bool,
}

/// Who may see a document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Rights {
    /// Its name.
    pub name: String,
    /// Clearance that it needs, from 0 to 100. The gateway raises it to its source's.
    pub clearance: u8,
    /// Who may see it: see [`KnownDocument::acl`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acl: Option<Vec<String>>,
}

/// `POST /removed`: documents that a source has no more, [`super::MAX_BATCH`] at most. They are gone at once, from all
/// generations, and may come back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Removed {
    /// The source.
    pub source: String,
    /// Names.
    pub documents: Vec<String>,
}

/// How many documents were changed or removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Changed {
    /// That many.
    pub documents: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_newer_one_adds_is_passed_over() {
        let placed: PlacedDocuments =
            serde_json::from_str(r#"{"documents":[{"state":"here","id":7,"more":1},{"state":"barred"}],"new":{}}"#)
                .unwrap();
        assert_eq!(placed.documents, [Placed::Here { id: 7 }, Placed::Barred]);
        let document: NewDocument = serde_json::from_str(r#"{"name":"a","digest":"00","acl":[],"new":true}"#).unwrap();
        assert_eq!(document.acl, Some(Vec::new()), "nobody is not everyone");
        assert_eq!(serde_json::from_str::<NewDocument>("{}").unwrap().acl, None);
    }
}
