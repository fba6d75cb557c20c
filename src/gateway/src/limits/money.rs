//! Amounts of money.

use std::{fmt, ops::Add};

use serde::{Deserialize, Serialize};

/// Billionths in one.
const NANOS: f64 = 1e9;

/// An amount in whole billionths of some currency's unit: a token costs about a hundred of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(i64);

impl Money {
    /// So many billionths.
    pub fn of_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// A price: an answer that costs something costs at least a billionth.
    pub fn of_price(price: f64) -> Self {
        let least = i64::from(price > 0.0);
        Self(((price * NANOS).round() as i64).max(least))
    }

    /// A decimal number that is not negative.
    pub fn parse(text: &str) -> Option<Self> {
        let units = text.parse::<f64>().ok()?;
        let nanos = (units * NANOS).round();
        (nanos >= 0.0 && nanos < i64::MAX as f64).then_some(Self(nanos as i64))
    }

    /// In billionths.
    pub fn nanos(self) -> i64 {
        self.0
    }

    /// Whether it is nothing.
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::iter::Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), Add::add)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0 as f64 / NANOS)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("20", Some(20_000_000_000))]
    #[case("0.15", Some(150_000_000))]
    #[case("1e-9", Some(1))]
    #[case("1e-5", Some(10_000))]
    #[case("0", Some(0))]
    #[case("1e10", None)]
    #[case("1e999", None)]
    #[case("-1", None)]
    #[case("NaN", None)]
    #[case("ten", None)]
    fn amounts_are_decimal_numbers(#[case] text: &str, #[case] nanos: Option<i64>) {
        assert_eq!(Money::parse(text).map(Money::nanos), nanos);
    }

    #[test]
    fn no_token_is_free_that_has_a_price() {
        assert_eq!(Money::of_price(1e-12), Money::of_nanos(1));
        assert_eq!(Money::of_price(0.0), Money::default());
        assert_eq!(Money::of_price(f64::INFINITY).nanos(), i64::MAX);
        assert_eq!((Money::of_nanos(i64::MAX) + Money::of_nanos(1)).nanos(), i64::MAX);
        assert_eq!(Money::parse("12.50").unwrap().to_string(), "12.5");
    }
}
