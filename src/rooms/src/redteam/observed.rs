//! What came back.

use serde::{Deserialize, Serialize};

use super::canary::Canary;

/// Everything that a principal sees after an attack. What is left out cannot be judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// The status of HTTP.
    pub status: u16,
    /// Texts of what was found.
    pub rows: Vec<String>,
    /// The answer.
    pub answer: String,
    /// Citations, with names and quotes.
    pub citations: Vec<String>,
    /// Names of documents that were told, whatever was told of them.
    pub documents: Vec<String>,
    /// The error, as it was told.
    pub error: String,
    /// Headers of the response.
    pub headers: Vec<(String, String)>,
    /// Numbers of documents, chunks or hits that were told.
    pub counts: Vec<u64>,
    /// Statements whose rows the answer cites.
    pub asked: Vec<Asked>,
    /// Names of databases of which it was told that they did not answer.
    pub unavailable: Vec<String>,
    /// Anything else by name: traces, exports of feedback, logs that the principal may read.
    pub other: Vec<(String, String)>,
}

/// A statement whose rows an answer cites.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The source's name.
    pub source: String,
    /// The statement, as it was told.
    pub statement: String,
    /// The tables that it read, as was told.
    pub tables: Vec<String>,
}

/// Where something was seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Part {
    /// In a row.
    Row,
    /// In the answer.
    Answer,
    /// In a citation.
    Citation,
    /// In an error.
    Error,
    /// A document was named.
    Document,
    /// In the header of that name.
    Header(String),
    /// In a number.
    Count,
    /// In what was given by that name.
    Other(String),
    /// In the difference between two answers that must be the same.
    Difference(String),
    /// In how long it takes.
    Time,
    /// In what a database gave: its `rows`, for somebody who may not have any; a `table` or a `statement` that is not what
    /// the spec describes; or the name of the `source`, for whoever may not ask it.
    Database(String),
}

impl Observed {
    /// All texts with their places.
    pub(super) fn texts(&self) -> impl Iterator<Item = (Part, &str)> {
        let rows = self.rows.iter().map(|text| (Part::Row, text.as_str()));
        let citations = self.citations.iter().map(|text| (Part::Citation, text.as_str()));
        let headers = self
            .headers
            .iter()
            .map(|(name, text)| (Part::Header(name.clone()), text.as_str()));
        let other = self
            .other
            .iter()
            .map(|(name, text)| (Part::Other(name.clone()), text.as_str()));
        let single = [(Part::Answer, self.answer.as_str()), (Part::Error, self.error.as_str())];
        rows.chain(citations).chain(headers).chain(other).chain(single)
    }
}

/// What the principal may see, and what not.
#[derive(Clone, Copy, Debug)]
pub struct Ring<'a> {
    /// Canaries that it may see.
    pub visible: &'a [Canary],
    /// Canaries that it may not see, of this Room and of all others.
    pub foreign: &'a [Canary],
    /// Documents, and chunks, that it may see in this Room: numbers that it is told must not be larger. None where that
    /// is not known.
    pub most: Option<u64>,
}
