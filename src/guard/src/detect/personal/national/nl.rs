//! The Netherlands.

use super::{by_context, weighted};
use crate::rule::{Candidate, Rule};

/// The citizen service number.
pub fn rules() -> Vec<Rule> {
    vec![Rule::judged("BSN", r"\b[0-9]{9}\b", bsn)]
}

/// Besluit burgerservicenummer, the "elfproef": the sum by the weights 9 to 2, less the last digit, is a multiple of 11.
fn bsn(candidate: Candidate<'_>) -> Option<f64> {
    let digits = candidate.digits();
    let sum = weighted(&digits, &[9, 8, 7, 6, 5, 4, 3, 2]);
    let is_number = sum > 0 && sum % 11 == digits[8];
    is_number.then(|| by_context(candidate, &["bsn", "burgerservice", "sofi"], 0.9, 0.3))
}
