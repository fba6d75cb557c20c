//! Whether a share of failures is above a limit: evidence that may be looked at after every sample.

/// Alternatives that the evidence is averaged over.
const ALTERNATIVES: u32 = 64;

/// A test of the hypothesis "the share of failures is at most `limit`".
///
/// The evidence is a mixture of likelihood ratios of larger shares over `limit` itself. Under the hypothesis
/// it is a supermartingale that starts at one, so it ever exceeds `1 / alpha` with a probability of at most
/// `alpha`, however often it is looked at (Ville's inequality; Robbins 1970, "Statistical methods related to
/// the law of the iterated logarithm"; Ramdas et al. 2023, "Game-theoretic statistics and safe anytime-valid
/// inference", 3.2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateTest {
    limit: f64,
}

impl RateTest {
    /// A test against `limit`, between 0 and 1. A limit of 0 is taken for one in a million: no evidence could
    /// be weighed against a share at which a single failure is impossible.
    pub fn new(limit: f64) -> Self {
        Self {
            limit: limit.clamp(1e-6, 1.0),
        }
    }

    /// The evidence that the share is above the limit, after `failures` among `samples`: a bet's gain, 1 at
    /// the start. It is a number of decibels in disguise, so it is returned as its natural logarithm.
    pub fn log_evidence(&self, failures: u64, samples: u64) -> f64 {
        let failures = failures.min(samples) as f64;
        let successes = samples as f64 - failures;
        if self.limit >= 1.0 {
            return f64::NEG_INFINITY;
        }
        // Odds from just above the limit up to almost certain failure, evenly spaced: a limit of one in a
        // thousand is exceeded by two in a thousand as well as by one in two.
        let logit = |p: f64| (p / (1.0 - p)).ln();
        let (low, high) = (logit(self.limit), logit(0.99).max(logit(self.limit) + 1.0));
        let gains = (1..=ALTERNATIVES).map(|i| {
            let place = low + (high - low) * f64::from(i) / f64::from(ALTERNATIVES);
            let share = 1.0 / (1.0 + (-place).exp());
            failures * (share / self.limit).ln() + successes * ((1.0 - share) / (1.0 - self.limit)).ln()
        });
        log_mean_exp(&gains.collect::<Vec<_>>())
    }

    /// Whether the share is above the limit, wrongly with a probability of at most `alpha` over all looks.
    pub fn is_exceeded(&self, failures: u64, samples: u64, alpha: f64) -> bool {
        self.log_evidence(failures, samples) >= -alpha.ln()
    }
}

/// The logarithm of the mean of exponentials, whatever their size.
pub(crate) fn log_mean_exp(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !largest.is_finite() {
        return largest;
    }
    let sum: f64 = values.iter().map(|value| (value - largest).exp()).sum();
    largest + (sum / values.len() as f64).ln()
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    /// The sample at which a share is found to be above the limit, looking after each of `samples`.
    fn found(test: RateTest, share: f64, samples: u64, seed: u64) -> Option<u64> {
        let mut random = StdRng::seed_from_u64(seed);
        let mut failures = 0;
        (1..=samples).find(|n| {
            let fails = random.random_bool(share);
            failures += u64::from(fails);
            // Evidence grows with failures only.
            fails && test.is_exceeded(failures, *n, 0.05)
        })
    }

    #[test]
    fn false_alarms_are_rare_however_often_one_looks() {
        for limit in [0.001, 0.05, 0.3] {
            let alarms = (0..400).filter(|seed| found(RateTest::new(limit), limit, 2000, *seed).is_some());
            // 20 are allowed on average; three standard deviations more are not.
            assert!(alarms.count() <= 20 + 13, "{limit}");
        }
    }

    #[test]
    fn a_larger_share_is_found() {
        for (limit, share, patience) in [(0.01, 0.10, 300), (0.05, 0.15, 400), (0.05, 1.0, 5), (0.001, 0.5, 5)] {
            let late = (0..50).filter(|seed| found(RateTest::new(limit), share, patience, *seed).is_none());
            assert!(late.count() <= 5, "{share} over {limit}");
        }
    }

    #[test]
    fn evidence_starts_at_nothing_and_stays_a_number() {
        let test = RateTest::new(0.05);
        assert!(test.log_evidence(0, 0).abs() < 1e-12);
        assert!(test.log_evidence(0, 1000) < 0.0);
        assert!(test.log_evidence(1_000_000, 1_000_000).is_finite());
        assert!(!RateTest::new(1.0).is_exceeded(10, 10, 0.05));
        assert!(RateTest::new(0.0).is_exceeded(2, 1000, 0.05));
        // More failures than samples cannot be: counters are read one after another.
        assert_eq!(test.log_evidence(9, 5), test.log_evidence(5, 5));
    }
}
