//! Base64 (RFC 4648) of an instruction.

use base64::{Engine, alphabet, engine::GeneralPurpose, engine::general_purpose::NO_PAD};

use super::{KIND, PLAIN};
use crate::rule::{Candidate, Rule};

const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, NO_PAD.with_decode_allow_trailing_bits(true));

/// Bytes that are decoded at once.
const PIECE: usize = 1024;

/// A run of base64 that means a phrase.
pub fn rule() -> Rule {
    Rule::preferred(KIND, r"\b[A-Za-z0-9+/_-]{24,}", judge).cut_at(PIECE)
}

fn judge(candidate: Candidate<'_>) -> Option<f64> {
    let standard = candidate.text.replace('-', "+").replace('_', "/");
    // A rest of one character means nothing.
    let length = standard.len() - usize::from(standard.len() % 4 == 1);
    let decoded = STANDARD.decode(&standard[..length]).ok()?;
    let text = String::from_utf8_lossy(&decoded);
    let printable = text.chars().filter(|c| !c.is_control() && *c != '\u{FFFD}').count();
    if printable * 10 < text.chars().count() * 8 {
        return None;
    }
    let mut stream = PLAIN.whole();
    stream.push(&text, &mut String::new()).ok()?;
    stream.finish(&mut String::new()).ok()?;
    // Nobody encodes it without a reason.
    (!stream.report().is_empty()).then_some(0.9)
}
