//! What all attacks together say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    attack::Class,
    judge::{Finding, Verdict},
    observed::Part,
    timing,
};

/// Attempts of a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// All of them.
    pub attempts: u64,
    /// Those that saw nothing that they must not.
    pub passed: u64,
    /// Those that did.
    pub leaked: u64,
    /// Those that saw what they may, which proves that there is something to be seen.
    pub seen: u64,
    /// Those that prove nothing.
    pub blind: u64,
}

/// What came of a suite.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// By class.
    pub classes: BTreeMap<Class, Counts>,
    /// What was found, at most [`Self::MAX_FINDINGS`], each once.
    pub findings: Vec<Finding>,
    /// Probabilities of the differences in time.
    pub times: Vec<f64>,
}

impl Summary {
    /// Findings that are kept.
    pub const MAX_FINDINGS: usize = 100;

    /// Adds what came of an attack.
    pub fn add(&mut self, class: Class, verdict: &Verdict) {
        let counts = self.classes.entry(class).or_default();
        counts.attempts += 1;
        match verdict {
            Verdict::Passed => counts.passed += 1,
            Verdict::Seen => counts.seen += 1,
            Verdict::Blind => counts.blind += 1,
            Verdict::Leaked(findings) => {
                counts.leaked += 1;
                for finding in findings {
                    if self.findings.len() < Self::MAX_FINDINGS && !self.findings.contains(finding) {
                        self.findings.push(finding.clone());
                    }
                }
            }
        }
    }

    /// Adds times, in whatever unit, for queries near something hidden and near nothing. What they say depends on how
    /// many such tests there are: see [`Self::leaks_by_time`].
    pub fn add_times(&mut self, near: &[f64], far: &[f64]) {
        let counts = self.classes.entry(Class::Timing).or_default();
        counts.attempts += 1;
        match timing::probability(near, far) {
            Some(p) => {
                counts.passed += 1;
                self.times.push(p);
            }
            None => counts.blind += 1,
        }
    }

    /// How many of the tests of times found something, over all of them at [`timing::LEVEL`].
    pub fn leaks_by_time(&self) -> usize {
        timing::holm(&self.times, timing::LEVEL)
            .into_iter()
            .filter(|found| *found)
            .count()
    }

    /// All counts together.
    pub fn total(&self) -> Counts {
        self.classes.values().fold(Counts::default(), |sum, counts| Counts {
            attempts: sum.attempts + counts.attempts,
            passed: sum.passed + counts.passed,
            leaked: sum.leaked + counts.leaked,
            seen: sum.seen + counts.seen,
            blind: sum.blind + counts.blind,
        })
    }

    /// Why the Room did not pass, of the classes that were wished for; nothing if it did. One in which a class proved
    /// nothing, or in which nobody saw what they may, did not pass: nobody knows.
    pub fn failures(&self, wished: &[Class]) -> Vec<String> {
        let mut failures = Vec::new();
        for (class, counts) in &self.classes {
            if counts.leaked > 0 {
                failures.push(format!(
                    "{}: {} of {} leaked",
                    class.as_str(),
                    counts.leaked,
                    counts.attempts
                ));
            }
        }
        let leaks = self.leaks_by_time();
        if leaks > 0 {
            failures.push(format!("timing: {leaks} of {} differ", self.times.len()));
        }
        for class in wished {
            let counts = self.classes.get(class).copied().unwrap_or_default();
            if counts.passed + counts.leaked + counts.seen == 0 {
                failures.push(format!("{}: nothing was proved", class.as_str()));
            }
        }
        if self.total().seen == 0 {
            failures.push("nobody saw what they may see".into());
        }
        failures
    }

    /// Whether something was seen in this part.
    pub fn has_finding_in(&self, part: &Part) -> bool {
        self.findings.iter().any(|finding| finding.part == *part)
    }
}
