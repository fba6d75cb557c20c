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
    /// Its databases that the caller has the clearance for, or whoever they play.
    pub databases: Vec<Database>,
    /// Whether it can be asked: whether it has a model.
    pub answers: bool,
}

/// A source that is a database, as the spec describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// Clearance that its rows need.
    pub clearance: u8,
    /// Its tables that may be asked.
    pub tables: Vec<Table>,
}

/// A table that may be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// The names of its columns that may be asked.
    pub columns: Vec<String>,
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

/// `GET /redteam/detectors`: how well the Room's detectors tell sentences that its documents support from others. Nothing of
/// the sentences is in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Detectors {
    /// `room.detectors`.
    pub object: String,
    /// Number of the generation whose documents the sentences are made of.
    pub generation: i64,
    /// Those of `spec.answer.detectors` that can be measured: Confidence cannot.
    pub detectors: Vec<Detector>,
}

/// How often a detector is right.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Detector {
    /// Its name, as in the spec.
    pub name: String,
    /// Sentences that it looked at.
    pub samples: u64,
    /// Of those that are not supported, how many it found.
    pub found: u64,
    /// And how many it let through.
    pub missed: u64,
    /// Of those that are supported, how many it took for others.
    pub falsely: u64,
    /// And how many it let through.
    pub passed: u64,
    /// Share of what it found that is not supported, from 0 to 1. None where it found nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<f64>,
    /// Share of what is not supported that it found, from 0 to 1. None where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall: Option<f64>,
}
