//! The normal mixture: how far a mean may stray, at whichever moment it is looked at.

/// A normal mixture over the true effect, which makes the evidence of a mean valid at all moments.
///
/// `g` is the variance of the mixture in units of the variance of one pair. It decides at how many pairs the
/// interval is tightest, never whether it is valid.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Mixture {
    g: f64,
}

impl Mixture {
    /// A mixture whose one-sided bound at `alpha` is tightest where most comparisons end: at the geometric
    /// mean of `min_pairs` and `max_pairs`.
    ///
    /// The formula is `g = (-2 ln a + ln(1 - 2 ln a)) / n` with `a = 2 alpha`, as a one-sided bound at alpha
    /// is one end of a two-sided interval at 2 alpha (Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas 2024,
    /// "Time-uniform central limit theory and asymptotic confidence sequences", arXiv 2103.06476, B.1-B.2).
    pub fn new(alpha: f64, min_pairs: u64, max_pairs: u64) -> Self {
        let tightest = (min_pairs.max(1) as f64 * max_pairs.max(1) as f64).sqrt();
        let log = -2.0 * (2.0 * alpha).clamp(1e-300, 0.9).ln();
        Self {
            g: (log + (1.0 + log).ln()) / tightest,
        }
    }

    /// The distance between a mean of `pairs` values and its one-sided bound at `alpha`, in standard
    /// deviations of one pair, were that deviation known.
    ///
    /// `sqrt(2 (n g + 1) / (n^2 g) ln((sqrt(n g + 1) / alpha + 1) / 2))`: Robbins' mixture, folded to one side.
    pub fn radius(self, pairs: f64, alpha: f64) -> f64 {
        let spread = 1.0 + pairs * self.g;
        let needed = 0.5 * (spread.sqrt() / alpha + 1.0);
        (2.0 * spread * needed.ln() / (pairs * pairs * self.g)).sqrt()
    }

    /// The logarithm of the evidence that a mean is on the side of its hypothesis where it was found, for a
    /// t statistic squared over its degrees of freedom (`ratio`) from `pairs` pairs that are worth `units`
    /// independent ones.
    ///
    /// The mixture is over the effect in standard deviations, and the unknown deviation is integrated out by
    /// the right Haar prior: for normal values this is exact at any number of pairs, not only at large ones
    /// (Wang & Ramdas 2024, "Anytime-valid t-tests and confidence sequences for Gaussian means with unknown
    /// variance", arXiv 2310.03722, theorem 4.7). `2 E - 1/sqrt(n g + 1)` is at most the evidence of a mixture
    /// over one side alone.
    pub(crate) fn log_evidence(self, ratio: f64, pairs: f64, units: f64) -> f64 {
        let spread = 1.0 + pairs * self.g;
        let both = 0.5 * units * (ratio.ln_1p() - (ratio / spread).ln_1p()) - 0.5 * spread.ln();
        // 2 E - 1/sqrt(spread), and E is at least 1/sqrt(spread).
        both + (2.0 - (-0.5 * spread.ln() - both).exp()).ln()
    }

    /// The inverse of [`Self::log_evidence`]: the smallest ratio with evidence of `1 / alpha`, if any has it.
    pub(crate) fn needed_ratio(self, pairs: f64, units: f64, alpha: f64) -> Option<f64> {
        let spread = 1.0 + pairs * self.g;
        let needed = 0.5 * (spread.sqrt() / alpha + 1.0);
        let growth = (2.0 * needed.ln() / units).exp();
        (growth < spread).then(|| (growth - 1.0) / (1.0 - growth / spread))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_price_of_peeking_is_that_of_the_reference() {
        // Two-sided alpha 0.05, tuned at 1000 pairs: 1.97 times the width at 100 pairs, 1.63 at 300, 1.55 at
        // 1000, 1.61 at 5000. One side at 0.025 is one end of that interval.
        let mixture = Mixture::new(0.025, 1000, 1000);
        assert!((mixture.g - 7.936 / 1000.0).abs() < 1e-6);
        for (pairs, price) in [(100.0, 1.97), (300.0, 1.63), (1000.0, 1.55), (5000.0, 1.61)] {
            let found = mixture.radius(pairs, 0.025) * f64::sqrt(pairs) / 1.959_964;
            assert!((found - price).abs() < 0.015, "{pairs}: {found}");
        }
    }

    #[test]
    fn the_needed_ratio_has_just_the_needed_evidence() {
        let mixture = Mixture::new(0.05, 300, 5000);
        for (pairs, units) in [(300.0, 300.0), (5000.0, 5000.0), (2000.0, 100.0)] {
            let ratio = mixture.needed_ratio(pairs, units, 0.01).expect("enough pairs");
            let evidence = mixture.log_evidence(ratio, pairs, units);
            assert!((evidence - f64::ln(100.0)).abs() < 1e-9, "{evidence}");
        }
        assert_eq!(mixture.needed_ratio(2.0, 2.0, 0.01), None, "two pairs prove nothing");
    }

    #[test]
    fn an_unknown_deviation_costs_little_once_there_are_many_pairs() {
        let mixture = Mixture::new(0.05, 300, 5000);
        let known = mixture.radius(5000.0, 0.05);
        let unknown = (mixture.needed_ratio(5000.0, 5000.0, 0.05).expect("enough pairs") * 4999.0 / 5000.0).sqrt();
        assert!(unknown > known && unknown < 1.01 * known, "{known} {unknown}");
    }
}
