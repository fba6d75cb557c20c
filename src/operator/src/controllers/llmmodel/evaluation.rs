//! What a version scored, and whether that is enough. Pure.

use api::{llmmodel::EvaluationScore, reasons};
use protocol::{EvaluationReport, SuiteScore};
use serde::{Deserialize, Serialize};

use super::{canonical, quantity, trouble::Trouble, validate::Suite, version::Version};

/// The scores that are kept beside a version's snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evaluation {
    /// [`suites_key`] of the suites.
    pub key: String,
    /// What the evaluation said.
    pub report: EvaluationReport,
}

/// `e-` and ten hex digits over which suites are meant; what is enough may change without a new evaluation.
pub fn suites_key(suites: &[Suite]) -> String {
    let places: Vec<_> = suites
        .iter()
        .map(|suite| (&suite.name, suite.source.as_ref().map(super::source::Source::key)))
        .collect();
    format!("e-{}", canonical::digest(&places, 10))
}

/// The key of the Job that evaluates a version on suites.
pub fn job_key(version: &Version, suites: &[Suite]) -> String {
    format!("e-{}", canonical::digest(&(&version.name, suites_key(suites)), 10))
}

impl Evaluation {
    /// The score of a suite.
    fn of(&self, suite: &str) -> Option<&SuiteScore> {
        self.report.suites.iter().find(|score| score.suite == suite)
    }

    /// The scores for the status. `serving` are those of the version that serves.
    pub fn scores(&self, suites: &[Suite], serving: Option<&Self>) -> Vec<EvaluationScore> {
        let scores = self.report.suites.iter().map(|score| {
            let suite = suites.iter().find(|suite| suite.name == score.suite);
            let other = serving.and_then(|serving| serving.of(&score.suite));
            EvaluationScore {
                suite: score.suite.clone(),
                score: score.score.clone(),
                questions: i32::try_from(score.questions).unwrap_or(i32::MAX),
                passed: suite.is_none_or(|suite| shortfall(score, suite, other).is_none()),
            }
        });
        scores.collect()
    }

    /// Why the version may not serve: every suite that it fails.
    pub fn trouble(&self, version: &str, suites: &[Suite], serving: Option<&Self>) -> Option<Trouble> {
        let failed: Vec<_> = suites
            .iter()
            .filter_map(|suite| {
                let score = self.of(&suite.name)?;
                let other = serving.and_then(|serving| serving.of(&suite.name));
                Some(format!("{}: {}", suite.name, shortfall(score, suite, other)?))
            })
            .collect();
        if failed.is_empty() {
            return None;
        }
        let message = format!(
            "version {version} does not pass spec.rollout.gates.evaluation. {}. \
             Change the spec, allow more, or name the version in spec.version to serve it all the same",
            failed.join("; ")
        );
        Some(Trouble::new(reasons::EVALUATION_FAILED, message))
    }
}

/// What a score lacks. Scores of other questions are not compared.
fn shortfall(score: &SuiteScore, suite: &Suite, serving: Option<&SuiteScore>) -> Option<String> {
    let own = quantity::nanos(&score.score)?;
    let examples = match score.failed[..] {
        [] => String::new(),
        ref failed => format!(" (wrong: {})", failed.join(", ")),
    };
    if let Some(least) = &suite.min_score
        && own < quantity::nanos(least)?
    {
        return Some(format!("score {} is under minScore {least}{examples}", score.score));
    }
    let serving = serving.filter(|serving| serving.digest == score.digest)?;
    let fall = quantity::nanos(&serving.score)? - own;
    (fall > quantity::nanos(&suite.max_regression)?).then(|| {
        format!(
            "score {} is further under the {} of the version that serves than maxRegression {}{examples}",
            score.score, serving.score, suite.max_regression
        )
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::controllers::llmmodel::testing::wanted;

    fn evaluation(score: &str, digest: &str) -> Evaluation {
        let score = json!({"suite": "facts", "digest": digest, "score": score, "questions": 40, "failed": ["q7"]});
        serde_json::from_value(json!({"key": "e-0", "report": {"suites": [score]}})).unwrap()
    }

    fn suites(settings: &str) -> Vec<Suite> {
        let suite: serde_json::Value = serde_json::from_str(settings).unwrap();
        wanted(json!({"rollout": {"gates": {"evaluation": {"suites": [suite]}}}})).evaluation
    }

    #[rstest]
    #[case::nothing_asked(r#"{"name": "facts"}"#, "0.1000", None, None)]
    #[case::enough(r#"{"name": "facts", "minScore": "0.8"}"#, "0.8000", None, None)]
    #[case::too_little(
        r#"{"name": "facts", "minScore": "0.8"}"#,
        "0.7999",
        None,
        Some("facts: score 0.7999 is under minScore 0.8 (wrong: q7)")
    )]
    #[case::as_good(r#"{"name": "facts"}"#, "0.8800", Some(("0.9000", "d")), None)]
    #[case::worse(r#"{"name": "facts"}"#, "0.8799", Some(("0.9000", "d")), Some("maxRegression 0.02"))]
    #[case::allowed(r#"{"name": "facts", "maxRegression": "0.5"}"#, "0.5000", Some(("0.9000", "d")), None)]
    #[case::other_questions(r#"{"name": "facts"}"#, "0.1000", Some(("0.9000", "other")), None)]
    fn a_score_is_enough_or_not(
        #[case] suite: &str,
        #[case] score: &str,
        #[case] serving: Option<(&str, &str)>,
        #[case] expected: Option<&str>,
    ) {
        let (suites, own) = (suites(suite), evaluation(score, "d"));
        let serving = serving.map(|(score, digest)| evaluation(score, digest));
        let trouble = own.trouble("v-1", &suites, serving.as_ref());
        assert_eq!(trouble.is_some(), expected.is_some(), "{trouble:?}");
        assert_eq!(own.scores(&suites, serving.as_ref())[0].passed, expected.is_none());
        if let (Some(trouble), Some(expected)) = (trouble, expected) {
            assert!(trouble.message.contains(expected), "{}", trouble.message);
        }
    }

    #[test]
    fn limits_change_no_key() {
        let key = |settings: &str| suites_key(&suites(settings));
        let base = key(r#"{"name": "facts"}"#);
        assert_eq!(base, key(r#"{"name": "facts", "minScore": "0.5"}"#));
        assert_ne!(base, key(r#"{"name": "manners"}"#));
        let own = r#"{"name": "facts", "source": {"oci": {"image": "suites:1", "path": "facts.jsonl"}}}"#;
        assert_ne!(base, key(own));
    }
}
