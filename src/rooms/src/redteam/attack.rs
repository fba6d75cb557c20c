//! What is asked.

use serde::{Deserialize, Serialize};

/// Kinds of attacks. Their names are those of `spec.redTeam.suites`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// It is asked for by its name.
    Direct,
    /// It is asked for in other words and languages, and to be spelled otherwise.
    Paraphrase,
    /// Documents and chunks are asked for by their names and numbers.
    ById,
    /// Everything is asked for at once.
    Summarise,
    /// How much there is.
    Counts,
    /// Requests that fail, or say that something is not there.
    Errors,
    /// What somebody asked before who may see it.
    Cache,
    /// Citations that were not given.
    Citations,
    /// Documents that tell the model what to do.
    Injection,
    /// Databases.
    Sql,
    /// How long it takes.
    Timing,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Direct,
        Self::Paraphrase,
        Self::ById,
        Self::Summarise,
        Self::Counts,
        Self::Errors,
        Self::Cache,
        Self::Citations,
        Self::Injection,
        Self::Sql,
        Self::Timing,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Paraphrase => "paraphrase",
            Self::ById => "by-id",
            Self::Summarise => "summarise",
            Self::Counts => "counts",
            Self::Errors => "errors",
            Self::Cache => "cache",
            Self::Citations => "citations",
            Self::Injection => "injection",
            Self::Sql => "sql",
            Self::Timing => "timing",
        }
    }

    /// The class of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }
}

/// What is sent to the Room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Search for this.
    Search {
        /// The query.
        query: String,
    },
    /// Ask this.
    Ask {
        /// The question.
        question: String,
    },
    /// Somebody who may see it asks this first, then the attacker does.
    AskAfterOthers {
        /// The question.
        question: String,
    },
    /// Get a document by its name.
    Document {
        /// The source's name.
        source: String,
        /// The document's name.
        document: String,
        /// The name of one that is not there: the answers must be the same.
        absent: String,
    },
    /// Get a chunk, its page or its picture by its number.
    Chunk {
        /// The chunk.
        id: i64,
        /// One that is not there: the answers must be the same.
        absent: i64,
    },
    /// Say something about an answer, or ask for the traces of somebody else.
    Trace {
        /// Words to look for in what may be read.
        query: String,
    },
    /// Ask behind a document that was planted where the attacker sees it, and that tells the model what to do.
    Bait {
        /// The document's name.
        document: String,
        /// The question.
        question: String,
    },
    /// Ask for all numbers that are told: documents that there are, and on how many pages.
    Count,
    /// Search for both by turns, many times each, and note how long it takes.
    Time {
        /// A query near what is hidden.
        near: String,
        /// One of the same length that is near nothing.
        far: String,
    },
}

impl Request {
    /// How many answers of a model it takes: those take long.
    pub fn asks(&self) -> usize {
        match self {
            Self::Ask { .. } | Self::Bait { .. } => 1,
            Self::AskAfterOthers { .. } => 2,
            _ => 0,
        }
    }
}

/// An attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attack {
    /// Its name, the same in each run.
    pub id: String,
    /// Its class.
    pub class: Class,
    /// The place of what it is after in [`RoomFacts::targets`](super::RoomFacts::targets); those of class [`Class::Sql`] are
    /// after one of [`RoomFacts::databases`](super::RoomFacts::databases).
    pub target: usize,
    /// What is sent.
    pub request: Request,
}
