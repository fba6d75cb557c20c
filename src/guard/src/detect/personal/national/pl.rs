//! Poland.

use super::{by_context, is_day, weighted};
use crate::rule::{Candidate, Rule};

/// PESEL, NIP and REGON.
pub fn rules() -> Vec<Rule> {
    vec![
        Rule::judged("PESEL", r"\b[0-9]{11}\b", pesel),
        Rule::judged(
            "NIP",
            r"\b[0-9]{3}[ -]?(?:[0-9]{3}[ -]?[0-9]{2}|[0-9]{2}[ -]?[0-9]{2})[ -]?[0-9]{2,3}\b",
            nip,
        ),
        Rule::judged("REGON", r"\b(?:[0-9]{9}|[0-9]{14})\b", regon),
    ]
}

/// Ustawa o ewidencji ludności, art. 15-17: the date of birth, whose month tells the century (+80 for 18xx, +20 for 20xx,
/// +40 for 21xx, +60 for 22xx), a serial number, and a check digit by the weights 1 3 7 9 modulo 10.
fn pesel(candidate: Candidate<'_>) -> Option<f64> {
    let digits = candidate.digits();
    let month = (digits[2] * 10 + digits[3]) % 20;
    let day = digits[4] * 10 + digits[5];
    let sum = weighted(&digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]);
    (is_day(month, day) && sum.is_multiple_of(10)).then_some(0.85)
}

/// Ustawa o zasadach ewidencji i identyfikacji podatników: the sum by the weights 6 5 7 2 3 4 5 6 7 modulo 11 is the last
/// digit, and never 10.
fn nip(candidate: Candidate<'_>) -> Option<f64> {
    let digits = candidate.digits();
    if digits.len() != 10 || digits.iter().take(3).all(|digit| *digit == 0) {
        return None;
    }
    let is_grouped = candidate.text.len() > 10;
    let score = by_context(
        candidate,
        &["nip", "vat", "podat"],
        0.9,
        if is_grouped { 0.7 } else { 0.4 },
    );
    (weighted(&digits, &[6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11 == digits[9]).then_some(score)
}

/// Rozporządzenie w sprawie rejestru REGON: weights 8 9 2 3 4 5 6 7, or 2 4 8 5 0 9 7 3 6 1 2 4 8 for 14 digits, modulo 11,
/// where 10 counts as 0.
fn regon(candidate: Candidate<'_>) -> Option<f64> {
    let digits = candidate.digits();
    let weights: &[u32] = match digits.len() {
        9 => &[8, 9, 2, 3, 4, 5, 6, 7],
        _ => &[2, 4, 8, 5, 0, 9, 7, 3, 6, 1, 2, 4, 8],
    };
    let check = weighted(&digits, weights) % 11 % 10;
    let score = by_context(candidate, &["regon"], 0.9, 0.3);
    (digits.last() == Some(&check)).then_some(score)
}
