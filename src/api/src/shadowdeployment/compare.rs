//! What is compared, and how sure the verdict must be.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::common::{ModelRef, pattern};

/// What is compared. The candidate passes when it is proved to be no worse than the margin in every
/// metric (non-inferiority).
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.guardrails) || self.guardrails.all(g, g.metric != self.primary.metric)")
    .message("compare.guardrails must not repeat the metric of compare.primary: remove it"))]
pub struct Compare {
    /// The metric that the verdict is about.
    pub primary: ComparedMetric,
    /// Metrics that must not get worse either. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 13),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["metric"])
    )]
    pub guardrails: Vec<ComparedMetric>,
    /// Probability of passing a candidate that is worse, as a decimal string. Default: `0.05`.
    #[serde(default = "default_alpha")]
    #[schemars(length(max = 12), regex(pattern = pattern::FRACTION))]
    pub alpha: String,
    /// Probability of passing a candidate that is equally good, as a decimal string; the report says
    /// whether there were enough pairs for it. Default: `0.8`.
    #[serde(default = "default_power")]
    #[schemars(length(max = 12), regex(pattern = pattern::FRACTION))]
    pub power: String,
}

fn default_alpha() -> String {
    "0.05".into()
}

fn default_power() -> String {
    "0.8".into()
}

/// A metric and how much worse the candidate may be in it.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.metric in ['Embedding', 'Judge']) == has(self.model)")
    .message("compare: model is required with metrics Embedding and Judge and must be left out with any other"))]
pub struct ComparedMetric {
    /// What is measured.
    pub metric: Metric,
    /// How much worse the candidate may be: relative to the model that serves, and of the metrics that count
    /// answers (Errors, Format, Refusals, Guardrails) in answers of a hundred. Default: 2%, and 10% for times.
    #[schemars(length(max = 12), regex(pattern = pattern::PERCENT))]
    pub margin: Option<String>,
    /// LlmModel that embeds or judges, for metrics Embedding and Judge.
    pub model: Option<ModelRef>,
}

/// What is measured on each pair of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Metric {
    /// Requests that failed.
    Errors,
    /// Time to the first token.
    TTFT,
    /// Time between tokens.
    InterToken,
    /// Time to the last token.
    Total,
    /// Words of the answer.
    Length,
    /// Answers in the format that was asked for.
    Format,
    /// Calls of the same tools with the same arguments, where tools are offered.
    ToolCalls,
    /// Length of the common beginning.
    ExactPrefix,
    /// Longest common subsequence.
    RougeL,
    /// Similarity of meaning, by an embedding model.
    Embedding,
    /// How likely each model finds the other's answer, both ways. Needs Atelier's own engine for both.
    CrossPerplexity,
    /// Requests that were refused.
    Refusals,
    /// Answers that failed a guardrail.
    Guardrails,
    /// Which answer another model prefers.
    Judge,
}
