//! Bets on a mean: the capital of somebody who bets against a hypothesis is evidence against it.

use crate::rate::log_mean_exp;

/// Sizes of bets that the capital is averaged over.
const SIZES: usize = 14;

/// The largest share of the capital that is put at stake: a value at the far bound does not ruin.
const LARGEST: f64 = 0.95;

/// A gambler who spreads his capital evenly over bets of many sizes and never changes them.
///
/// Under the hypothesis the capital is a supermartingale that starts at one, whatever the values' distribution
/// within its bounds, so it ever exceeds `1 / alpha` with a probability of at most alpha (Ville). As the bets do
/// not depend on the values, the capital follows from how often each value was seen (Waudby-Smith & Ramdas
/// 2024, "Estimating means of bounded random variables by betting", JRSS-B 86(1), section 4, with constant
/// bets; Robbins 1970 for the mixture).
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Bets {
    smallest: f64,
}

impl Bets {
    /// Bets that suit comparisons of up to `max_pairs`: the best bet is the effect over its variance, and an
    /// effect below two deviations over the root of the pairs will not be found anyway.
    pub fn new(max_pairs: u64) -> Self {
        Self {
            smallest: (2.0 / (max_pairs.max(1) as f64).sqrt()).min(0.5 * LARGEST),
        }
    }

    /// The logarithm of the capital of betting that the mean is larger, after `values`, each with how often
    /// it was seen, divided by `worth`.
    ///
    /// A value is given as its distance from the hypothesis in units of the distance between the hypothesis
    /// and the lower bound, so it is at least -1. Dividing by the largest size of clusters is exact whatever
    /// happens within them (the geometric mean of gains is at most their arithmetic mean); dividing by the
    /// design effect gives the same as values that stand alone would, asymptotically.
    pub fn log_capital(self, values: impl Iterator<Item = (f64, f64)> + Clone, worth: f64) -> f64 {
        let logs = self.sizes().map(|size| {
            let capital: f64 = values
                .clone()
                .map(|(value, times)| times * (size * value).ln_1p())
                .sum();
            capital / worth
        });
        log_mean_exp(&logs)
    }

    /// What [`Self::log_capital`] is at most, from the sum of the values, that of their squares and the largest
    /// one: `ln(1 + y) <= y - y^2 / (2 (1 + y))`. A look at a value without evidence then costs next to nothing.
    pub fn log_capital_at_most(self, sum: f64, squares: f64, largest: f64, worth: f64) -> f64 {
        let bounds = self.sizes().map(|size| {
            let bound = size * sum - size * size * squares / (2.0 * (1.0 + size * largest.max(0.0)));
            bound / worth
        });
        log_mean_exp(&bounds)
    }

    /// The shares of the capital that are put at stake, in equal ratios.
    fn sizes(self) -> [f64; SIZES] {
        let ratio = (LARGEST / self.smallest).powf(1.0 / (SIZES - 1) as f64);
        let mut size = self.smallest / ratio;
        [(); SIZES].map(|()| {
            size *= ratio;
            size
        })
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn the_bound_is_above_the_capital_and_close_to_it() {
        let mut random = StdRng::seed_from_u64(21);
        for (count, middle) in [(50, 0.1), (500, 0.05), (5000, 0.0)] {
            let values: Vec<f64> = (0..count)
                .map(|_| middle + random.random_range(-1.0..1.0_f64).max(-1.0))
                .collect();
            let sum = values.iter().sum();
            let squares = values.iter().map(|value| value * value).sum();
            let largest = values.iter().copied().fold(0.0, f64::max);
            let bets = Bets::new(5000);
            let capital = bets.log_capital(values.iter().map(|value| (*value, 1.0)), 1.0);
            let bound = bets.log_capital_at_most(sum, squares, largest, 1.0);
            assert!(bound >= capital, "{bound} {capital}");
            assert!(bound < 1.2 * capital.abs() + 1.0, "{bound} {capital}");
        }
    }
}
