//! Germany.

use super::by_context;
use crate::rule::{Candidate, Rule};

/// The tax identification number.
pub fn rules() -> Vec<Rule> {
    vec![Rule::judged(
        "STEUER_ID",
        r"\b[1-9][0-9](?:[ /]?[0-9]{3}){3}\b",
        steuer_id,
    )]
}

/// Abgabenordnung § 139b and StIdV: of the first ten digits exactly one occurs twice or three times, and the last is a
/// check by ISO 7064 MOD 11,10.
fn steuer_id(candidate: Candidate<'_>) -> Option<f64> {
    let digits = candidate.digits();
    let mut counts = [0; 10];
    for digit in &digits[..10] {
        counts[*digit as usize] += 1;
    }
    let repeated: Vec<_> = counts.iter().filter(|count| **count > 1).collect();
    let is_drawn = matches!(repeated[..], [2 | 3]);
    let product = digits[..10].iter().fold(10, |product, digit| {
        let sum = (digit + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    let check = (11 - product) % 10;
    let score = by_context(
        candidate,
        &["steuer", "tax", "idnr", "identifikationsnummer"],
        0.95,
        0.6,
    );
    (is_drawn && digits[10] == check).then_some(score)
}
