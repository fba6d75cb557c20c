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
    /// What looks for statements that no document supports. Default: Citations and Overlap.
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
    /// The model's own uncertainty about its tokens.
    Confidence,
}
