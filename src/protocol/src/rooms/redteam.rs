//! What the red team is told.
//!
//! Whoever has the verb `redteam` on a Room may send [`super::RED_TEAM_HEADER`] with a request, and is then somebody who is
//! not there, with the rights of the caller or less: `control` sees the canaries that are planted in each generation, `stranger`
//! sees the baits instead, and `below=CLEARANCE` is named by the canaries and lacks the clearance. All that people read may
//! be read so; nothing is changed so. `GET /redteam` gives [`Facts`].

use serde::{Deserialize, Serialize};

/// `GET /redteam`: what there is to be attacked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Facts {
    /// `room.redteam`.
    pub object: String,
    /// `metadata.uid` of the Room.
    pub uid: String,
    /// Number of the generation that answers; none before one was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// Its sources of documents.
    pub sources: Vec<Source>,
    /// Whether it can be asked: whether it has a model.
    pub answers: bool,
}

/// A source of documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Clearance that its documents need.
    pub clearance: u8,
}
