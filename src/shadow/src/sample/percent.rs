//! A share, as it is written in a spec.

use std::{fmt, str::FromStr};

/// A share between 0 % and 100 %, to a millionth of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent {
    /// Millionths of a percent.
    millionths: u32,
}

/// Something is no share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "sample.percent: {0:?} is no share: write a number from 0 to 100 with at most 6 decimals and a percent sign, as in 12.5%"
)]
pub struct PercentError(String);

impl Percent {
    const ALL: u32 = 100_000_000;

    /// Millionths of a percent.
    pub fn millionths(self) -> u32 {
        self.millionths
    }

    /// From millionths of a percent; more than all is all.
    pub fn from_millionths(millionths: u32) -> Self {
        Self {
            millionths: millionths.min(Self::ALL),
        }
    }

    /// Whether a place, evenly distributed over all `u64`, lies within the share.
    pub(super) fn covers(self, place: u64) -> bool {
        u128::from(place) * u128::from(Self::ALL) < u128::from(self.millionths) << 64
    }
}

impl FromStr for Percent {
    type Err = PercentError;

    fn from_str(text: &str) -> Result<Self, PercentError> {
        let wrong = || PercentError(text.chars().take(32).collect());
        let number = text.strip_suffix('%').ok_or_else(wrong)?;
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let is_digits = |part: &str, most: usize| {
            (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !is_digits(whole, 3) || !is_digits(decimals, 6) {
            return Err(wrong());
        }
        let parsed = format!("{whole}{decimals:0<6}").parse::<u32>().map_err(|_| wrong())?;
        match parsed <= Self::ALL {
            true => Ok(Self { millionths: parsed }),
            false => Err(wrong()),
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.millionths / 1_000_000, self.millionths % 1_000_000);
        match format!("{rest:06}").trim_end_matches('0') {
            "" => write!(f, "{whole}%"),
            decimals => write!(f, "{whole}.{decimals}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("0%", "0%")]
    #[case("10%", "10%")]
    #[case("12.50%", "12.5%")]
    #[case("0.000001%", "0.000001%")]
    #[case("100.000%", "100%")]
    fn shares_are_read(#[case] text: &str, #[case] written: &str) {
        assert_eq!(text.parse::<Percent>().unwrap().to_string(), written);
    }

    #[rstest]
    #[case("")]
    #[case("%")]
    #[case("10")]
    #[case("-1%")]
    #[case("+1%")]
    #[case("100.000001%")]
    #[case("1.0000001%")]
    #[case("1e2%")]
    #[case("NaN%")]
    #[case("１0%")]
    #[case(".5%")]
    fn what_is_no_share_is_refused_with_the_field(#[case] text: &str) {
        let error = text.parse::<Percent>().unwrap_err().to_string();
        assert!(error.starts_with("sample.percent: "), "{error}");
    }

    #[test]
    fn nothing_covers_no_place_and_all_covers_each() {
        for place in [0, 1, u64::MAX / 2, u64::MAX] {
            assert!(!Percent::from_millionths(0).covers(place));
            assert!(Percent::from_millionths(u32::MAX).covers(place));
        }
    }
}
