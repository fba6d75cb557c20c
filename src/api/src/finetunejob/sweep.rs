//! Search for the best settings.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::common::pattern;

/// Search for the best settings.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.parallelTrials <= self.maxTrials")
    .message("sweep.parallelTrials must not be greater than sweep.maxTrials"))]
#[x_kube(validation = Rule::new("self.algorithm != 'Grid' || self.space.all(d, has(d.values))")
    .message("sweep.algorithm Grid needs values in each of sweep.space: list them, or use Random for ranges")
    .field_path(".space"))]
pub struct Sweep {
    /// Settings that vary.
    #[schemars(
        length(min = 1, max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub space: Vec<SweepDimension>,
    /// How settings are chosen. Default: Random.
    #[serde(default)]
    pub algorithm: SweepAlgorithm,
    /// Most trials.
    #[schemars(range(min = 1, max = 500))]
    pub max_trials: i32,
    /// Trials at the same time. Default: 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100))]
    pub parallel_trials: i32,
    /// Stop a trial whose best validation loss is worse than the median of the others' at the same step. Default:
    /// true for ASHA, else false.
    pub stop_poor: Option<bool>,
    /// What is compared: `evalLoss` (lower is better), or the name of one of `evaluate.suites` (higher is
    /// better). Default: `evalLoss`.
    #[serde(default = "eval_loss")]
    #[schemars(
        length(min = 1, max = 40),
        regex(pattern = "^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$")
    )]
    pub metric: String,
}

fn one() -> i32 {
    1
}

fn eval_loss() -> String {
    "evalLoss".into()
}

/// How settings are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SweepAlgorithm {
    /// All combinations.
    Grid,
    /// At random.
    #[default]
    Random,
    /// At random, and the worse ones are stopped early.
    ASHA,
}

/// One setting that varies: either values or a range.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.values) ? !has(self.min) && !has(self.max) : has(self.min) && has(self.max)")
    .message("each of sweep.space needs either values, or both min and max"))]
#[x_kube(validation = Rule::new("!has(self.logarithmic) || has(self.min)")
    .message("sweep.space[].logarithmic goes with min and max only: leave it out"))]
pub struct SweepDimension {
    /// Path of the field under `hyperparameters`: `learningRate`, `lora.r`.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[a-zA-Z]+(\.[a-zA-Z]+)?$"))]
    pub name: String,
    /// Values to try.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 64)), extend("x-kubernetes-list-type" = "set"))]
    pub values: Vec<String>,
    /// Least value, as a decimal string.
    #[schemars(length(max = 24), regex(pattern = pattern::DECIMAL))]
    pub min: Option<String>,
    /// Greatest value, as a decimal string.
    #[schemars(length(max = 24), regex(pattern = pattern::DECIMAL))]
    pub max: Option<String>,
    /// Whether values are spread evenly over orders of magnitude. Default: false.
    pub logarithmic: Option<bool>,
}
