//! How chunks are found.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::common::pattern;

/// How chunks are found.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retrieval {
    /// Chunks that the model is given. Default: 8.
    #[serde(default = "default_top_k")]
    #[schemars(range(min = 1, max = 100))]
    pub top_k: i32,
    /// Search by words as well as by meaning. Default: true.
    #[serde(default = "yes")]
    pub hybrid: bool,
    /// Least score between 0 and 1, as a decimal string. Default: none.
    #[schemars(length(max = 12), regex(pattern = pattern::FRACTION))]
    pub min_score: Option<String>,
    /// Most tokens of all chunks together. Default: half of the model's context.
    #[schemars(range(min = 16, max = 1_048_576))]
    pub max_context_tokens: Option<i32>,
}

fn default_top_k() -> i32 {
    8
}

fn yes() -> bool {
    true
}
