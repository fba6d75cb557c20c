//! Bets on a mean: the capital of somebody who bets against a hypothesis is evidence against it.

use crate::rate::log_mean_exp;

/// Sizes of bets that the capital is averaged over.
const SIZES: u32 = 14;

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
        let ratio = (LARGEST / self.smallest).powf(1.0 / f64::from(SIZES - 1));
        let mut sizes = [0.0; SIZES as usize];
        let mut size = self.smallest;
        for log in &mut sizes {
            let capital: f64 = values
                .clone()
                .map(|(value, times)| times * (size * value).ln_1p())
                .sum();
            *log = capital / worth;
            size *= ratio;
        }
        log_mean_exp(&sizes)
    }
}
