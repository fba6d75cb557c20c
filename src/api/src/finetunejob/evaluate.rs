//! Measurements during the training.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::{common::pattern, llmmodel::EvaluationSuite};

/// Measurements during the training, and what the result must pass to be published.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.gate) || !has(self.suites) || self.suites.all(s, !has(s.maxRegression))")
    .message("evaluate.suites[].maxRegression needs evaluate.gate, which says what scores are compared with: add it, or use minScore")
    .field_path(".suites"))]
pub struct EvaluateDuring {
    /// Steps between two measurements. Default: 20 measurements in all.
    #[schemars(range(min = 1))]
    pub every_steps: Option<i64>,
    /// Questions with known answers, beside the loss on the validation set. A result that does not reach the
    /// `minScore` of one is not published, with a gate or without; `maxRegression` stands in for that of the gate,
    /// as a difference of scores. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub suites: Vec<EvaluationSuite>,
    /// End when nothing gets better. Default: never.
    pub early_stopping: Option<EarlyStopping>,
    /// What the result must pass to be published. Default: nothing.
    pub gate: Option<RegressionGate>,
}

/// End when nothing gets better.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EarlyStopping {
    /// Measurements without progress after which the training ends. Default: 3.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 1000))]
    pub patience: i32,
    /// Least change of the validation loss that counts as progress, as a decimal string. Default: `0`.
    #[serde(default = "zero")]
    #[schemars(length(max = 24), regex(pattern = pattern::DECIMAL))]
    pub min_delta: String,
}

fn three() -> i32 {
    3
}

fn zero() -> String {
    "0".into()
}

/// What the result must pass to be published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegressionGate {
    /// What it is compared with. Default: Base.
    #[serde(default)]
    pub against: RegressionReference,
    /// Most that the validation loss may be higher, and each suite's score lower. Default: 0%.
    #[serde(default = "zero_percent")]
    #[schemars(length(max = 12), regex(pattern = pattern::PERCENT))]
    pub max_regression: String,
}

fn zero_percent() -> String {
    "0%".into()
}

/// What a result is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RegressionReference {
    /// The base model.
    #[default]
    Base,
    /// The last result that was published.
    Current,
}
