//! The United States.

use super::{by_context, number};
use crate::rule::{Candidate, Rule};

/// The Social Security number. It has no checksum.
pub fn rules() -> Vec<Rule> {
    vec![Rule::judged("SSN", r"\b[0-9]{3}[ -]?[0-9]{2}[ -]?[0-9]{4}\b", ssn)]
}

/// Social Security Administration, POMS RM 10201.035: no part is all zeros, the area is neither 666 nor above 899. Two numbers
/// are known from advertisements.
fn ssn(candidate: Candidate<'_>) -> Option<f64> {
    let digits = candidate.digits();
    let (area, group, serial) = (number(&digits[..3]), number(&digits[3..5]), number(&digits[5..]));
    let is_given = !matches!(area, 0 | 666 | 900..) && group != 0 && serial != 0;
    let is_known = matches!((area, group, serial), (78, 5, 1120) | (219, 9, 9999));
    let bare = match candidate.text.len() {
        9 => 0.2,
        11 => 0.75,
        _ => 0.3,
    };
    let score = by_context(candidate, &["ssn", "social security"], 0.9, bare);
    (is_given && !is_known).then_some(score)
}
