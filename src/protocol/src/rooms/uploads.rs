//! What people have uploaded, for whoever fills the Room.
//!
//! `GET /uploads?source=&after=` gives [`Uploads`], and `GET /uploads/{id}` the bytes of one, with the media type that
//! its author gave it. In a generation each is a document of its source by [`Upload::name`], with the clearance and the
//! list of names that stand here.

use serde::{Deserialize, Serialize};

/// Uploads to a source in the order of their names, [`super::MAX_BATCH`] at most.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Uploads {
    /// The uploads.
    pub uploads: Vec<Upload>,
    /// What to ask for next as `after`; none after the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// An upload that has arrived.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Upload {
    /// Its number.
    pub id: i64,
    /// The name of its document. It changes with its author and its file's name.
    pub name: String,
    /// What its file is called.
    pub file: String,
    /// What its bytes are said to be.
    pub media_type: String,
    /// Clearance that it needs, from 0 to 100.
    pub clearance: u8,
    /// Who may see it: see [`super::ingest::KnownDocument::acl`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acl: Option<Vec<String>>,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hex.
    pub digest: String,
}
