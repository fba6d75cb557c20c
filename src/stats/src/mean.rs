//! The mean of a value without bounds: an asymptotic confidence sequence.

use crate::{Interval, Mixture, moments::Moments};

/// A confidence sequence for the mean of a value whose variance is unknown and which has no bounds.
///
/// For independent normal values it holds at every number of pairs. For others, and for clusters, it holds
/// asymptotically: as the number of pairs before the first look grows (Waudby-Smith et al. 2024, arXiv
/// 2103.06476, theorem 2.8; Bibaut, Kallus, Lindon 2024, arXiv 2212.14411). No method can do better without
/// bounds (Bahadur & Savage 1956): the README says which distributions it was found good enough for.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct MeanSequence {
    mixture: Mixture,
    moments: Moments,
}

impl MeanSequence {
    /// A sequence without values yet, tightest where `mixture` says.
    pub fn new(mixture: Mixture) -> Self {
        Self {
            mixture,
            moments: Moments::default(),
        }
    }

    /// Adds a value, in constant time. Values of one cluster may depend on each other; without a cluster it
    /// stands alone. The value is finite: who calls has checked it.
    pub fn push(&mut self, cluster: Option<u64>, value: f64) {
        self.moments.push(cluster, value);
    }

    pub(crate) fn moments(&self) -> &Moments {
        &self.moments
    }

    /// The natural logarithm of the evidence that the true mean is above `mean`: it ever exceeds
    /// `ln(1 / alpha)` with a probability of at most alpha if it is not. 0 where the mean found is below.
    pub fn log_evidence_above(&self, mean: f64) -> f64 {
        self.log_evidence(self.moments.mean() - mean, self.moments.skewness())
    }

    /// The natural logarithm of the evidence that the true mean is below `mean`.
    pub fn log_evidence_below(&self, mean: f64) -> f64 {
        self.log_evidence(mean - self.moments.mean(), -self.moments.skewness())
    }

    fn log_evidence(&self, distance: f64, skewness: f64) -> f64 {
        let (pairs, units) = (self.moments.count(), self.moments.units());
        if units < 2.0 || distance <= 0.0 {
            return 0.0;
        }
        // As if one more pair had been found just at the hypothesis: a run of equal values, which has no
        // variance, is evidence but not proof.
        let residuals = self.moments.clustered_residuals() + distance * distance;
        let t = pairs * distance / residuals.sqrt();
        let t = corrected(t, skewness / units.sqrt());
        self.mixture.log_evidence(t * t / (units - 1.0), pairs, units)
    }

    /// The interval each of whose ends holds at all times with a probability of at least `1 - alpha`: the mean
    /// is ever below the lower end with a probability of at most alpha, and as often above the upper one.
    pub fn interval(&self, alpha: f64) -> Interval {
        let (pairs, units) = (self.moments.count(), self.moments.units());
        let needed = (units >= 2.0)
            .then(|| self.mixture.needed_ratio(pairs, units, alpha))
            .flatten();
        let Some(ratio) = needed else {
            return Interval::EVERYTHING;
        };
        let skew = self.moments.skewness() / units.sqrt();
        // The evidence above, solved for the distance: n^2 d^2 = t^2 (residuals + d^2).
        let radius = |skew: f64| {
            let t = uncorrected((ratio * (units - 1.0)).sqrt(), skew)?;
            let rest = pairs * pairs - t * t;
            (rest > 0.0).then(|| t * (self.moments.clustered_residuals() / rest).sqrt())
        };
        let mean = self.moments.mean();
        Interval {
            low: radius(skew).map_or(f64::NEG_INFINITY, |radius| mean - radius),
            high: radius(-skew).map_or(f64::INFINITY, |radius| mean + radius),
        }
    }
}

