//! Spans of time as people write them.

use std::{str::FromStr, time::Duration};

/// A span of time: `90s`, `30m`, `12h`, `400d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period(pub Duration);

impl FromStr for Period {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a number of at least 1 and s, m, h or d, such as 30d";
        let split = text.len().saturating_sub(1);
        let (number, unit) = text.split_at_checked(split).ok_or(EXPECTED)?;
        let seconds: u64 = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return Err(EXPECTED),
        };
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        let number: u32 = number.parse().ok().filter(|n| is_number && *n > 0).ok_or(EXPECTED)?;
        Ok(Self(Duration::from_secs(seconds * u64::from(number))))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("90s", 90)]
    #[case("30m", 1800)]
    #[case("12h", 43_200)]
    #[case("400d", 34_560_000)]
    fn spans_are_read(#[case] text: &str, #[case] seconds: u64) {
        assert_eq!(text.parse(), Ok(Period(Duration::from_secs(seconds))));
    }

    #[rstest]
    fn nothing_else_is(
        #[values(
            "",
            "d",
            "0d",
            "30",
            "-1d",
            "+1d",
            "1.5d",
            "1 d",
            "1w",
            "99999999999d",
            "1d12h",
            "1é"
        )]
        text: &str,
    ) {
        assert!(text.parse::<Period>().is_err());
    }
}
