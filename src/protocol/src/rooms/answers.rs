//! What is kept of answers.
//!
//! `POST /feedback` takes what `/v1/feedback` takes, about an answer of this Room. `GET /history?after=&limit=` gives the
//! caller's own [`History`], and `GET /audit?after=&limit=` [`Audit`], for those with the verb `audit`. Texts are shown to
//! those alone who have the clearance of the answer *now*; without it, nothing of the entry is.

use serde::{Deserialize, Serialize};

/// The caller's own questions, the latest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct History {
    /// `list`.
    pub object: String,
    /// The entries.
    pub entries: Vec<Entry>,
    /// What to ask for next as `after`; none after the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A question and its answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Entry {
    /// Id of the answer.
    pub id: String,
    /// When it was asked, as RFC 3339.
    pub at: String,
    /// The question; none once it is not kept any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// The answer; none once it is not kept any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Clearance of the answer.
    pub clearance: u8,
}

/// Who asked what, in the order in which it was written down.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Audit {
    /// `list`.
    pub object: String,
    /// The entries. Those above the auditor's clearance are left out.
    pub entries: Vec<Audited>,
    /// What to ask for next as `after`; none after the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A question in the audit trail.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Audited {
    /// The chain of the audit trail that it is written in.
    pub chain: String,
    /// Its place in the chain.
    pub seq: i64,
    /// Id of the answer.
    pub id: String,
    /// When, as RFC 3339.
    pub at: String,
    /// Who asked.
    pub user: String,
    /// Clearance of the answer.
    pub clearance: u8,
    /// The generation that it was made of.
    pub generation: i64,
    /// The chunks that the model was given.
    pub chunks: Vec<i64>,
    /// What was asked of databases; nothing where texts are not kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub statements: Vec<String>,
    /// The question; none where texts are not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// The answer; none where texts are not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// What was said about it, the last word of each kind.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub feedback: Vec<Feedback>,
}

/// What was said about an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Feedback {
    /// Who says it.
    pub user: String,
    /// `thumbs`, `rating`, `error_report` or `correction`.
    pub kind: String,
    /// What it says.
    pub value: String,
    /// In their words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}