/// A positive t statistic without what skewness adds to it, which is given over the root of the units and is
/// negative if the long tail is on the bad side.
///
/// A long tail on the bad side makes t too large: while the rare bad value is missing, the mean is too good and
/// the deviation too small. Johnson's modification, `t + skew (1 + 2 t^2) / 6`, takes the first-order term of
/// that out (Johnson 1978, JASA 73); it is applied only where it weakens the evidence, and as it would fall
/// again for a large t, never beyond its maximum: with less than 16 skewness^2 units next to nothing is proved.
fn corrected(t: f64, skew: f64) -> f64 {
    if skew >= 0.0 {
        return t;
    }
    let t = t.min(-1.5 / skew);
    (t + skew * (1.0 + 2.0 * t * t) / 6.0).max(0.0)
}

/// The inverse of [`corrected`]; none beyond its maximum.
fn uncorrected(t: f64, skew: f64) -> Option<f64> {
    if skew > -1e-9 {
        return Some(t);
    }
    let root = 1.0 - 4.0 * (skew / 3.0) * (skew / 6.0 - t);
    (root >= 0.0).then(|| (-1.0 + root.sqrt()) / (2.0 * skew / 3.0))
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    fn uniform(pairs: u64, turns: u64) -> MeanSequence {
        let mut random = StdRng::seed_from_u64(31);
        let mut sequence = MeanSequence::new(Mixture::new(0.05, 300, 5000));
        let mut value = 0.0;
        for i in 0..pairs {
            if i % turns == 0 {
                value = random.random();
            }
            sequence.push(Some(i / turns), value);
        }
        sequence
    }

    #[test]
    fn the_ends_are_where_the_evidence_is_just_enough() {
        for (pairs, turns) in [(300, 1), (2000, 1), (2000, 5)] {
            let sequence = uniform(pairs, turns);
            let interval = sequence.interval(0.05);
            assert!(interval.holds(0.5), "{interval:?}");
            assert!((sequence.log_evidence_above(interval.low) - 20.0_f64.ln()).abs() < 1e-9);
            assert!((sequence.log_evidence_below(interval.high) - 20.0_f64.ln()).abs() < 1e-9);
        }
    }

    #[test]
    fn a_long_tail_moves_the_end_on_its_side_only() {
        let mut sequence = MeanSequence::new(Mixture::new(0.05, 300, 5000));
        for i in 0..2000 {
            sequence.push(None, if i % 20 == 0 { -1.0 } else { 0.0 });
        }
        let interval = sequence.interval(0.05);
        assert!(-0.05 - interval.low > 1.08 * (interval.high + 0.05), "{interval:?}");
        assert!((sequence.log_evidence_above(interval.low) - 20.0_f64.ln()).abs() < 1e-6);
        assert!((sequence.log_evidence_below(interval.high) - 20.0_f64.ln()).abs() < 1e-6);
    }

    #[test]
    fn copies_in_a_cluster_widen_the_interval() {
        let width = |sequence: MeanSequence| sequence.interval(0.05).high - sequence.interval(0.05).low;
        let ratio = width(uniform(2000, 5)) / width(uniform(2000, 1));
        assert!((ratio / 5.0_f64.sqrt() - 1.0).abs() < 0.1, "{ratio}");
    }

    #[test]
    fn one_value_or_one_cluster_proves_nothing() {
        assert_eq!(uniform(1, 1).interval(0.05), Interval::EVERYTHING);
        let one = uniform(50, 50);
        assert_eq!(one.interval(0.05), Interval::EVERYTHING);
        assert_eq!(one.log_evidence_above(-1e9), 0.0);
    }

    #[test]
    fn equal_values_are_evidence_but_no_proof_too_soon() {
        let mut sequence = MeanSequence::new(Mixture::new(0.05, 300, 5000));
        for _ in 0..3 {
            sequence.push(None, 1.0);
        }
        assert!(sequence.log_evidence_above(0.0) < 20.0_f64.ln());
        for _ in 0..300 {
            sequence.push(None, 1.0);
        }
        assert!(sequence.log_evidence_above(0.0) > 20.0_f64.ln());
        assert!(sequence.log_evidence_above(0.0).is_finite());
    }
}
