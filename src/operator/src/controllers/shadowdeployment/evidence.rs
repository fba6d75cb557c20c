//! What all pairs of a comparison say so far.

use std::collections::BTreeMap;

use api::shadowdeployment::{Metric, MetricVerdict};
use stats::{Decision, Interval};

/// What all pairs say so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// Requests that both answered.
    pub pairs: u64,
    /// Conversations, or whatever is kept together, that they belong to.
    pub clusters: u64,
    /// When the first and the last of them were complete.
    pub window: Option<(String, String)>,
    /// Copies without a pair, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Tokens of all copies.
    pub tokens: u64,
    /// What they cost, in the currency of the candidate's pricing.
    pub cost: Option<String>,
    /// Whether the gateway keeps words where the spec asks for it.
    pub keeps_words: bool,
    /// What was found for each metric, the primary one first.
    pub metrics: Vec<Found>,
    /// The verdict, if it can be given or has to be.
    pub decision: Option<Decision>,
    /// Metrics whose margins can hardly be shown with the pairs that are planned, and what would help.
    pub too_small: Vec<String>,
}

/// What was found for a metric, in its unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The metric.
    pub metric: Metric,
    /// The pairs that had a value of it.
    pub pairs: u64,
    /// The serving model's value.
    pub primary: Option<f64>,
    /// The candidate's value.
    pub candidate: Option<f64>,
    /// Candidate less primary.
    pub difference: Option<f64>,
    /// Where the true difference lies.
    pub interval: Option<Interval>,
    /// How much worse the candidate may be; not negative.
    pub margin: f64,
    /// What follows.
    pub verdict: MetricVerdict,
    /// How alike two answers of the serving model are.
    pub baseline: Option<f64>,
    /// The smallest difference that the pairs so far would show.
    pub detectable: Option<f64>,
    /// The same in the unit of margins in specs: 0.02 is 2 %.
    pub detectable_share: Option<f64>,
    /// The interval as pairs came: how many, the difference, and its ends.
    pub course: Vec<(u64, f64, Interval)>,
}

impl Evidence {
    /// Copies without a pair.
    pub fn dropped(&self) -> u64 {
        self.dropped.values().sum()
    }
}
