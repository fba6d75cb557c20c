//! Quantiles of positive values: confidence sequences from counts below thresholds.

use crate::{
    Interval,
    bets::Bets,
    moments::Moments,
    sketch::{Cumulative, Sketch, bucket, edge, steps},
};

/// A confidence sequence for a quantile of a positive value, such as the 95th percentile of a time.
///
/// A threshold is above the quantile if more than that share of values lie below it; that is a bet on a share,
/// which holds at every number of values and for every distribution. As only the true quantile has to survive,
/// no correction for the many thresholds is needed (Howard & Ramdas 2022, "Sequential estimation of quantiles
/// with applications to A/B testing and best-arm identification", Bernoulli 28(3), theorem 1, with bets in place
/// of its boundary).
///
/// Where values come in clusters, the evidence is divided by the design effect of the values' logarithms: an
/// indicator of being below a threshold is not more correlated than a normal value that it cuts.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct QuantileSequence {
    quantile: f64,
    bets: Bets,
    sketch: Sketch,
    logs: Moments,
}

impl QuantileSequence {
    /// A sequence for `quantile`, above 0 and below 1, which suits comparisons of up to `max_pairs`.
    pub fn new(quantile: f64, max_pairs: u64) -> Self {
        Self {
            quantile,
            bets: Bets::new(max_pairs),
            sketch: Sketch::default(),
            logs: Moments::default(),
        }
    }

    /// Adds a positive value, in constant time. Values of one cluster may depend on each other; without a
    /// cluster it stands alone.
    pub fn push(&mut self, cluster: Option<u64>, value: f64) {
        self.sketch.push(value);
        self.logs.push(cluster, value.ln());
    }

    /// The quantile of the values seen, to half a percent; none where there are none.
    pub fn estimate(&self) -> Option<f64> {
        let wanted = (self.quantile * self.sketch.count() as f64).ceil();
        let counts = self.sketch.cumulative();
        counts.first(|bucket| counts.up_to(bucket) as f64 >= wanted).map(edge)
    }

    /// The interval each of whose ends holds at all times with a probability of at least `1 - alpha`.
    pub fn interval(&self, alpha: f64) -> Interval {
        let (needed, counts) = (-alpha.ln(), self.sketch.cumulative());
        let high = counts.first(|bucket| self.log_evidence_up_to(&counts, bucket) >= needed);
        // Below the first bucket that may hold it, if at least that is proved.
        let low = counts.first(|bucket| self.log_evidence_above(&counts, bucket) < needed);
        let low = low.filter(|bucket| self.log_evidence_above(&counts, bucket - 1) >= needed);
        Interval {
            low: low.map_or(0.0, |bucket| edge(bucket - 1)),
            high: high.map_or(f64::INFINITY, edge),
        }
    }

    /// The evidence that the quantile is at most the upper edge of `bucket`.
    fn log_evidence_up_to(&self, counts: &Cumulative, bucket: i32) -> f64 {
        self.log_evidence(counts.up_to(bucket), self.quantile)
    }

    /// The evidence that the quantile is above the upper edge of `bucket`.
    fn log_evidence_above(&self, counts: &Cumulative, bucket: i32) -> f64 {
        self.log_evidence(self.sketch.count() - counts.up_to(bucket), 1.0 - self.quantile)
    }

    /// The evidence that more than a `share` of values are as `found` ones are.
    fn log_evidence(&self, found: u64, share: f64) -> f64 {
        let (found, count) = (found as f64, self.sketch.count() as f64);
        if found <= share * count {
            return 0.0;
        }
        let values = [((1.0 - share) / share, found), (-1.0, count - found)];
        self.bets.log_capital(values.into_iter(), self.logs.design_effect())
    }

    /// The natural logarithm of the evidence that this quantile is less than `factor` times that of `other`.
    ///
    /// It is proved by a threshold that `other` is proved to reach and that, times the factor, this one is
    /// proved not to reach: both at half of alpha, as either may be wrong.
    pub fn log_evidence_below(&self, factor: f64, other: &Self) -> f64 {
        let (own, others) = (self.sketch.cumulative(), other.sketch.cumulative());
        let shift = steps(factor);
        let here = |bucket: i32| self.log_evidence_up_to(&own, bucket + shift);
        let there = |bucket: i32| other.log_evidence_above(&others, bucket);
        let both = |bucket: i32| here(bucket).min(there(bucket));
        // One grows with the threshold and the other one falls: the best is where they cross.
        let crossed = others.first(|bucket| here(bucket) >= there(bucket));
        let last = others.buckets().last();
        let Some(at) = crossed.or(last) else {
            return 0.0;
        };
        let before = others.buckets().take_while(|bucket| *bucket < at).last();
        // Between two buckets of `other` the first evidence grows while the second stays.
        let best = both(at).max(before.map_or(0.0, |before| both(before).max(both(at - 1))));
        (best - 2.0_f64.ln()).max(0.0)
    }

