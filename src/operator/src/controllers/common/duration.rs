//! Durations as specs write them: `90s`, `1h30m`, `7d`.

use std::time::Duration;

/// The value; `None` when it is not a duration or too long to be one.
pub fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = rest.split_at(digits);
        let letters = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        let (unit, next) = unit.split_at(letters);
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        let part = number.parse::<u64>().ok()?.checked_mul(milliseconds)?;
        sum = sum.checked_add(Duration::from_millis(part))?;
        rest = next;
    }
    (!text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("800ms", Some(800))]
    #[case("90s", Some(90_000))]
    #[case("1h30m", Some(5_400_000))]
    #[case("7d", Some(604_800_000))]
    #[case("0s", Some(0))]
    #[case("", None)]
    #[case("5", None)]
    #[case("s", None)]
    #[case("5y", None)]
    #[case("99999999999999999999d", None)]
    #[case("999999999999999999d", None)]
    fn texts_become_durations(#[case] text: &str, #[case] milliseconds: Option<u64>) {
        assert_eq!(parse(text), milliseconds.map(Duration::from_millis));
    }
}
