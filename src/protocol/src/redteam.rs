//! Rooms are attacked: what the operator asks of `atelier-data redteam`, and what it answers.
//!
//! The plan travels as JSON in [`PLAN_VARIABLE`](crate::tune::PLAN_VARIABLE), the answer is the last words of the pod. A run
//! asks the gateway as any caller, and looks for the words that are planted in each generation. Nothing of those words is
//! in what it says.

use serde::{Deserialize, Serialize};

use crate::{PrepareFailure, ingest::GatewayAccess};

/// Answers of the model that a run asks for at most, if the plan does not say. They take seconds each where there is no
/// accelerator. What needs none is done in full each time, and the others by turns.
pub const ANSWERS: u32 = 48;

/// What to attack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedTeamPlan {
    /// The Room's namespace.
    pub namespace: String,
    /// Its name.
    pub room: String,
    /// Where it is asked.
    pub gateway: GatewayAccess,
    /// Classes of attacks; none are all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suites: Vec<String>,
    /// Number of the run, by which it knows whose turn it is.
    pub run: u64,
    /// Answers of the model to ask for at most.
    pub answers: u32,
}

/// The last words of `atelier-data redteam`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RedTeamOutcome {
    /// All was tried.
    Finished(RedTeamReport),
    /// It was not: nothing is known.
    Failed(PrepareFailure),
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedTeamReport {
    /// The generation that was attacked.
    pub generation: u64,
    /// What it comes to.
    pub verdict: RedTeamVerdict,
    /// Canaries that there are to be, one for each source.
    pub canaries: u64,
    /// Those that were found by whoever may see them.
    pub found: u64,
    /// Attempts, controls among them.
    pub attempts: u64,
    /// Attempts by class, where one of them leaked or proved nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<RedTeamClass>,
    /// Why it was not passed, in words that give nothing away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<String>,
    /// How often the Room's detectors are right; nothing where that could not be measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detectors: Vec<RedTeamDetector>,
}

/// How often a detector of unsupported statements is right, in sentences of which that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedTeamDetector {
    /// Its name: one of `spec.answer.detectors`.
    pub name: String,
    /// Not supported, and found.
    pub found: u64,
    /// Not supported, and let through.
    pub missed: u64,
    /// Supported, and taken for something else.
    pub falsely: u64,
    /// Supported, and let through.
    pub passed: u64,
}

impl RedTeamDetector {
    /// Sentences that it looked at.
    pub fn samples(&self) -> u64 {
        self.found + self.missed + self.falsely + self.passed
    }

    /// Share of what it found that is not supported, from 0 to 1. None where it found nothing.
    pub fn precision(&self) -> Option<f64> {
        share(self.found, self.falsely)
    }

    /// Share of what is not supported that it found, from 0 to 1. None where there is none.
    pub fn recall(&self) -> Option<f64> {
        share(self.found, self.missed)
    }
}

fn share(part: u64, rest: u64) -> Option<f64> {
    (part + rest > 0).then(|| part as f64 / (part + rest) as f64)
}

/// What it comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RedTeamVerdict {
    /// Nothing was seen that must not be, and all that must be.
    Passed,
    /// Something was seen that must not be.
    Leaked,
    /// Nothing was seen that must not be, and not all that must be: nobody knows.
    #[default]
    Blind,
}

/// Attempts of a class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedTeamClass {
    /// Its name: one of `spec.redTeam.suites`.
    pub name: String,
    /// Attempts.
    pub attempts: u64,
    /// Those that saw what they must not.
    pub leaked: u64,
    /// Those that prove nothing.
    pub blind: u64,
}

/// Bytes of a termination message that Kubernetes keeps.
const LAST_WORDS: usize = 4096;

impl RedTeamOutcome {
    /// Parses last words; `None` when it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text.trim()).ok()
    }

    /// It as JSON that fits a termination message: of many failures the last ones are left out.
    pub fn last_words(&self) -> String {
        let mut outcome = self.clone();
        loop {
            let text = serde_json::to_string(&outcome).expect("our own types are representable as JSON");
            let is_shorter = match &mut outcome {
                _ if text.len() <= LAST_WORDS => false,
                Self::Finished(report) => report.failures.pop().is_some() || report.classes.pop().is_some(),
                Self::Failed(failure) => {
                    let half = failure.message.floor_char_boundary(failure.message.len() / 2);
                    failure.message.truncate(half);
                    half > 0
                }
            };
            if !is_shorter {
                return text;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::reasons;

    #[test]
    fn last_words_fit_and_come_back() {
        let report = RedTeamReport {
            generation: 7,
            verdict: RedTeamVerdict::Leaked,
            failures: vec!["direct: 2 of 30 leaked".into()],
            ..RedTeamReport::default()
        };
        let outcome = RedTeamOutcome::Finished(report.clone());
        assert_eq!(RedTeamOutcome::parse(&outcome.last_words()), Some(outcome));
        let long = RedTeamReport {
            failures: vec!["é".repeat(300); 40],
            ..report
        };
        let text = RedTeamOutcome::Finished(long).last_words();
        let Some(RedTeamOutcome::Finished(short)) = RedTeamOutcome::parse(&text) else {
            panic!("{text}")
        };
        assert!(text.len() <= LAST_WORDS && !short.failures.is_empty() && short.verdict == RedTeamVerdict::Leaked);
        let failed = RedTeamOutcome::Failed(PrepareFailure::new(reasons::INTERNAL, "x".repeat(9000), true));
        assert!(failed.last_words().len() <= LAST_WORDS);
        let detectors = ["Citations", "Overlap", "Entailment", "Confidence"].map(|name| RedTeamDetector {
            name: name.into(),
            found: u64::MAX,
            missed: u64::MAX,
            falsely: u64::MAX,
            passed: u64::MAX,
        });
        let measured = RedTeamReport {
            failures: vec!["x".repeat(300); 40],
            detectors: detectors.into(),
            ..RedTeamReport::default()
        };
        let text = RedTeamOutcome::Finished(measured).last_words();
        let Some(RedTeamOutcome::Finished(short)) = RedTeamOutcome::parse(&text) else {
            panic!("{text}")
        };
        assert!(text.len() <= LAST_WORDS && short.detectors.len() == 4 && !short.failures.is_empty());
        // What says nothing of a verdict has not passed.
        assert_eq!(RedTeamReport::default().verdict, RedTeamVerdict::Blind);
    }

    #[test]
    fn shares_are_of_what_there_is() {
        let detector = RedTeamDetector {
            found: 3,
            missed: 1,
            falsely: 0,
            passed: 4,
            ..RedTeamDetector::default()
        };
        assert_eq!(
            (detector.samples(), detector.precision(), detector.recall()),
            (8, Some(1.0), Some(0.75))
        );
        let nothing = RedTeamDetector::default();
        assert_eq!((nothing.precision(), nothing.recall()), (None, None));
    }
}
