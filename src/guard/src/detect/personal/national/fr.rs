//! France.

use crate::rule::{Candidate, Rule};

/// The number of the social security.
pub fn rules() -> Vec<Rule> {
    let pattern = r"(?i)\b[12][ ]?[0-9]{2}[ ]?[0-9]{2}[ ]?(?:[0-9]{2}|2[AB])[ ]?[0-9]{3}[ ]?[0-9]{3}[ ]?[0-9]{2}\b";
    vec![Rule::judged("NIR", pattern, nir)]
}

/// INSEE, numéro d'inscription au répertoire: the key is 97 less the number modulo 97, with Corsica's 2A read as 19 and
/// 2B as 18.
fn nir(candidate: Candidate<'_>) -> Option<f64> {
    let text = String::from_utf8(candidate.compact()).ok()?;
    let text = text.replacen("2A", "19", 1).replacen("2B", "18", 1);
    let (number, key) = text.split_at_checked(13)?;
    let month: u32 = number.get(3..5)?.parse().ok()?;
    let is_month = matches!(month, 1..=12 | 20..=42 | 50..=99);
    let (number, key): (u64, u64) = (number.parse().ok()?, key.parse().ok()?);
    (is_month && key == 97 - number % 97).then_some(0.95)
}
