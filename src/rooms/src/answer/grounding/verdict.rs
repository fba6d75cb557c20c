//! What became of a sentence.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What became of a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It states nothing: a heading, a greeting, that the answer is not known.
    NoClaim,
    /// What it cites supports it, as far as was checked.
    Supported,
    /// It does not.
    Unsupported(Reason),
}

/// Why a sentence is not supported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// It cites nothing.
    Uncited,
    /// It cites what was not there.
    Dangling(usize),
    /// A number that no cited chunk has.
    Number(String),
    /// A number that the cited chunks have for something else.
    Misplaced(String),
    /// A date that no cited chunk has.
    Date(String),
    /// A name that no cited chunk has.
    Name(String),
    /// A word of which a cited chunk says the opposite.
    Contradiction(String),
    /// Too few of its words are in the cited chunks: so many of a hundred.
    Overlap {
        /// From 0 to 100.
        percent: u8,
    },
    /// A cross-encoder found that no cited chunk entails it.
    NotEntailed,
    /// The model was not certain of its words.
    Uncertain,
    /// It says again what was said before, in the same words.
    Repetition,
    /// All that is said is supported, and has nothing of what was asked for.
    Evasive,
}

impl Verdict {
    /// Whether the sentence may be shown as it is.
    pub fn may_pass(&self) -> bool {
        !matches!(self, Self::Unsupported(_))
    }
}

impl Reason {
    /// A name for counts, without what the sentence says.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Uncited => "Uncited",
            Self::Dangling(_) => "Dangling",
            Self::Number(_) => "Number",
            Self::Misplaced(_) => "Misplaced",
            Self::Date(_) => "Date",
            Self::Name(_) => "Name",
            Self::Contradiction(_) => "Contradiction",
            Self::Overlap { .. } => "Overlap",
            Self::NotEntailed => "NotEntailed",
            Self::Uncertain => "Uncertain",
            Self::Repetition => "Repetition",
            Self::Evasive => "Evasive",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uncited => f.write_str("it names no document"),
            Self::Dangling(number) => write!(f, "there is no document [{number}]"),
            Self::Number(text) => write!(f, "the number {text} is not in what it cites"),
            Self::Misplaced(text) => write!(f, "in what it cites, {text} is said of something else"),
            Self::Date(text) => write!(f, "the date {text} is not in what it cites"),
            Self::Name(text) => write!(f, "the name {text} is not in what it cites"),
            Self::Contradiction(word) => write!(f, "what it cites says the opposite of {word}"),
            Self::Overlap { percent } => write!(f, "only {percent} % of its words are in what it cites"),
            Self::NotEntailed => f.write_str("what it cites does not entail it"),
            Self::Uncertain => f.write_str("the model was not certain of it"),
            Self::Repetition => f.write_str("it goes round in circles"),
            Self::Evasive => f.write_str("it has nothing of what was asked for"),
        }
    }
}
