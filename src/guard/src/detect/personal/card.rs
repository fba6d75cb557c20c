//! Numbers of payment cards.
//!
//! ISO/IEC 7812-1: the first digits name the issuer, the last is a check by Luhn's formula (annex B): every second digit
//! from the right is doubled, the digits of all products are added, and the sum is a multiple of 10.

use crate::rule::{Candidate, Rule};

/// In one piece or in groups.
pub fn rule() -> Rule {
    let pattern = r"\b[0-9](?:[ \u{a0}\u{202f}.-]?[0-9]){11,18}\b";
    Rule::judged("PAYMENT_CARD", pattern, judge)
}

fn judge(candidate: Candidate<'_>) -> Option<f64> {
    let digits = candidate.digits();
    let is_number = is_issued(&digits) && luhn(&digits);
    is_number.then_some(0.9)
}

/// Whether Luhn's formula holds.
pub fn luhn(digits: &[u32]) -> bool {
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, digit)| if i % 2 == 1 { doubled(*digit) } else { *digit })
        .sum();
    sum.is_multiple_of(10)
}

/// Whether there is an issuer of numbers with such a beginning and length.
fn is_issued(digits: &[u32]) -> bool {
    let first = |count: usize| digits.iter().take(count).fold(0, |number, digit| number * 10 + digit);
    let length = digits.len();
    match (first(1), first(2), first(3), first(4)) {
        // Visa.
        (4, ..) => matches!(length, 13 | 16 | 19),
        // American Express.
        (_, 34 | 37, ..) => length == 15,
        // Mastercard.
        (_, 51..=55, ..) | (.., 2221..=2720) => length == 16,
        // Mir.
        (.., 2200..=2204) => (16..=19).contains(&length),
        // Discover, UnionPay.
        (.., 644..=649, _) | (_, 62 | 65, ..) | (.., 6011) => (16..=19).contains(&length),
        // Diners Club.
        (_, 36 | 38 | 39, ..) | (.., 300..=305, _) | (.., 3095) => (14..=19).contains(&length),
        // JCB.
        (.., 3528..=3589) => (16..=19).contains(&length),
        // Maestro.
        (.., 5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763) => (12..=19).contains(&length),
        _ => false,
    }
}
