//! One check, ready to be used.

use serde::Deserialize;

/// What happens when a check fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Action {
    /// The text goes no further.
    #[default]
    Refuse,
    /// What was found is replaced by its kind.
    Redact,
    /// It passes and is told of.
    Annotate,
}

impl Action {
    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Redact => "redact",
            Self::Annotate => "annotate",
        }
    }
}

/// One check, ready to be used.
#[derive(Clone, Debug)]
pub struct Check {
    pub name: String,
    pub action: Action,
    /// Score from which it fails.
    pub threshold: f64,
    pub scoring: Scoring,
    /// Most characters of all texts together.
    pub max_length: Option<u64>,
    /// Whether each text has to be JSON.
    pub is_json: bool,
}

/// How the scores of several finds belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scoring {
    /// Each counts for itself.
    Single,
    /// Each makes it likelier that the whole text is bad: evidence adds up as if it were independent.
    Summed,
}

impl Check {
    /// Whether a find of `score` is one, given the evidence in the same text `before`, which it adds to.
    pub fn counts(&self, score: f64, before: &mut f64) -> bool {
        match self.scoring {
            Scoring::Single => score >= self.threshold,
            Scoring::Summed => {
                *before = 1.0 - (1.0 - *before) * (1.0 - score);
                *before >= self.threshold
            }
        }
    }
}
