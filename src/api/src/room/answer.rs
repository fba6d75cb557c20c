//! How questions are answered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// How questions are answered.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// System message. Default: one that asks for answers from the documents alone.
    #[schemars(length(min = 1, max = 32768))]
    pub system: Option<String>,
    /// Whether each statement must name its document. Default: Required.
    #[serde(default)]
    pub citations: Citations,
    /// What becomes of statements that no document supports. Default: Refuse.
    #[serde(default)]
    pub ungrounded: Ungrounded,
    /// What looks for statements that no document supports. Default: Citations and Overlap. Entailment needs a
    /// reranker, Confidence a model that tells how probable its tokens are (`logprobs`), as ours do; Anthropic, Gemini
    /// and models with guardrails do not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "set"))]
    pub detectors: Vec<AnswerDetector>,
}

/// Whether statements name their documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Citations {
    /// Each must.
    #[default]
    Required,
    /// They may.
    Optional,
}

/// What becomes of statements that no document supports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Ungrounded {
    /// The answer is refused.
    #[default]
    Refuse,
    /// The answer says which they are.
    Annotate,
}

/// What looks for statements that no document supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AnswerDetector {
    /// Citations that point nowhere.
    Citations,
    /// Words and numbers that no cited chunk holds.
    Overlap,
    /// Entailment by the reranker.
    Entailment,
    /// The model's own uncertainty about its tokens: in a sentence that passes they have a probability of at least 0.37
    /// in the geometric mean. It is no proof: models are certain of what is wrong, too.
    Confidence,
}

impl AnswerDetector {
    /// Those that are applied where a spec names none.
    pub const DEFAULT: [Self; 2] = [Self::Citations, Self::Overlap];

    /// Its name, as in specs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Citations => "Citations",
            Self::Overlap => "Overlap",
            Self::Entailment => "Entailment",
            Self::Confidence => "Confidence",
        }
    }
}

impl Answer {
    /// The detectors that are applied.
    pub fn detectors(&self) -> &[AnswerDetector] {
        match self.detectors.is_empty() {
            true => &AnswerDetector::DEFAULT,
            false => &self.detectors,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detectors_have_their_names_of_specs() {
        let all = [
            AnswerDetector::Citations,
            AnswerDetector::Overlap,
            AnswerDetector::Entailment,
            AnswerDetector::Confidence,
        ];
        for detector in all {
            assert_eq!(serde_json::to_value(detector).unwrap(), detector.as_str());
        }
        assert_eq!(Answer::default().detectors(), AnswerDetector::DEFAULT);
        let one = Answer {
            detectors: vec![AnswerDetector::Overlap],
            ..Answer::default()
        };
        assert_eq!(one.detectors(), [AnswerDetector::Overlap]);
    }
}
