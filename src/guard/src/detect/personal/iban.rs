//! International bank account numbers.
//!
//! ISO 13616-1: two letters of a country, two check digits, and an account of a length that the country decides
//! (SWIFT's IBAN Registry). The check is ISO 7064 MOD 97-10: with the first four characters moved to the end and letters
//! read as 10 to 35, the number is 1 modulo 97.

use crate::rule::{Candidate, Rule};

/// Lengths by country, from the IBAN Registry.
const LENGTHS: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 \
     EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 \
     KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 \
     PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30";

/// In one piece or in groups.
pub fn rule() -> Rule {
    let pattern = r"(?i)\b[A-Z]{2}[0-9]{2}(?:[ \u{a0}\u{202f}.-]?[A-Z0-9]){11,29}\b";
    Rule::judged("IBAN", pattern, judge)
}

fn judge(candidate: Candidate<'_>) -> Option<f64> {
    let iban = candidate.compact();
    let country = std::str::from_utf8(iban.get(..2)?).ok()?;
    let lengths = LENGTHS.split_ascii_whitespace();
    let length: usize = lengths.filter_map(|it| it.strip_prefix(country)).next()?.parse().ok()?;
    let is_length = iban.len() == length;
    let moved = iban[4..].iter().chain(&iban[..4]);
    let rest = moved.fold(0, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        letter => (rest * 100 + u32::from(letter - b'A') + 10) % 97,
    });
    (is_length && rest == 1).then_some(0.99)
}
