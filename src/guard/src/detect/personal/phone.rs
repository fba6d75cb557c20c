//! Phone numbers: international ones by ITU-T E.164, national ones in the shapes that people of a country write.

use crate::{
    rule::{Candidate, Rule},
    spec::Locale,
};

const KIND: &str = "PHONE";
/// Words that make a number a phone number.
const WORDS: [&str; 16] = [
    "tel",
    "phone",
    "mobil",
    "cell",
    "call",
    "fax",
    "whatsapp",
    "sms",
    "handy",
    "numer",
    "móvil",
    "portable",
    "cellulare",
    "anruf",
    "dzwoń",
    "appel",
];
/// Assigned codes of two digits; all of one digit are 1 and 7, and those of three begin as listed below (ITU-T E.164, list of
/// assigned country codes).
const TWO: [u32; 44] = [
    20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54, 55, 56, 57, 58, 60, 61, 62,
    63, 64, 65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98,
];
const THREE: [u32; 22] = [
    21, 22, 23, 24, 25, 26, 29, 35, 37, 38, 42, 50, 59, 67, 68, 69, 80, 85, 87, 88, 96, 97,
];

/// With `+` or 00 and the code of a country.
pub fn international() -> Rule {
    let pattern = r"(?:\+|\b00)[1-9](?:[ \u{a0}().\/-]{0,2}[0-9]){6,14}\b";
    Rule::judged(KIND, pattern, judge_international)
}

fn judge_international(candidate: Candidate<'_>) -> Option<f64> {
    let has_plus = candidate.text.starts_with('+');
    let digits = candidate.digits();
    let digits = if has_plus { &digits[..] } else { digits.get(2..)? };
    let two = digits.first()? * 10 + digits.get(1)?;
    let is_code = matches!(digits.first()?, 1 | 7) || TWO.contains(&two) || THREE.contains(&two) || two == 99;
    if !is_code || !(8..=15).contains(&digits.len()) {
        return None;
    }
    let is_told = has_plus || candidate.follows(&WORDS);
    Some(if is_told { 0.8 } else { 0.45 })
}

/// Without the code of a country.
pub fn national() -> Vec<(Locale, Rule)> {
    let rules: [(_, _, crate::rule::Judge); 9] = [
        (
            Locale::DE,
            r"\b0[1-9][0-9]{1,4}[ /-]{1,3}[0-9](?:[ -]?[0-9]){4,9}\b",
            grouped,
        ),
        (Locale::ES, r"\b[6-9][0-9]{2}(?:[ .-]?[0-9]{3}){2}\b", grouped),
        (Locale::ES, r"\b[6-9][0-9]{2}(?:[ .-]?[0-9]{2}){3}\b", grouped),
        (Locale::FR, r"\b0[1-9](?:[ .-]?[0-9]{2}){4}\b", grouped),
        (Locale::GB, r"\b0[1-9](?:[ -]?[0-9]){8,9}\b", grouped),
        (Locale::IT, r"\b3[0-9]{2}[ .-]?[0-9]{3}[ .-]?[0-9]{3,4}\b", grouped),
        (Locale::NL, r"\b0[1-9][0-9]{0,2}[ -]?[0-9](?:[ ]?[0-9]){5,7}\b", grouped),
        (Locale::PL, r"\b[1-9][0-9]{2}(?:[ -]?[0-9]{3}){2}\b", polish),
        (
            Locale::US,
            r"(?:\(|\b)[2-9][0-9]{2}\)?[ .-]{0,2}[2-9][0-9]{2}[ .-]?[0-9]{4}\b",
            american,
        ),
    ];
    let built = rules.map(|(locale, pattern, judge)| (locale, Rule::judged(KIND, pattern, judge)));
    built.into_iter().collect()
}

/// Digits in one piece can be anything.
fn grouped(candidate: Candidate<'_>) -> Option<f64> {
    let is_grouped = candidate.text.bytes().any(|byte| !byte.is_ascii_digit());
    Some(match (is_grouped, candidate.follows(&WORDS)) {
        (_, true) => 0.8,
        (true, false) => 0.55,
        (false, false) => 0.3,
    })
}

/// Mobile numbers begin as the Urząd Komunikacji Elektronicznej has assigned them.
fn polish(candidate: Candidate<'_>) -> Option<f64> {
    let digits = candidate.digits();
    let first = digits[0] * 10 + digits[1];
    let is_mobile = matches!(first, 45 | 50 | 51 | 53 | 57 | 60 | 66 | 69 | 72 | 73 | 78 | 79 | 88);
    let score = grouped(candidate)?;
    // Three groups of three digits are a large number as well.
    Some(if is_mobile || candidate.follows(&WORDS) {
        score
    } else {
        score * 0.7
    })
}

/// North American Numbering Plan: neither area nor exchange ends in 11.
fn american(candidate: Candidate<'_>) -> Option<f64> {
    let digits = candidate.digits();
    let is_service = |from: usize| digits[from + 1] == 1 && digits[from + 2] == 1;
    let is_open = candidate.text.starts_with('(') && !candidate.text.contains(')');
    if is_service(0) || is_service(3) || is_open {
        return None;
    }
    grouped(candidate)
}
