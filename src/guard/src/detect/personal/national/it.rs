//! Italy.

use crate::rule::{Candidate, Rule};

/// The fiscal code of a person.
pub fn rules() -> Vec<Rule> {
    // Letters stand for digits where two people would have the same code.
    let pattern = r"(?i)\b[A-Z]{6}[0-9LMNP-V]{2}[ABCDEHLMPR-T][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]\b";
    vec![Rule::judged("CODICE_FISCALE", pattern, codice_fiscale)]
}

/// D.M. 23 dicembre 1976: characters at odd places, counted from one, have values of a table, those at even places that of
/// their digit or letter; the sum modulo 26 is the last letter.
fn codice_fiscale(candidate: Candidate<'_>) -> Option<f64> {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
    ];
    let text = candidate.compact();
    let (check, rest) = text.split_last()?;
    let value = |byte: u8| {
        u32::from(if byte.is_ascii_digit() {
            byte - b'0'
        } else {
            byte - b'A'
        })
    };
    let values = rest.iter().enumerate().map(|(i, byte)| match i % 2 {
        0 => ODD[value(*byte) as usize],
        _ => value(*byte),
    });
    (values.sum::<u32>() % 26 == value(*check)).then_some(0.95)
}
