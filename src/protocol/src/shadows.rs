//! What the gateway tells a ShadowDeployment's operator of the pairs that it has collected.
//!
//! `GET /v1/shadows/{namespace}/{name}/pairs?uid=UID&after=SEQ` gives the pairs after one, the oldest first; `DELETE` of
//! `/v1/shadows/{namespace}/{name}?uid=UID` forgets all of them. Both need the verb `collect` on the ShadowDeployment, which
//! the operator has. The gateway keeps numbers, and words only where a spec asks for it, and decides nothing; the operator
//! decides, and keeps nothing but the report. With the verdict it leaves that with the gateway as well, by `PUT` of
//! `/v1/shadows/{namespace}/{name}/report?uid=UID`: `GET` of it, and of `report.html`, is for people.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where it is.
pub const PREFIX: &str = "/v1/shadows/";

/// Pairs in one answer, at most.
pub const PAGE: usize = 1000;

/// Pairs of one ShadowDeployment, and all that was counted beside them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Pairs {
    /// `list`.
    pub object: String,
    /// `metadata.uid` of the ShadowDeployment that this is about.
    pub uid: String,
    /// Pairs by their number.
    pub pairs: Vec<Pair>,
    /// Whether there are more after these.
    pub more: bool,
    /// Copies that gave no pair, of all replicas so far, by reason: `queue`, `rate`, `size`, `lost`…
    pub dropped: BTreeMap<String, u64>,
    /// Tokens of prompts and answers of all copies so far, baselines with them.
    pub tokens: u64,
    /// What they cost, as a decimal string in the currency of the candidate's pricing; none without a pricing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<String>,
    /// Whether words of pairs are kept where a spec asks for it: there are keys, and a trail that tells who reads them.
    pub keeps_words: bool,
}

/// Two answers to one request, as numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Pair {
    /// Its number, which grows: pairs are counted by it, each once.
    pub seq: i64,
    /// When it was complete: RFC 3339.
    pub at: String,
    /// What it is kept together with, such as its conversation: a hash, in hex. Pairs with the same one are not independent.
    pub cluster: String,
    /// What it says about each metric, by the metric's name in specs. A metric that is missing has nothing to say.
    pub scores: BTreeMap<String, Score>,
}

/// What a pair says about a metric, on the metric's scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Score {
    /// The value of the model that serves; none where there is one value for both answers, such as how alike they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary: Option<f64>,
    /// The candidate's value.
    pub candidate: f64,
    /// Where there is one value for both answers, and the serving model was asked the same once more: the value of its two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<f64>,
}
