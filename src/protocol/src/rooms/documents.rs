//! Documents, as people see and change them.
//!
//! `GET /documents?after=&limit=` gives [`Documents`] (with `quarantined=true`, for curators, those that are set aside);
//! `GET /documents/{id}` one [`Document`]; `GET /documents/{id}/pages/{n}` the picture of a page, if there is one.
//! `POST /documents?source=&file=` uploads the body ([`Uploaded`]); `DELETE /documents/{id}` removes one for good, and
//! `POST /documents/{id}/release` lets one in that was set aside or removed ([`Done`]). `{id}` is
//! [`super::document_id`].

use serde::{Deserialize, Serialize};

/// Documents by source and name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Documents {
    /// `list`.
    pub object: String,
    /// The documents.
    pub documents: Vec<Document>,
    /// How many the caller sees on all pages together; with the first page only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// What to ask for next as `after`; none after the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Document {
    /// Its name in paths.
    pub id: String,
    /// Its source.
    pub source: String,
    /// Its name, unique in its source.
    pub name: String,
    /// What it is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Where it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Clearance that it needs.
    pub clearance: u8,
    /// Its size in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Its pages, where it has pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<u32>,
    /// Its chunks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunks: Option<u32>,
    /// Why it is set aside, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantined: Option<String>,
    /// What to do about that, where the reason is a known one: a text for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// Whether it can be released: of some documents there is no text to be had.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub releasable: bool,
    /// Whether a curator has released it, and it comes with the next generation.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub released: bool,
    /// How many pictures of its pages there are, where it is set aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pictures: Option<u32>,
}

/// What was uploaded. It can be found once the next generation is published.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Uploaded {
    /// `room.upload`.
    pub object: String,
    /// Its document's name in paths.
    pub id: String,
    /// Its source.
    pub source: String,
    /// The name of its document.
    pub name: String,
    /// What its file is called.
    pub file: String,
    /// Clearance that it needs.
    pub clearance: u8,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hex.
    pub digest: String,
}

/// `GET /documents?mine=true`: what the caller has uploaded, the latest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Mine {
    /// `list`.
    pub object: String,
    /// The uploads.
    pub uploads: Vec<Uploaded>,
}

/// What was done to a document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Done {
    /// `room.document`.
    pub object: String,
    /// Its name in paths.
    pub id: String,
    /// Whether it was removed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// Whether it was released.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub released: bool,
}
