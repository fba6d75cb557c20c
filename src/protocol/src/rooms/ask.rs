//! `POST /ask`.
//!
//! Without `stream` the answer is an [`Answer`]. With it, it is a stream of server-sent events: each has an [`Event`] for
//! data, and the last one is `[DONE]`. Sentences come once they were checked; citations come at the end, with
//! [`Event::Done`].

use serde::{Deserialize, Serialize};

use super::place::Place;

/// A question.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Ask {
    /// The question; 8,192 characters at most.
    pub question: String,
    /// Whether the answer comes as it is made.
    pub stream: bool,
    /// What the same caller asked before and was answered, the oldest first; 16 at most.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Turn>,
    /// Most tokens of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
}

/// A question of before, and its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Turn {
    /// The question.
    pub question: String,
    /// The answer.
    pub answer: String,
}

/// How a question ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was answered, each statement as the Room wants it supported. What the model said after them may be withheld.
    #[default]
    Answered,
    /// Too little was found to answer from, or the model said so.
    Unknown,
    /// The model said nothing that the documents support.
    Refused,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Answer {
    /// `room.answer`.
    pub object: String,
    /// Its id, for feedback and history: the same as the request's `x-request-id`.
    pub id: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The text: Markdown without links, images and HTML. `[1]` cites the citation of that number.
    pub answer: String,
    /// What it cites.
    pub citations: Vec<Citation>,
    /// Whether the model went on with what the documents do not support, which nobody is shown.
    #[serde(skip_serializing_if = "is_false")]
    pub withheld: bool,
    /// Whether nothing that the model said was supported, and the answer is a sentence of a document, word for word.
    #[serde(skip_serializing_if = "is_false")]
    pub quoted: bool,
    /// Why it was refused, or what is withheld or marked, by code: `Uncited`, `Dangling`, `Number`, `Overlap`…
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unsupported: Vec<String>,
    /// Clearance that whoever sees the answer needs: the highest of all that the model was given.
    pub clearance: u8,
    /// Databases of the Room that were to be asked and did not answer; the answer was made without them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unavailable: Vec<Unavailable>,
    /// The version of the model, where it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_false(it: &bool) -> bool {
    !it
}

/// A database that was to be asked and did not answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Unavailable {
    /// The source's name.
    pub source: String,
    /// Why: `statement_refused` (what the model wrote may not be run), `database_failed` (the database refused it, or it took
    /// too long) or `database_unavailable` (the database cannot be reached).
    pub code: String,
}

/// What a citation points at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CitationKind {
    /// A part of a document.
    #[default]
    Document,
    /// Rows that a database answered to a statement.
    Sql,
}

/// A part of a document, or rows of a database, that an answer cites.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Citation {
    /// Its number in the answer.
    pub number: u32,
    /// What it points at. Rows have neither a chunk nor a document.
    pub kind: CitationKind,
    /// The chunk's number.
    pub chunk: i64,
    /// The document's name in paths: see [`super::document_id`].
    pub document: String,
    /// The source's name.
    pub source: String,
    /// The document's name in its source; of rows, their tables.
    pub name: String,
    /// The statement that gave the rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
    /// The tables that it read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// What the document is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Where the document came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Where in the document it stands.
    pub place: Place,
    /// What of it supports the answer best; of rows, the line that names the columns and those that do. To be shown as
    /// text, never as Markdown or HTML.
    pub quote: String,
}

/// What comes in a stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// More of the answer.
    Delta {
        /// The text.
        text: String,
    },
    /// The answer, as a whole, with its citations. It is the last but `[DONE]`.
    Done {
        /// The answer.
        answer: Box<Answer>,
    },
    /// It broke off. It is the last but `[DONE]`.
    Error {
        /// As in an answer that is an error: message, type, param and code.
        error: serde_json::Value,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_say_what_they_are() {
        let delta = Event::Delta { text: "So".into() };
        assert_eq!(
            serde_json::to_string(&delta).unwrap(),
            r#"{"type":"delta","text":"So"}"#
        );
        let done = r#"{"type":"done","answer":{"outcome":"unknown","later":1}}"#;
        let Event::Done { answer } = serde_json::from_str(done).unwrap() else {
            panic!("it is done");
        };
        assert_eq!(answer.outcome, Outcome::Unknown);
    }
}
