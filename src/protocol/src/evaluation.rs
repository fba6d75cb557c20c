//! The last words of `atelier-worker evaluate`: one JSON object in the pod's termination message.

use serde::{Deserialize, Serialize};

use crate::PrepareFailure;

/// What a model scored, or why it could not be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EvaluationOutcome {
    /// Every question was asked.
    Scored(EvaluationReport),
    /// The model does not load, or a suite cannot be read.
    Failed(PrepareFailure),
}

/// The scores of all suites.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EvaluationReport {
    /// One for each suite, in the order in which they were asked for.
    pub suites: Vec<SuiteScore>,
}

/// The score of one suite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SuiteScore {
    /// Its name.
    pub suite: String,
    /// `sha256:` and 64 hex digits over its text: scores of different texts are not compared.
    pub digest: String,
    /// Between 0 and 1 with 4 decimals: the share of right answers; of a suite of plain texts the inverse of
    /// the perplexity, which is the geometric mean of the probabilities of its tokens.
    pub score: String,
    /// Questions or texts.
    pub questions: u32,
    /// The first questions that were answered wrong, by their ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<String>,
}

impl EvaluationOutcome {
    /// Parses a termination message. `None` when it is not a report (the container was killed, or
    /// the kubelet wrote its own text).
    pub fn parse(termination_message: &str) -> Option<Self> {
        serde_json::from_str(termination_message.trim()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_survives_the_way() {
        let score = SuiteScore {
            suite: "arithmetic".into(),
            digest: format!("sha256:{}", "0".repeat(64)),
            score: "0.7500".into(),
            questions: 4,
            failed: vec!["q3".into()],
        };
        let outcome = EvaluationOutcome::Scored(EvaluationReport { suites: vec![score] });
        let text = serde_json::to_string(&outcome).unwrap();
        assert_eq!(EvaluationOutcome::parse(&text), Some(outcome));
        assert_eq!(EvaluationOutcome::parse("ready"), None);
    }
}
