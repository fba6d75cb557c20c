//! The United Kingdom.

use crate::rule::{Candidate, Rule};

/// The National Insurance number. It has no checksum.
pub fn rules() -> Vec<Rule> {
    let pattern = r"(?i)\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?:[ ]?[0-9]{2}){3}[ ]?[A-D]\b";
    vec![Rule::judged("NINO", pattern, nino)]
}

/// HMRC, National Insurance Manual NIM39110: prefixes that are not given out.
fn nino(candidate: Candidate<'_>) -> Option<f64> {
    const NEVER: [&[u8]; 7] = [b"BG", b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ"];
    let text = candidate.compact();
    let is_lower = candidate.text.bytes().any(|byte| byte.is_ascii_lowercase());
    (!NEVER.contains(&&text[..2])).then_some(if is_lower { 0.5 } else { 0.8 })
}
