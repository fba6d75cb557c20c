//! The primary against itself: how far its own answers are apart, and whether the error rates are as promised.

use crate::{
    Interval, MetricPlan, Monitor, Pair, PlanError, RateTest, ValueError, metric::check_probability, moments::Moments,
};

/// How far two answers of the serving model to the same request are apart in a metric: no candidate can be
/// closer than that.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct NoiseFloor {
    /// Pairs that it is known from.
    pub pairs: u64,
    /// Mean distance, in the metric's unit.
    pub mean_distance: f64,
    /// Standard deviation of the difference, of which the number of planned pairs follows.
    pub deviation: f64,
    /// Where the mean difference lies at all times, each end with the confidence `1 - alpha`. It should hold 0:
    /// if not, first and second answers are not alike (a warm cache), and comparisons are biased by that.
    pub difference: Option<Interval>,
}

/// How often a sequence was wrong about pairs that have no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MissRate {
    /// Experiments that ended.
    pub experiments: u64,
    /// Those in which a difference was found at any moment.
    pub misses: u64,
    /// Whether the misses are compatible with the promise.
    pub nominal: bool,
}

/// A calibration: pairs of two answers of the primary, cut into experiments as long as a comparison.
///
/// Each experiment asks after every pair whether there is a difference, which errs in at most `2 alpha` of them,
/// alpha on each side. Whether more of them erred is itself asked by evidence that holds at all times
/// ([`RateTest`]), and wrongly affirmed with a probability of at most 1 %.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Calibration {
    alpha: f64,
    min_pairs: u64,
    max_pairs: u64,
    differences: Moments,
    distance: f64,
    whole: Monitor,
    current: Monitor,
    missed: bool,
    experiments: u64,
    misses: u64,
}

impl Calibration {
    /// A calibration without pairs yet, of experiments of `max_pairs` that are looked at from `min_pairs` on.
    ///
    /// # Errors
    /// If the plan makes no sense.
    pub fn new(plan: MetricPlan, alpha: f64, min_pairs: u64, max_pairs: u64) -> Result<Self, PlanError> {
        check_probability("alpha", alpha, 0.5)?;
        plan.check()?;
        if min_pairs < 2 || min_pairs > max_pairs {
            return Err(PlanError::Pairs {
                min: min_pairs,
                max: max_pairs,
            });
        }
        let current = Monitor::new(plan, alpha, min_pairs, max_pairs);
        Ok(Self {
            alpha,
            min_pairs,
            max_pairs,
            differences: Moments::default(),
            distance: 0.0,
            whole: current.clone(),
            current,
            missed: false,
            experiments: 0,
            misses: 0,
        })
    }

    /// Counts two answers of the primary to the same request, which came in random order or by a coin.
    ///
    /// # Errors
    /// If a value cannot be; nothing is counted then.
    pub fn push(&mut self, cluster: Option<u64>, first: f64, second: f64) -> Result<(), ValueError> {
        let pair = Pair {
            primary: first,
            candidate: second,
        };
        self.whole.plan().check_pair(pair)?;
        self.whole.push(cluster, pair);
        self.current.push(cluster, pair);
        self.differences.push(cluster, second - first);
        self.distance += (second - first).abs();
        let pairs = self.current.pairs();
        if pairs >= self.min_pairs {
            self.missed |= self.current.log_evidence_different() >= -self.alpha.ln();
        }
        if pairs >= self.max_pairs {
            self.experiments += 1;
            self.misses += u64::from(self.missed);
            self.missed = false;
            let plan = self.whole.plan().clone();
            self.current = Monitor::new(plan, self.alpha, self.min_pairs, self.max_pairs);
        }
        Ok(())
    }

    /// How far the primary's own answers are apart; none without pairs.
    pub fn noise_floor(&self) -> Option<NoiseFloor> {
        let pairs = self.whole.pairs();
        (pairs > 0).then(|| NoiseFloor {
            pairs,
            mean_distance: self.distance / pairs as f64,
            deviation: self.differences.deviation(),
            difference: self.whole.interval(self.alpha),
        })
    }

    /// How often an experiment was wrong.
    pub fn miss_rate(&self) -> MissRate {
        MissRate {
            experiments: self.experiments,
            misses: self.misses,
            nominal: !RateTest::new(2.0 * self.alpha).is_exceeded(self.misses, self.experiments, 0.01),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;
    use crate::{Direction, Margin, Measure};

    fn times() -> MetricPlan {
        MetricPlan {
            name: "TTFT".into(),
            measure: Measure::GeometricMean,
            direction: Direction::LowerIsBetter,
            margin: Margin::Relative(0.1),
        }
    }

    /// A calibration of 100 experiments of 200 pairs in which second answers take `factor` as long.
    fn calibration(factor: f64) -> Calibration {
        let mut random = StdRng::seed_from_u64(11);
        let mut calibration = Calibration::new(times(), 0.05, 30, 200).expect("a plan");
        for _ in 0..20_000 {
            let mut time = || 0.2 + random.random::<f64>();
            let (first, second) = (time(), factor * time());
            calibration.push(None, first, second).expect("a time");
        }
        calibration
    }

    #[test]
    fn a_model_is_like_itself() {
        let calibration = calibration(1.0);
        let rate = calibration.miss_rate();
        assert_eq!(rate.experiments, 100);
        assert!(rate.nominal && rate.misses <= 10, "{rate:?}");
        let floor = calibration.noise_floor().expect("pairs");
        // Two uniform times are a third apart on average, with a variance of 2/12.
        assert!((floor.mean_distance - 1.0 / 3.0).abs() < 0.01, "{floor:?}");
        assert!((floor.deviation - (1.0_f64 / 6.0).sqrt()).abs() < 0.01, "{floor:?}");
        assert!(floor.difference.expect("an interval").holds(0.0), "{floor:?}");
    }

    #[test]
    fn a_warm_cache_shows_as_misses_and_as_a_difference() {
        let calibration = calibration(0.7);
        assert!(!calibration.miss_rate().nominal, "{:?}", calibration.miss_rate());
        let floor = calibration.noise_floor().expect("pairs");
        assert!(!floor.difference.expect("an interval").holds(0.0), "{floor:?}");
    }

    #[test]
    fn nothing_was_wrong_with_nothing() {
        let calibration = Calibration::new(times(), 0.05, 30, 200).expect("a plan");
        assert_eq!(calibration.noise_floor(), None);
        assert!(calibration.miss_rate().nominal);
        assert!(Calibration::new(times(), 0.05, 30, 20).is_err());
    }
}