    /// The natural logarithm of the evidence that this quantile is not `value`, on the side that has more of it.
    pub(crate) fn log_evidence_off(&self, value: f64) -> f64 {
        let counts = self.sketch.cumulative();
        let at = bucket(value);
        let below = self.log_evidence_up_to(&counts, at - 1);
        below.max(self.log_evidence_above(&counts, at))
    }

    /// The interval of this quantile over that of `other`; each end holds at all times with a probability of
    /// at least `1 - alpha`.
    pub fn ratio_interval(&self, other: &Self, alpha: f64) -> Interval {
        let (own, others) = (self.interval(0.5 * alpha), other.interval(0.5 * alpha));
        let high = if others.low > 0.0 {
            own.high / others.low
        } else {
            f64::INFINITY
        };
        Interval {
            low: own.low / others.high,
            high,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    fn exponential(mean: f64, count: usize, seed: u64) -> QuantileSequence {
        let mut random = StdRng::seed_from_u64(seed);
        let mut sequence = QuantileSequence::new(0.95, 5000);
        for _ in 0..count {
            sequence.push(None, -mean * (1.0 - random.random::<f64>()).ln());
        }
        sequence
    }

    #[test]
    fn nothing_is_known_of_nothing() {
        let empty = exponential(1.0, 0, 1);
        assert_eq!(empty.estimate(), None);
        assert_eq!(
            empty.interval(0.05),
            Interval {
                low: 0.0,
                high: f64::INFINITY
            }
        );
        assert_eq!(empty.log_evidence_below(1.1, &empty), 0.0);
    }

    #[test]
    fn the_interval_holds_the_quantile_and_shrinks() {
        let truth = -(0.05_f64.ln());
        let (few, many) = (
            exponential(1.0, 300, 2).interval(0.05),
            exponential(1.0, 5000, 2).interval(0.05),
        );
        assert!(few.holds(truth) && many.holds(truth), "{few:?} {many:?}");
        assert!(many.high - many.low < 0.6 * (few.high - few.low), "{few:?} {many:?}");
        assert!((exponential(1.0, 5000, 2).estimate().expect("values") / truth - 1.0).abs() < 0.05);
    }

    #[test]
    fn evidence_on_a_ratio_agrees_with_its_interval() {
        let (fast, slow) = (exponential(1.0, 3000, 3), exponential(1.5, 3000, 4));
        let interval = fast.ratio_interval(&slow, 0.05);
        assert!(interval.high < 1.0, "{interval:?}");
        for factor in [0.5, 0.6, 0.7, 0.8, 0.9, 1.0] {
            let proved = fast.log_evidence_below(factor, &slow) >= 20.0_f64.ln();
            // Up to two buckets of half a percent are lost by rounding to the safe side.
            if interval.high < factor * 0.985 {
                assert!(proved, "{factor} {interval:?}");
            }
            if interval.high > factor * 1.015 {
                assert!(!proved, "{factor} {interval:?}");
            }
        }
    }

    #[test]
    fn values_that_are_all_alike_have_a_quantile() {
        let mut ties = QuantileSequence::new(0.5, 5000);
        for _ in 0..100 {
            ties.push(None, 0.25);
        }
        let interval = ties.interval(0.05);
        assert!((ties.estimate().expect("values") / 0.25 - 1.0).abs() < 0.006);
        assert!(interval.holds(0.25) && interval.high < 0.2525, "{interval:?}");
    }

    #[test]
    fn huge_and_tiny_values_do_not_cost_memory() {
        let mut sequence = QuantileSequence::new(0.5, 5000);
        for i in -300..300 {
            sequence.push(None, 10.0_f64.powi(i));
        }
        assert!(sequence.sketch.cumulative().buckets().len() < 50);
    }
}
