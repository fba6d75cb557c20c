//! A number that is one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A finite number. Neither infinity nor what is not a number reaches a report: JSON has no such thing, and no plot.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Number(f64);

/// A number is infinite or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a number of the report is not finite: leave the field out where nothing was measured")]
pub struct NotFinite;

impl Number {
    /// `None` for what is not finite.
    pub fn new(value: f64) -> Option<Self> {
        Self::try_from(value).ok()
    }

    /// Its value.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Number {
    type Error = NotFinite;

    fn try_from(value: f64) -> Result<Self, NotFinite> {
        // Zero has one spelling, so that equal reports have equal digests.
        match value.is_finite() {
            true => Ok(Self(if value == 0.0 { 0.0 } else { value })),
            false => Err(NotFinite),
        }
    }
}

impl From<Number> for f64 {
    fn from(number: Number) -> Self {
        number.0
    }
}

impl fmt::Display for Number {
    /// Four significant digits, without those that say nothing; with an exponent where it would be long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.abs();
        if size == 0.0 {
            return f.write_str("0");
        }
        if !(1e-4..1e7).contains(&size) {
            return write!(f, "{:.3e}", self.0);
        }
        let decimals = (3 - size.log10().floor() as i32).clamp(0, 7) as usize;
        let text = format!("{:.decimals$}", self.0);
        let text = match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.'),
            false => &text,
        };
        f.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0.0, "0")]
    #[case(-0.0, "0")]
    #[case(0.5, "0.5")]
    #[case(0.012345, "0.01235")]
    #[case(-1.0, "-1")]
    #[case(123.456, "123.5")]
    #[case(123_456.7, "123457")]
    #[case(1e-9, "1.000e-9")]
    #[case(1e300, "1.000e300")]
    #[case(99.99999, "100")]
    fn numbers_are_short(#[case] value: f64, #[case] text: &str) {
        assert_eq!(Number::new(value).unwrap().to_string(), text);
    }

    #[test]
    fn what_is_no_number_gets_in_nowhere() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Number::new(value), None);
        }
        for json in ["null", "\"NaN\"", "1e999", "NaN"] {
            assert!(serde_json::from_str::<Number>(json).is_err(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn numbers_survive_json_and_stay_short(value in any::<f64>()) {
            if let Some(number) = Number::new(value) {
                let json = serde_json::to_string(&number).unwrap();
                prop_assert_eq!(serde_json::from_str::<Number>(&json).unwrap(), number);
                prop_assert!(number.to_string().len() <= 11, "{number}");
            }
        }
    }
}
