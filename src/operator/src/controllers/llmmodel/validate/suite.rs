//! Suites that a version is evaluated on, with defaults filled in.

use api::{LlmModelSpec, llmmodel::EvaluationSuite};
use serde::Serialize;

use super::super::source::Source;

/// How far a score may be under the serving version's when the spec does not say.
const DEFAULT_REGRESSION: &str = "0.02";

/// A suite and what is enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Suite {
    /// Its name.
    pub name: String,
    /// Where its questions are; `None` is the worker's suite of that name.
    pub source: Option<Source>,
    /// Least score, as a decimal string.
    #[serde(skip)]
    pub min_score: Option<String>,
    /// Most that the score may be under the serving version's.
    #[serde(skip)]
    pub max_regression: String,
}

impl Suite {
    /// The suites of a spec.
    pub fn of(spec: &LlmModelSpec) -> Vec<Self> {
        let gates = spec.rollout.as_ref().and_then(|rollout| rollout.gates.as_ref());
        let evaluation = gates.and_then(|gates| gates.evaluation.as_ref());
        let suites = evaluation.iter().flat_map(|evaluation| &evaluation.suites);
        suites.map(Self::new).collect()
    }

    fn new(suite: &EvaluationSuite) -> Self {
        Self {
            name: suite.name.clone(),
            source: suite.source.as_ref().and_then(Source::of_file),
            min_score: suite.min_score.clone(),
            max_regression: suite
                .max_regression
                .clone()
                .unwrap_or_else(|| DEFAULT_REGRESSION.into()),
        }
    }
}
