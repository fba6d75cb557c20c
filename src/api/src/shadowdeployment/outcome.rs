//! When a comparison ends, what follows, and what it may cost.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::common::pattern;

/// When the comparison ends.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.minPairs <= self.maxPairs")
    .message("stop.minPairs must not be greater than stop.maxPairs"))]
pub struct Stop {
    /// Pairs before which no verdict is given. Default: 300.
    #[serde(default = "min_pairs")]
    #[schemars(range(min = 30, max = 10_000_000))]
    pub min_pairs: i32,
    /// Pairs after which the verdict is Inconclusive. Default: 5000.
    #[serde(default = "max_pairs")]
    #[schemars(range(min = 30, max = 10_000_000))]
    pub max_pairs: i32,
    /// Time after which the verdict is Inconclusive: `7d`. It begins when both models can answer. Default: none.
    #[schemars(length(max = 32), regex(pattern = pattern::DURATION))]
    pub max_duration: Option<String>,
    /// End early when a verdict has become unlikely. Default: true.
    #[serde(default = "yes")]
    pub futility: bool,
}

fn min_pairs() -> i32 {
    300
}

fn max_pairs() -> i32 {
    5000
}

fn yes() -> bool {
    true
}

/// What follows from the verdict Promote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnPass {
    /// Nothing: a person decides.
    #[default]
    None,
    /// The candidate serves. Until the verdict it waits with its pods; canary steps are left out.
    Promote,
    /// The candidate gets traffic by the steps of the model's rollout, which wait for the verdict.
    Canary,
}

/// What follows from the verdict Reject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnFail {
    /// Nothing: a person decides.
    #[default]
    None,
    /// The candidate's rollout ends.
    Reject,
}

/// What the comparison may cost.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShadowLimits {
    /// What all copies together may use. Default: no limit.
    pub budget: Option<Budget>,
    /// Time after which a copy is given up: `60s`. Default: that of the live request.
    #[schemars(length(max = 32), regex(pattern = pattern::DURATION))]
    pub timeout: Option<String>,
    /// Copies that wait; further ones are dropped. Default: 100.
    #[schemars(range(min = 1, max = 100_000))]
    pub queue: Option<i32>,
}

/// What all copies together may use.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// Tokens, of prompts and answers. Default: no limit.
    #[schemars(range(min = 1))]
    pub tokens: Option<i64>,
    /// Money, as a decimal string in the currency of the candidate's pricing. Default: no limit.
    #[schemars(length(max = 24), regex(pattern = pattern::DECIMAL))]
    pub money: Option<String>,
}
