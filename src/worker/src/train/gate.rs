//! Whether a result may be published: it is compared with the base, or with what was published last.

use protocol::{
    SuiteScore,
    tune::{Gate, GateOutcome, GateReference},
};

/// What is known of a model.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// Loss on the validation part.
    pub loss: Option<f64>,
    /// Scores of the suites.
    pub suites: &'a [SuiteScore],
}

/// Compares a result with a reference.
pub fn judge(gate: &Gate, result: Evidence<'_>, reference: Evidence<'_>) -> GateOutcome {
    let name = match (gate.against, &gate.current) {
        (GateReference::Current, Some(_)) => "the current output",
        (GateReference::Current, None) => "the base (nothing is published yet)",
        (GateReference::Base, _) => "the base",
    };
    let allowed = gate.max_regression;
    let mut said = Vec::new();
    let mut passed = true;
    if let (Some(loss), Some(other)) = (result.loss, reference.loss) {
        // No number passes no gate.
        let good = loss <= other * (1.0 + allowed);
        passed &= good;
        let change = (loss / other - 1.0) * 100.0;
        said.push(format!(
            "validation loss {loss:.4} against {other:.4} ({change:+.1} %){}",
            mark(good)
        ));
    }
    for score in result.suites {
        let other = reference
            .suites
            .iter()
            .find(|it| it.suite == score.suite && it.digest == score.digest);
        let numbers = other.and_then(|other| Some((score.score.parse().ok()?, other.score.parse().ok()?)));
        let Some((own, other)) = numbers else {
            passed = false;
            said.push(format!(
                "suite {}: no score to compare with{}",
                score.suite,
                mark(false)
            ));
            continue;
        };
        let (own, other): (f64, f64) = (own, other);
        let good = own >= other * (1.0 - allowed);
        passed &= good;
        said.push(format!(
            "suite {} {own:.4} against {other:.4}{}",
            score.suite,
            mark(good)
        ));
    }
    if said.is_empty() {
        passed = false;
        said.push("nothing to compare: hold back a validation part, or name suites".into());
    }
    let verdict = if passed { "passed" } else { "rejected" };
    GateOutcome {
        passed,
        reason: format!(
            "{verdict} against {name}, at most {:.1} % worse: {}",
            allowed * 100.0,
            said.join("; ")
        ),
    }
}

fn mark(good: bool) -> &'static str {
    if good { "" } else { ", too bad" }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn score(suite: &str, score: &str) -> SuiteScore {
        SuiteScore {
            suite: suite.into(),
            digest: "sha256:0".into(),
            score: score.into(),
            questions: 10,
            failed: Vec::new(),
        }
    }

    #[rstest]
    #[case::better(Some(1.0), Some(2.0), "0.5", "0.5", true)]
    #[case::little_worse(Some(2.02), Some(2.0), "0.5", "0.5", true)]
    #[case::worse(Some(2.05), Some(2.0), "0.5", "0.5", false)]
    #[case::no_number(Some(f64::NAN), Some(2.0), "0.5", "0.5", false)]
    #[case::suite_worse(Some(1.0), Some(2.0), "0.4", "0.5", false)]
    #[case::suites_alone(None, None, "0.6", "0.5", true)]
    fn results_pass_or_not(
        #[case] loss: Option<f64>,
        #[case] other: Option<f64>,
        #[case] suite: &str,
        #[case] other_suite: &str,
        #[case] passed: bool,
    ) {
        let gate = Gate {
            against: GateReference::Base,
            current: None,
            max_regression: 0.02,
        };
        let (own, others) = ([score("facts", suite)], [score("facts", other_suite)]);
        let evidence = |loss, suites| Evidence { loss, suites };
        let outcome = judge(&gate, evidence(loss, &own), evidence(other, &others));
        assert_eq!(outcome.passed, passed, "{}", outcome.reason);
        assert!(outcome.reason.contains("against the base") && outcome.reason.contains("suite facts"));
    }

    #[test]
    fn what_cannot_be_compared_does_not_pass() {
        let gate = Gate {
            against: GateReference::Current,
            current: None,
            max_regression: 0.5,
        };
        let nothing = Evidence {
            loss: None,
            suites: &[],
        };
        let outcome = judge(&gate, nothing, nothing);
        assert!(
            !outcome.passed && outcome.reason.contains("nothing to compare"),
            "{}",
            outcome.reason
        );
        let own = [score("facts", "1.0")];
        let with = Evidence {
            loss: Some(1.0),
            suites: &own,
        };
        let outcome = judge(
            &gate,
            with,
            Evidence {
                loss: Some(1.0),
                ..nothing
            },
        );
        assert!(
            !outcome.passed && outcome.reason.contains("no score"),
            "{}",
            outcome.reason
        );
    }
}
