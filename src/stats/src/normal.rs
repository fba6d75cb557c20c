//! The standard normal distribution.

use std::f64::consts::PI;

/// The density at `x`.
fn density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / (2.0 * PI).sqrt()
}

/// The probability of a value of at most `x`.
///
/// A power series near the middle and a continued fraction in the tails, each to about 15 digits (Marsaglia
/// 2004, "Evaluating the normal distribution", Journal of Statistical Software 11(4); Abramowitz & Stegun
/// 26.2.14).
pub(crate) fn cumulative(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    let far = x.abs();
    let upper = if far < 4.0 {
        let (mut term, mut sum, mut i) = (far, far, 1.0);
        while term > sum * 1e-17 {
            i += 2.0;
            term *= far * far / i;
            sum += term;
        }
        0.5 - density(far) * sum
    } else if far > 40.0 {
        0.0
    } else {
        let fraction = (1..=60).rev().fold(far, |below, i| far + f64::from(i) / below);
        density(far) / fraction
    };
    if x < 0.0 { upper } else { 1.0 - upper }
}

/// The value that is not exceeded with a probability of `p`, for `p` between 0 and 1: the inverse of
/// [`cumulative`], by bisection.
pub(crate) fn quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-40.0, 40.0);
    for _ in 0..80 {
        let middle = 0.5 * (low + high);
        if cumulative(middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_textbooks_are_reproduced() {
        for (x, p) in [
            (0.0, 0.5),
            (1.0, 0.841_344_746_068_543),
            (-1.959_963_984_540_054, 0.025),
            (1.644_853_626_951_472, 0.95),
            (-5.0, 2.866_515_718_791_933e-7),
            (-10.0, 7.619_853_024_160_495e-24),
        ] {
            assert!((cumulative(x) / p - 1.0).abs() < 1e-10, "{x}: {}", cumulative(x));
            assert!((quantile(p) - x).abs() < 1e-8, "{p}: {}", quantile(p));
        }
        assert_eq!((cumulative(-50.0), cumulative(50.0)), (0.0, 1.0));
    }

    #[test]
    fn series_and_fraction_meet() {
        assert!((cumulative(-3.999_999) / cumulative(-4.000_001) - 1.0).abs() < 1e-5);
    }
}
