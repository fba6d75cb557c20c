//! What came of a comparison, for ever.
//!
//! A [`Report`] is complete in itself: who was compared, what was measured, how sure it is and what follows. Statistics
//! come in as plain numbers. It is checked when it is made and when it is read ([`Report::check`]), so what shows it
//! ([`html::page`], [`terminal::text`]) has nothing left to refuse.

mod check;
mod draw;
pub mod html;
mod number;
pub mod terminal;
mod visible;

pub use check::{Fault, MAX_COURSE, MAX_EXAMPLE, MAX_EXAMPLES};
pub use number::{NotFinite, Number};

use std::collections::BTreeMap;

use api::shadowdeployment::{Metric, MetricVerdict, Verdict};
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::{canonical, score::judge::PositionBias};

/// Names the form of reports; it changes when a reader has to.
pub const VERSION: &str = "atelier.dev/shadow-report/v1";

/// What came of a comparison.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Report {
    /// [`VERSION`].
    pub version: String,
    /// Namespace of the ShadowDeployment.
    pub namespace: String,
    /// Name of the ShadowDeployment.
    pub name: String,
    /// Its `metadata.uid`.
    pub uid: String,
    /// `sha256:` and 64 hex digits over its spec.
    pub spec_digest: String,
    /// What served.
    pub primary: Arm,
    /// What answered in the dark.
    pub candidate: Arm,
    /// When requests were copied.
    pub window: Window,
    /// Requests with a pair, those that the candidate failed among them.
    pub pairs: u64,
    /// Conversations, or whatever was kept together, that the pairs belong to.
    pub clusters: u64,
    /// Copies without a pair, by reason in CamelCase. Nothing here was the candidate's fault.
    pub dropped: BTreeMap<String, u64>,
    /// Probability of passing a candidate that is worse.
    pub alpha: Number,
    /// Probability of finding one that is not.
    pub power: Number,
    /// What was found for each metric: first the one that the verdict is about.
    pub metrics: Vec<MetricReport>,
    /// What follows for the candidate.
    pub verdict: Verdict,
    /// Why, in CamelCase.
    pub reason: String,
    /// Why, in a sentence.
    pub message: String,
    /// What the comparison used, and might have.
    pub limits: Limits,
    /// How far the judge went by places, if there was one.
    pub judge: Option<PositionBias>,
    /// The most different pairs, or that they may not be kept.
    pub content: Content,
}

/// One of the two that answered.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Arm {
    /// Name of the LlmModel.
    pub model: String,
    /// Name of its version.
    pub version: String,
    /// `sha256:` and 64 hex digits over its weights, where there are such.
    pub weights: Option<String>,
    /// Image of its engine, with digest.
    pub image: Option<String>,
}

/// Two times, RFC 3339.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Window {
    /// The first copy.
    pub from: String,
    /// The last one.
    pub to: String,
}

/// What a metric is for the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// The verdict is about it.
    Primary,
    /// It must not get worse either.
    Guardrail,
}

/// What was found for a metric, in the unit that [`crate::metric::describe`] tells.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricReport {
    /// The metric.
    pub metric: Metric,
    /// What it is for.
    pub role: Role,
    /// Pairs that say something about it.
    pub pairs: u64,
    /// Mean of the serving model.
    pub primary: Option<Number>,
    /// Mean of the candidate.
    pub candidate: Option<Number>,
    /// Candidate less primary, over pairs.
    pub difference: Option<Number>,
    /// Where the true difference is, at all times with the wanted confidence.
    pub interval: Option<Interval>,
    /// How much worse the candidate may be: a difference, not negative.
    pub margin: Number,
    /// What follows for this metric.
    pub verdict: MetricVerdict,
    /// How far two answers of the serving model itself differ (A/A).
    pub baseline: Option<Number>,
    /// Smallest difference that the pairs could show.
    pub detectable: Option<Number>,
    /// The interval as pairs came, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub course: Vec<Point>,
    /// How values are distributed, for times.
    pub distribution: Option<Distribution>,
}

/// A confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// Lower end.
    pub low: Number,
    /// Upper end.
    pub high: Number,
}

/// What was known after so many pairs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// How many.
    pub pairs: u64,
    /// The difference.
    pub difference: Number,
    /// Lower end of its interval.
    pub low: Number,
    /// Upper end of its interval.
    pub high: Number,
}

/// Quantiles of both arms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distribution {
    /// Of the serving model.
    pub primary: Vec<Quantile>,
    /// Of the candidate.
    pub candidate: Vec<Quantile>,
}

/// The value that a share of all does not exceed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantile {
    /// The share, from 0 to 1.
    pub share: Number,
    /// The value.
    pub value: Number,
}

/// What the comparison used, and might have.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// Pairs before which there is no verdict.
    pub min_pairs: u64,
    /// Pairs after which there is one.
    pub max_pairs: u64,
    /// Tokens of copies, of prompts and answers.
    pub tokens: u64,
    /// How many there might have been.
    pub max_tokens: Option<u64>,
    /// What copies cost, as a decimal string.
    pub money: Option<String>,
    /// What they might have cost.
    pub max_money: Option<String>,
}

/// Words of users and models.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Content {
    /// They were not kept, or are not for whoever reads this.
    #[default]
    Withheld,
    /// The most different pairs.
    Kept(Vec<Example>),
}

/// A pair, with its words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Example {
    /// The pair's id.
    pub pair: String,
    /// Why it is here: the metric in which the answers differ.
    pub metric: Metric,
    /// What that metric says of it.
    pub score: Number,
    /// The end of what was asked.
    pub prompt: String,
    /// The serving model's answer.
    pub primary: String,
    /// The candidate's.
    pub candidate: String,
}

impl Report {
    /// Reads a report.
    ///
    /// # Errors
    /// With the field that is wrong and what to do.
    pub fn parse(json: &str) -> Result<Self, Fault> {
        let report: Self = serde_json::from_str(json).map_err(|error| Fault::new("report", error.to_string()))?;
        report.check()?;
        Ok(report)
    }

    /// The report as canonical JSON: sorted keys, no spaces, one spelling of numbers.
    ///
    /// # Errors
    /// With the field that is wrong: what is written can be read.
    pub fn json(&self) -> Result<String, Fault> {
        self.check()?;
        let value = serde_json::to_value(self).map_err(|error| Fault::new("report", error.to_string()))?;
        Ok(canonical::json(&value))
    }

    /// Its name by content: `sha256:` and 64 hex digits over [`Self::json`].
    ///
    /// # Errors
    /// As [`Self::json`].
    pub fn digest(&self) -> Result<String, Fault> {
        Ok(canonical::digest(&self.json()?))
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::Report;

    /// A comparison as they are, with everything that a report may have.
    pub fn example() -> Report {
        Report::parse(include_str!("../../examples/report.json")).unwrap()
    }
}
