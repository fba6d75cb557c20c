//! What is in a Room: documents as chunks, each with its place, its clearance and who may see it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::grant::{Clearance, Principal};

/// Name of a chunk within its generation of its Room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChunkId(pub i64);

/// Who may see a document, besides the clearance that it needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Acl(Option<BTreeSet<String>>);

impl Acl {
    /// Everyone who may enter the Room and has the clearance.
    pub fn everyone() -> Self {
        Self(None)
    }

    /// Only these, as `user:NAME` and `group:NAME`. Without any it is nobody.
    pub fn of(names: impl IntoIterator<Item = String>) -> Self {
        Self(Some(names.into_iter().collect()))
    }

    /// The names, unless it is everyone.
    pub fn names(&self) -> Option<&BTreeSet<String>> {
        self.0.as_ref()
    }

    /// Whether somebody is among them.
    pub fn admits(&self, principal: &Principal) -> bool {
        let Some(names) = &self.0 else {
            return true;
        };
        let is_one = |name: &String| match name.split_once(':') {
            Some(("user", user)) => user == principal.user,
            Some(("group", group)) => principal.groups.contains(group),
            // A name of a kind that we do not know admits nobody.
            _ => false,
        };
        names.iter().any(is_one)
    }
}

/// Where in its document a chunk stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// The page, from 1, where the document has pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// The headings that it stands under, from the outermost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headings: Vec<String>,
    /// Left, top, right and bottom on its page, as shares of the page's width and height from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub area: Option<[f32; 4]>,
    /// From where to where in the document's text, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offsets: Option<[u64; 2]>,
}

/// A part of a document: what is found, cited and given to the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chunk {
    /// Its name.
    pub id: ChunkId,
    /// The document's name, unique in its source.
    pub document: String,
    /// The source's name, as `spec.sources[].name` says.
    pub source: String,
    /// Where it stands.
    pub place: Place,
    /// Its text, as it is cited.
    pub text: String,
    /// Clearance that it needs.
    pub clearance: Clearance,
    /// Who may see it.
    pub acl: Acl,
}
