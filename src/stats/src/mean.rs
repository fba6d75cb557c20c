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
        self.log_evidence(self.moments.mean() - mean)
    }

    /// The natural logarithm of the evidence that the true mean is below `mean`.
    pub fn log_evidence_below(&self, mean: f64) -> f64 {
        self.log_evidence(mean - self.moments.mean())
    }

    fn log_evidence(&self, distance: f64) -> f64 {
        let (pairs, units) = (self.moments.count(), self.moments.units());
        if units < 2.0 || distance <= 0.0 {
            return 0.0;
        }
        // As if one more pair had been found just at the hypothesis: a run of equal values, which has no
        // variance, is evidence but not proof.
        let residuals = self.moments.clustered_residuals() + distance * distance;
        let ratio = (pairs * distance).powi(2) / (residuals * (units - 1.0));
        self.mixture.log_evidence(ratio, pairs, units)
    }

    /// The interval each of whose ends holds at all times with a probability of at least `1 - alpha`: the mean
    /// is ever below the lower end with a probability of at most alpha, and as often above the upper one.
    pub fn interval(&self, alpha: f64) -> Interval {
        let (pairs, units) = (self.moments.count(), self.moments.units());
        let needed = (units >= 2.0)
            .then(|| self.mixture.needed_ratio(pairs, units, alpha))
            .flatten();
        // The evidence above, solved for the distance: n^2 d^2 = ratio (units - 1) (residuals + d^2).
        let radius = needed.and_then(|ratio| {
            let share = ratio * (units - 1.0);
            let rest = pairs * pairs - share;
            (rest > 0.0).then(|| (share * self.moments.clustered_residuals() / rest).sqrt())
        });
        match radius {
            Some(radius) => Interval::around(self.moments.mean(), radius),
            None => Interval::EVERYTHING,
        }
    }
}
