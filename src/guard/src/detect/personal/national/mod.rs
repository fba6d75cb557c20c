//! Numbers that states give to people, by locale. Numbers whose check passes by chance once in eleven need a word
//! before them that says what they are.

mod de;
mod es;
mod fr;
mod gb;
mod it;
mod nl;
mod pl;
mod us;

use crate::{rule::Rule, spec::Locale};

/// All of them.
pub fn rules() -> Vec<(Locale, Rule)> {
    let rules = [
        (Locale::DE, de::rules()),
        (Locale::ES, es::rules()),
        (Locale::FR, fr::rules()),
        (Locale::GB, gb::rules()),
        (Locale::IT, it::rules()),
        (Locale::NL, nl::rules()),
        (Locale::PL, pl::rules()),
        (Locale::US, us::rules()),
    ];
    let of = |(locale, rules): (Locale, Vec<Rule>)| rules.into_iter().map(move |rule| (locale, rule));
    rules.into_iter().flat_map(of).collect()
}

/// The sum of digits, each times its weight.
fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum()
}

/// The number that digits are.
fn number(digits: &[u32]) -> u64 {
    digits.iter().fold(0, |number, digit| number * 10 + u64::from(*digit))
}

/// Whether there is such a day in some year.
fn is_day(month: u32, day: u32) -> bool {
    let days = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// `told` after one of `words`, else `bare`.
fn by_context(candidate: crate::rule::Candidate<'_>, words: &[&str], told: f64, bare: f64) -> f64 {
    if candidate.follows(words) { told } else { bare }
}
