//! How a new version replaces the old one.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::FileSource;
use crate::common::pattern;

/// How a new version replaces the old one.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.strategy == 'Canary') == has(self.canary)")
    .message("rollout.canary is required with strategy Canary and must be left out with any other"))]
pub struct Rollout {
    /// How traffic moves to the new version. Default: RollingUpdate.
    #[serde(default)]
    pub strategy: RolloutStrategy,
    /// Steps of strategy Canary.
    pub canary: Option<Canary>,
    /// What a version must pass before it gets traffic. Default: nothing.
    pub gates: Option<RolloutGates>,
    /// Versions that are kept for a rollback, beside those that serve. Default: 10.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 100))]
    pub history_limit: i32,
}

impl Default for Rollout {
    fn default() -> Self {
        Self {
            strategy: RolloutStrategy::default(),
            canary: None,
            gates: None,
            history_limit: ten(),
        }
    }
}

fn ten() -> i32 {
    10
}

/// How traffic moves to a new version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RolloutStrategy {
    /// The old version stops before the new one starts: for nodes with room for one only.
    Recreate,
    /// The old version serves until the new one is ready.
    #[default]
    RollingUpdate,
    /// The new version gets a growing share of the traffic, and is stopped when it breaks
    /// `monitoring.slo`. A version that `spec.version` names takes over at once.
    Canary,
}

/// Steps by which a new version gets traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.steps.map(s, s.weight).isSorted() && self.steps.all(s, self.steps.exists_one(t, t.weight == s.weight))")
    .message("rollout.canary.steps must have increasing weights: each step gives the new version more traffic than the one before")
    .field_path(".steps"))]
pub struct Canary {
    /// The steps, in order. After the last one the new version gets everything.
    #[schemars(length(min = 1, max = 20))]
    pub steps: Vec<CanaryStep>,
}

/// One step.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStep {
    /// Share of the traffic for the new version, in percent.
    #[schemars(range(min = 1, max = 100))]
    pub weight: i32,
    /// Least time before the next step: `10m`. Default: none.
    #[schemars(length(max = 32), regex(pattern = pattern::DURATION))]
    pub pause: Option<String>,
    /// What must hold before the next step. Default: no replica fails.
    pub gate: Option<Gate>,
}

/// What must hold before the next step of a canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Gate {
    /// The service level objectives of `monitoring.slo`, over at least 50 requests of the step.
    Slo,
    /// The verdict of the shadow comparison.
    Shadow,
    /// A person's word: the annotation `atelier.dev/promote: <version>/<step>` on the LlmModel.
    Manual,
}

/// What a version must pass before it gets traffic.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutGates {
    /// Tests with known answers.
    pub evaluation: Option<EvaluationGate>,
    /// Comparison on copies of live requests.
    pub shadow: Option<ShadowGate>,
}

/// Tests with known answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EvaluationGate {
    /// The tests; a version must pass all.
    #[schemars(
        length(min = 1, max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub suites: Vec<EvaluationSuite>,
}

/// A set of questions with known answers.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EvaluationSuite {
    /// Name of the suite: one that comes with the worker, or of your own `source`.
    #[schemars(length(min = 1, max = 40), regex(pattern = pattern::DNS_LABEL))]
    pub name: String,
    /// Questions and answers as JSON Lines. Default: the suite of this name that comes with the worker.
    pub source: Option<FileSource>,
    /// Least score, between 0 and 1, as a decimal string. Default: none.
    #[schemars(length(max = 12), regex(pattern = pattern::FRACTION))]
    pub min_score: Option<String>,
    /// Most that the score may be under the serving version's, as a decimal string. Default: `0.02`.
    #[schemars(length(max = 12), regex(pattern = pattern::FRACTION))]
    pub max_regression: Option<String>,
}

/// Comparison on copies of live requests before a version gets traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShadowGate {
    /// ShadowDeployment of this namespace whose sample, compare, stop and limits are used as the template. With the
    /// annotation `atelier.dev/paused: "true"` it is nothing else. The version goes on with the verdict Promote, is Rejected
    /// with Reject, and waits with Inconclusive for the annotation `atelier.dev/promote: <version>/shadow` on the LlmModel.
    #[schemars(length(min = 1, max = 40), regex(pattern = pattern::DNS_LABEL))]
    pub template: String,
}
