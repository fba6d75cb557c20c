//! Spain.

use crate::rule::{Candidate, Rule};

/// DNI and NIE.
pub fn rules() -> Vec<Rule> {
    vec![Rule::judged(
        "DNI",
        r"(?i)\b(?:[0-9]{8}|[XYZ][ -]?[0-9]{7})[ -]?[A-Z]\b",
        dni,
    )]
}

/// Ministerio del Interior, "Cálculo del dígito de control del NIF/NIE": the number modulo 23 chooses a letter; X, Y and Z
/// of foreigners stand for 0, 1 and 2.
fn dni(candidate: Candidate<'_>) -> Option<f64> {
    const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";
    let text = candidate.compact();
    let (check, number) = text.split_last()?;
    let number = number.iter().fold(0, |number: usize, byte| {
        let digit = match byte {
            b'X'..=b'Z' => byte - b'X',
            digit => digit - b'0',
        };
        number * 10 + usize::from(digit)
    });
    (number > 0 && LETTERS[number % 23] == *check).then_some(0.85)
}
