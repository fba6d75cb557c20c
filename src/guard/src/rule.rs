//! One thing that a detector looks for.

use crate::shape::{Ends, Shape};

/// A span that has the shape of a find.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Up to [`CONTEXT`] bytes of text before it.
    pub before: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// Bytes before a candidate that a judge may look at.
pub const CONTEXT: usize = 48;

/// Says how likely a candidate is a find, from 0 to 1; `None` for one that cannot be.
pub type Judge = fn(Candidate<'_>) -> Option<f64>;

/// One thing that a detector looks for.
#[derive(Debug)]
pub struct Rule {
    /// What it finds, for placeholders and reports.
    pub kind: String,
    pub(crate) shape: Shape,
    pub(crate) judge: Option<Judge>,
    /// Bytes after which a candidate is judged as it is, and the next one begins a little before the end of it.
    pub(crate) cut: Option<usize>,
}

/// How much of a candidate that was cut the next one has, too. A multiple of 4, for base64.
pub const OVERLAP: usize = 256;

impl Rule {
    /// What matches `pattern`, and may have several ends, is a find if `judge` says so.
    pub(crate) fn judged(kind: &str, pattern: &str, judge: Judge) -> Self {
        Self::built_in(kind, pattern, Ends::All, Some(judge))
    }

    /// As [`Self::judged`], with the end that the pattern prefers.
    pub(crate) fn preferred(kind: &str, pattern: &str, judge: Judge) -> Self {
        Self::built_in(kind, pattern, Ends::Preferred, Some(judge))
    }

    /// Whatever matches `pattern` is a find.
    pub(crate) fn certain(kind: &str, pattern: &str) -> Self {
        Self::built_in(kind, pattern, Ends::Preferred, None)
    }

    /// As written in a spec.
    pub(crate) fn custom(pattern: &str) -> Result<Self, String> {
        Ok(Self {
            kind: "PATTERN".into(),
            shape: Shape::new(pattern, Ends::Preferred)?,
            judge: None,
            cut: None,
        })
    }

    fn built_in(kind: &str, pattern: &str, ends: Ends, judge: Option<Judge>) -> Self {
        let shape = Shape::new(pattern, ends);
        Self {
            kind: kind.into(),
            shape: shape.unwrap_or_else(|fault| panic!("{kind}: {fault}")),
            judge,
            cut: None,
        }
    }

    /// Judges what goes on for longer than `bytes` piece by piece. Only for shapes that are a loop.
    pub(crate) fn cut_at(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    pub(crate) fn score(&self, candidate: Candidate<'_>) -> Option<f64> {
        self.judge.map_or(Some(1.0), |judge| judge(candidate))
    }
}
