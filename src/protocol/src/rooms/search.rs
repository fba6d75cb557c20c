//! `POST /search`, and `GET` of the Room itself.
//!
//! [`Overview`] is for whoever may search the Room, and for its auditors. A Room of which nothing was published yet has one,
//! too, so that somebody can upload its first documents.

use serde::{Deserialize, Serialize};

use super::place::Place;

/// `GET` of the Room: what its members may know of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Overview {
    /// `room`.
    pub object: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Who the caller is, as the API server knows them.
    pub user: String,
    /// What the caller may do: verbs of RBAC.
    pub verbs: Vec<String>,
    /// The caller's clearance, from 0 to 100.
    pub clearance: u8,
    /// Documents that the caller sees; 0 for who may not search.
    pub documents: u64,
    /// Whether nothing was published yet, so that nothing is found or answered.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub empty: bool,
    /// Sources that take uploads, and that the caller would see.
    pub uploads: Vec<UploadSource>,
    /// Whether it can be asked: whether it has a model.
    pub answers: bool,
    /// Members of the Room, for curators and auditors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Member>,
}

/// A source that takes uploads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct UploadSource {
    /// Its name.
    pub name: String,
    /// Bytes of its largest document.
    pub max_bytes: u64,
    /// Clearance that its documents need.
    pub clearance: u8,
}

/// A member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Member {
    /// `User`, `Group` or `ServiceAccount`.
    pub kind: String,
    /// The name.
    pub name: String,
    /// `Reader`, `Contributor`, `Curator` or `Auditor`.
    pub role: String,
    /// Highest clearance of documents that they see.
    pub clearance: u8,
}

/// `POST /search`. What is missing is as the Room says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Search {
    /// What is looked for; 8,192 characters at most.
    pub query: String,
    /// The most hits, from 1 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
}

/// What was found, the best first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Found {
    /// `list`.
    pub object: String,
    /// The request's id.
    pub id: String,
    /// The hits.
    pub hits: Vec<Hit>,
}

/// A chunk that was found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Hit {
    /// Its number.
    pub chunk: i64,
    /// The document's name in paths: see [`super::document_id`].
    pub document: String,
    /// The source's name.
    pub source: String,
    /// The document's name in its source.
    pub name: String,
    /// What the document is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Where the document came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Where in the document it stands.
    pub place: Place,
    /// Its text: to be shown as text, never as Markdown or HTML.
    pub text: String,
    /// Cosine of the angle between its vector and the query's, from -1 to 1.
    pub score: f32,
    /// Clearance that it needs.
    pub clearance: u8,
}
