//! Limits outside of which a record is dropped.

use protocol::tune::Quality;

use super::measure::Measures;
use crate::stages::Error;

/// Refuses limits that make no sense.
pub fn check(quality: &Quality) -> Result<(), Error> {
    let shares = [
        ("maxSymbols", quality.max_symbols),
        ("maxRepeatedLines", quality.max_repeated_lines),
    ];
    for (field, share) in shares {
        if let Some(value) = share.filter(|share| !(0.0..=1.0).contains(share)) {
            return Err(Error::Share { field, value });
        }
    }
    match (quality.min_words, quality.max_words) {
        (Some(min), Some(max)) if min > max => Err(Error::Words { min, max }),
        _ => Ok(()),
    }
}

/// The limit that `measures` exceed.
pub fn exceeded(quality: &Quality, measures: &Measures) -> Option<&'static str> {
    let words = measures.words.len() as u64;
    if quality.min_words.is_some_and(|min| words < u64::from(min)) {
        return Some("quality.minWords");
    }
    if quality.max_words.is_some_and(|max| words > u64::from(max)) {
        return Some("quality.maxWords");
    }
    let above =
        |part: u64, whole: u64, limit: Option<f64>| limit.is_some_and(|limit| part as f64 > limit * whole as f64);
    if above(measures.symbols, measures.characters, quality.max_symbols) {
        return Some("quality.maxSymbols");
    }
    let (again, _) = measures.repeated_lines();
    let is_repeated = above(again, measures.lines.len() as u64, quality.max_repeated_lines);
    is_repeated.then_some("quality.maxRepeatedLines")
}
