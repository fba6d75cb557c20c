//! How a Room stands, for its operator. It counts what only some may see, so it needs the verb `ingest`.

use serde::{Deserialize, Serialize};

/// `GET /state`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct State {
    /// `metadata.uid` of the Room that this is about.
    pub uid: String,
    /// The generation that answers; none before the first one was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// Documents that can be found.
    pub documents: u64,
    /// Their chunks.
    pub chunks: u64,
    /// Documents that were set aside, by reason.
    pub quarantined: Vec<Quarantined>,
    /// The sources that it knows of, by name.
    pub sources: Vec<Source>,
    /// The databases that it asks, by name, as they were looked at not long ago.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<Database>,
    /// Seconds since the rights of the source were read that is longest ago; none if there is one whose rights never were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rights_age_seconds: Option<f64>,
    /// Recall at 10, sampled over searches and over the index of the generation that answers; none before it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall_at_10: Option<f64>,
    /// Seconds since the last upload arrived as a whole; none if there is none. Whoever began to read after that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest_upload_seconds: Option<f64>,
    /// All generations, the latest first.
    pub generations: Vec<Generation>,
}

/// Documents that were set aside for a reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Quarantined {
    /// The reason.
    pub reason: String,
    /// How many.
    pub documents: u64,
}

/// A source in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Documents of it that can be found.
    pub documents: u64,
    /// Seconds since its rights were read; none if they never were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rights_age_seconds: Option<f64>,
}

/// A database that is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Database {
    /// The source's name.
    pub name: String,
    /// Why it cannot be asked, with the field of the spec that has to change; none if it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A generation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Generation {
    /// Its number.
    pub number: i64,
    /// `building`, `live`, `retired` (kept to roll back to), `failed` or `expired`.
    pub state: String,
    /// Name of the embedding LlmModel.
    pub model: String,
    /// Its digest.
    pub model_digest: String,
    /// How many components vectors have.
    pub dimension: u32,
    /// Documents that are not set aside, as they were verified.
    pub documents: u64,
    /// Chunks, as they were verified.
    pub chunks: u64,
    /// Seconds since its writer did something.
    pub idle_seconds: f64,
}

/// `POST /generations/{n}/live`: rolls back to a generation that is kept. It has no body, and answers with this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RolledBack {
    /// The one that answers now.
    pub live: i64,
}

/// What went with a Room: the answer to its `DELETE`, which may be repeated until all of it is zero. It needs the verb
/// `ingest`, and a Room that is being deleted: 409 `room_not_deleted` otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Purged {
    /// Documents, also those that had been removed.
    pub documents: u64,
    /// Chunks of all generations.
    pub chunks: u64,
    /// Pictures of pages.
    pub pages: u64,
    /// Uploads.
    pub uploads: u64,
    /// What was kept of answers.
    pub answers: u64,
    /// What was said about them.
    pub feedback: u64,
}
