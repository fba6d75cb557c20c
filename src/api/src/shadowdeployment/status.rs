//! What is known about a comparison.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::Metric;

/// What is known about a comparison.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ShadowDeploymentStatus {
    /// `metadata.generation` that this status was computed from.
    pub observed_generation: Option<i64>,
    /// Ready, Progressing, Complete, Degraded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// When both models could answer for the first time: `stop.maxDuration` counts from then.
    pub started: Option<Time>,
    /// The version that served then. Pairs with another one would not be about the same.
    pub primary_version: Option<String>,
    /// The candidate's version then; none of a hosted model.
    pub candidate_version: Option<String>,
    /// Requests that both answered.
    pub pairs: Option<i64>,
    /// Copies that were not answered, because of limits or errors of ours.
    pub dropped: Option<i64>,
    /// What was found for each metric.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 14),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["metric"])
    )]
    pub metrics: Vec<MetricStatus>,
    /// The verdict; none while the comparison goes on.
    pub verdict: Option<Verdict>,
    /// CamelCase reason of the verdict.
    pub reason: Option<String>,
    /// Name of the immutable ConfigMap with the report.
    pub report: Option<String>,
    /// Smallest difference in the primary metric that the pairs so far could show, in the unit of `margin`: as a
    /// percentage of the serving model's value, or of the answers.
    pub smallest_detectable_difference: Option<String>,
    /// How alike two answers of the serving model to one request are in the primary metric, as a decimal string: no
    /// candidate can be expected to be closer. None for metrics with a value for each answer.
    pub baseline: Option<String>,
}

/// What was found for one metric. Numbers are decimal strings.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricStatus {
    /// What was measured.
    pub metric: Metric,
    /// Mean of the serving model.
    pub primary: Option<String>,
    /// Mean of the candidate.
    pub candidate: Option<String>,
    /// Candidate less primary, over pairs.
    pub difference: Option<String>,
    /// Interval that holds the true difference at all times with the wanted confidence.
    pub interval: Option<Interval>,
    /// What follows for this metric.
    pub verdict: MetricVerdict,
}

/// A confidence interval. Ends are decimal strings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Interval {
    /// Lower end.
    pub low: String,
    /// Upper end.
    pub high: String,
}

/// What follows for one metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MetricVerdict {
    /// No worse than the margin.
    NotWorse,
    /// Worse than the margin.
    Worse,
    /// Not known yet.
    Open,
}

/// What follows for the candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Verdict {
    /// No worse in any metric.
    Promote,
    /// Worse in at least one metric.
    Reject,
    /// Neither could be shown.
    Inconclusive,
}
