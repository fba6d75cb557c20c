//! Whether a result may be published: it is compared with the base, or with what was published last.

use std::collections::BTreeMap;

use protocol::{
    SuiteScore,
    tune::{Gate, GateOutcome, GateReference, SuiteLimits},
};

/// What differences of decimal numbers are wrong by at most.
const ROUNDING: f64 = 1e-9;

/// What is known of a model.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// Loss on the validation part.
    pub loss: Option<f64>,
    /// Scores of the suites.
    pub suites: &'a [SuiteScore],
}

/// Compares a result with the reference of a gate, if there is one, and with the limits of suites by their names.
/// Nothing where neither asks for anything.
pub fn judge(
    result: Evidence<'_>,
    gate: Option<(&Gate, Evidence<'_>)>,
    limits: &BTreeMap<String, SuiteLimits>,
) -> Option<GateOutcome> {
    if gate.is_none() && limits.is_empty() {
        return None;
    }
    let mut said = Vec::new();
    let mut passed = true;
    let mut say = |good: bool, words: String| {
        passed &= good;
        said.push(words + if good { "" } else { ", too bad" });
    };
    if let Some((gate, reference)) = gate
        && let (Some(loss), Some(other)) = (result.loss, reference.loss)
    {
        let change = (loss / other - 1.0) * 100.0;
        // No number passes no gate.
        say(
            loss <= other * (1.0 + gate.max_regression),
            format!("validation loss {loss:.4} against {other:.4} ({change:+.1} %)"),
        );
    }
    for score in result.suites {
        let limits = limits.get(&score.suite).copied().unwrap_or_default();
        if let Some(least) = limits.min_score {
            let own = number(score);
            say(
                own.is_some_and(|own| own >= least),
                format!("suite {} {} of at least {least}", score.suite, score.score),
            );
        }
        let Some((gate, reference)) = gate else { continue };
        let others = &mut reference.suites.iter();
        let other = others.find(|it| it.suite == score.suite && it.digest == score.digest);
        let Some((own, other)) = number(score).zip(other.and_then(number)) else {
            say(false, format!("suite {}: no score to compare with", score.suite));
            continue;
        };
        let allowed = limits.max_regression.unwrap_or(other * gate.max_regression);
        let within = limits.max_regression.map(|most| format!(" (at most {most} under it)"));
        say(
            other - own <= allowed + ROUNDING,
            format!(
                "suite {} {own:.4} against {other:.4}{}",
                score.suite,
                within.unwrap_or_default()
            ),
        );
    }
    if said.is_empty() {
        passed = false;
        said.push("nothing to compare: hold back a validation part, or name suites".into());
    }
    let verdict = if passed { "passed" } else { "rejected" };
    let against = gate.map(|(gate, _)| {
        let worse = gate.max_regression * 100.0;
        format!(" against {}, at most {worse:.1} % worse", name(gate))
    });
    Some(GateOutcome {
        passed,
        reason: format!("{verdict}{}: {}", against.unwrap_or_default(), said.join("; ")),
    })
}

fn name(gate: &Gate) -> &'static str {
    match (gate.against, &gate.current) {
        (GateReference::Current, Some(_)) => "the current output",
        (GateReference::Current, None) => "the base (nothing is published yet)",
        (GateReference::Base, _) => "the base",
    }
}

/// Scores are written as decimal strings.
fn number(score: &SuiteScore) -> Option<f64> {
    score.score.parse().ok()
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
        let other = evidence(other, &others);
        let outcome = judge(evidence(loss, &own), Some((&gate, other)), &BTreeMap::new()).unwrap();
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
        let none = BTreeMap::new();
        let outcome = judge(nothing, Some((&gate, nothing)), &none).unwrap();
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
        let other = Evidence {
            loss: Some(1.0),
            ..nothing
        };
        let outcome = judge(with, Some((&gate, other)), &none).unwrap();
        assert!(
            !outcome.passed && outcome.reason.contains("no score"),
            "{}",
            outcome.reason
        );
    }

    #[rstest]
    #[case::enough("0.8", Some(0.8), None, true)]
    #[case::too_little("0.7999", Some(0.8), None, false)]
    #[case::no_number("NaN", Some(0.8), None, false)]
    #[case::little_less("0.88", None, Some(0.02), true)]
    #[case::much_less("0.8799", None, Some(0.02), false)]
    #[case::both("0.88", Some(0.9), Some(0.5), false)]
    fn suites_have_limits_of_their_own(
        #[case] own: &str,
        #[case] min_score: Option<f64>,
        #[case] max_regression: Option<f64>,
        #[case] passed: bool,
    ) {
        let limits = SuiteLimits {
            min_score,
            max_regression,
        };
        let limits = BTreeMap::from([("facts".to_owned(), limits)]);
        let gate = Gate {
            against: GateReference::Base,
            current: None,
            max_regression: 0.0,
        };
        let (own, others) = ([score("facts", own)], [score("facts", "0.9")]);
        let evidence = |suites| Evidence { loss: None, suites };
        // A least score needs nothing to compare with.
        let compared = max_regression.map(|_| (&gate, evidence(&others[..])));
        let outcome = judge(evidence(&own), compared, &limits).unwrap();
        assert_eq!(outcome.passed, passed, "{}", outcome.reason);
        assert!(outcome.reason.contains("suite facts"), "{}", outcome.reason);
    }

    #[test]
    fn without_anything_that_is_asked_there_is_no_judgement() {
        let own = [score("facts", "0.1")];
        let evidence = Evidence {
            loss: Some(9.0),
            suites: &own,
        };
        assert_eq!(judge(evidence, None, &BTreeMap::new()), None);
    }
}
