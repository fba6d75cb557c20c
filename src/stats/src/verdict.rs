//! What follows for the candidate, and for each metric.

use crate::Interval;

/// What follows for the candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Verdict {
    /// Proved to be no worse than the margin in every metric.
    Promote,
    /// Proved to be worse than the margin in at least one metric.
    Reject,
    /// Neither could be shown.
    Inconclusive,
}

/// Why a verdict was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Reason {
    /// No metric is worse than its margin.
    NotWorse,
    /// The metric named is worse than its margin.
    Worse,
    /// All pairs that were planned are there.
    MaxPairs,
    /// Even all pairs that were planned would hardly give a verdict.
    Futility,
    /// The time is over.
    Deadline,
    /// The budget is spent.
    Budget,
}

/// What ends a comparison from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum End {
    /// The time is over.
    Deadline,
    /// The budget is spent.
    Budget,
}

/// A verdict with its reason.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Decision {
    /// What follows.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// The metric that decided: the one that is worst with the most evidence, or the one that is farthest from
    /// being proved. None for Promote, to which all contribute.
    pub metric: Option<String>,
}

/// What follows for one metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum MetricVerdict {
    /// No worse than the margin.
    NotWorse,
    /// Worse than the margin.
    Worse,
    /// Not known yet.
    Open,
}

/// What is known of one metric, for a report.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct MetricResult {
    /// The metric's name.
    pub metric: String,
    /// The pairs that had a value of it.
    pub pairs: u64,
    /// The primary's value: a mean, a geometric mean or a quantile.
    pub primary: Option<f64>,
    /// The candidate's value.
    pub candidate: Option<f64>,
    /// Candidate less primary; of ratios, as a fraction of the primary's value.
    pub difference: Option<f64>,
    /// Where the true difference lies. Each end holds at all times with the confidence `1 - alpha`, both
    /// together with `1 - 2 alpha`: a claim of non-inferiority needs one end only.
    pub interval: Option<Interval>,
    /// The difference at which the candidate is just worse by the margin.
    pub limit: f64,
    /// The smallest difference that the pairs so far would show.
    pub smallest_detectable_difference: Option<f64>,
    /// What follows.
    pub verdict: MetricVerdict,
}
