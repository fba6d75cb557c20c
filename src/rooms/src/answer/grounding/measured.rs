//! How well checks tell apart what documents support and what they do not.

use super::Verdict;

/// Verdicts on sentences of which somebody knows what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Not supported, and flagged.
    pub found: usize,
    /// Not supported, and let through.
    pub missed: usize,
    /// Supported, and flagged.
    pub falsely: usize,
    /// Supported, and let through.
    pub passed: usize,
}

impl Measured {
    /// Adds a sentence.
    pub fn add(&mut self, is_supported: bool, verdict: &Verdict) {
        let count = match (is_supported, verdict.may_pass()) {
            (false, false) => &mut self.found,
            (false, true) => &mut self.missed,
            (true, false) => &mut self.falsely,
            (true, true) => &mut self.passed,
        };
        *count += 1;
    }

    /// How many there were.
    pub fn all(&self) -> usize {
        self.found + self.missed + self.falsely + self.passed
    }

    /// The share of the flagged sentences that are not supported. None if nothing was flagged.
    pub fn precision(&self) -> Option<f64> {
        share(self.found, self.falsely)
    }

    /// The share of the sentences that are not supported that were flagged. None if all are supported.
    pub fn recall(&self) -> Option<f64> {
        share(self.found, self.missed)
    }

    /// The share of the supported sentences that were let through. None if none is supported.
    pub fn passing(&self) -> Option<f64> {
        share(self.passed, self.falsely)
    }
}

fn share(part: usize, rest: usize) -> Option<f64> {
    (part + rest > 0).then(|| part as f64 / (part + rest) as f64)
}
