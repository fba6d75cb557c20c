//! The mean of a value with bounds: a confidence sequence that holds at any number of pairs.

use crate::{Interval, bets::Bets, moments::Moments};

/// Different values that are kept as they are: shares, judgements and other values with ties.
const ATOMS: usize = 16;

/// Equal steps between the bounds, where there are more different values than that.
const STEPS: usize = 64;

/// Evidence below this is told as none: no alpha of up to a half asks for so little.
const NOTHING: f64 = 0.69;

/// A confidence sequence for the mean of a value within known bounds.
///
/// It holds at every number of pairs and for every distribution within the bounds, be it ever so skewed: there
/// is no asymptotics in it, except in the design effect where values come in clusters.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct BoundedSequence {
    low: f64,
    high: f64,
    bets: Bets,
    moments: Moments,
    /// Values and how often each was seen: as they are, or by steps between the bounds.
    seen: Vec<(f64, f64)>,
    by_steps: bool,
}

impl BoundedSequence {
    /// A sequence for values between `low` and `high`, which suits comparisons of up to `max_pairs`.
    pub fn new(low: f64, high: f64, max_pairs: u64) -> Self {
        Self {
            low,
            high,
            bets: Bets::new(max_pairs),
            moments: Moments::default(),
            seen: Vec::new(),
            by_steps: false,
        }
    }

    /// Adds a value, in constant time. Values of one cluster may depend on each other; without a cluster it
    /// stands alone. The value lies within the bounds: who calls has checked it.
    pub fn push(&mut self, cluster: Option<u64>, value: f64) {
        // What was rounded in a sum of two numbers is not worth an error.
        let value = value.clamp(self.low, self.high);
        self.moments.push(cluster, value);
        if self.by_steps {
            self.split(value, 1.0);
        } else if let Some(seen) = self.seen.iter_mut().find(|seen| seen.0 == value) {
            seen.1 += 1.0;
        } else if self.seen.len() < ATOMS {
            self.seen.push((value, 1.0));
        } else {
            let step = (self.high - self.low) / STEPS as f64;
            let steps = (0..=STEPS).map(|i| (self.low + step * i as f64, 0.0)).collect();
            self.by_steps = true;
            for (value, times) in std::mem::replace(&mut self.seen, steps) {
                self.split(value, times);
            }
            self.split(value, 1.0);
        }
    }

    /// Shares a value between the two steps beside it so that the mean stays the same. The logarithm of a gain
    /// is concave, so this makes the capital smaller, never larger: what is proved stays proved.
    fn split(&mut self, value: f64, times: f64) {
        let place = ((value - self.low) / (self.high - self.low) * STEPS as f64).clamp(0.0, STEPS as f64);
        let below = (place as usize).min(STEPS - 1);
        let share = place - below as f64;
        self.seen[below].1 += times * (1.0 - share);
        self.seen[below + 1].1 += times * share;
    }

    pub(crate) fn moments(&self) -> &Moments {
        &self.moments
    }

    /// The natural logarithm of the evidence that the true mean is above `mean`: it ever exceeds
    /// `ln(1 / alpha)` with a probability of at most alpha if it is not. 0 where the mean found is below,
    /// and where the evidence is less than any alpha asks for.
    pub fn log_evidence_above(&self, mean: f64) -> f64 {
        if mean < self.low {
            return f64::INFINITY;
        }
        self.log_evidence(mean, mean - self.low, 1.0)
    }

    /// The natural logarithm of the evidence that the true mean is below `mean`.
    pub fn log_evidence_below(&self, mean: f64) -> f64 {
        if mean > self.high {
            return f64::INFINITY;
        }
        self.log_evidence(mean, self.high - mean, -1.0)
    }

    fn log_evidence(&self, mean: f64, room: f64, side: f64) -> f64 {
        if side * (self.moments.mean() - mean) <= 0.0 {
            return 0.0;
        }
        // A hypothesis at the bound allows no other value at all; one very close to it is good enough.
        let room = room.max(1e-9 * (self.high - self.low));
        let (distance, count) = (side * (self.moments.mean() - mean) / room, self.moments.count());
        let squares = self.moments.residuals() / (room * room) + count * distance * distance;
        let worth = self.moments.design_effect();
        let largest = if side > 0.0 { self.high - mean } else { mean - self.low } / room;
        let most = self.bets.log_capital_at_most(count * distance, squares, largest, worth);
        if most < NOTHING {
            return 0.0;
        }
        let values = self.seen.iter().filter(|seen| seen.1 > 0.0);
        let values = values.map(|(value, times)| ((side * (value - mean) / room).max(-1.0), *times));
        self.bets.log_capital(values, worth)
    }

    /// The interval each of whose ends holds at all times with a probability of at least `1 - alpha`: the mean
    /// is ever below the lower end with a probability of at most alpha, and as often above the upper one.
    pub fn interval(&self, alpha: f64) -> Interval {
        let (needed, mean) = (-alpha.ln(), self.moments.mean());
        if self.moments.count() == 0.0 {
            return Interval {
                low: self.low,
                high: self.high,
            };
        }
        Interval {
            low: last_proved(self.low, mean, |at| self.log_evidence_above(at) >= needed),
            high: last_proved(self.high, mean, |at| self.log_evidence_below(at) >= needed),
        }
    }
}

/// Where, on the way from a bound to the mean, values stop being ruled out; to one part in a million of it.
fn last_proved(bound: f64, mean: f64, ruled_out: impl Fn(f64) -> bool) -> f64 {
    let (mut out, mut inside) = (bound, mean);
    for _ in 0..20 {
        let middle = 0.5 * (out + inside);
        if ruled_out(middle) {
            out = middle;
        } else {
            inside = middle;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    fn sequence(values: impl IntoIterator<Item = f64>) -> BoundedSequence {
        let mut sequence = BoundedSequence::new(0.0, 1.0, 5000);
        for value in values {
            sequence.push(None, value);
        }
        sequence
    }

    #[test]
    fn nothing_seen_rules_nothing_out_and_nothing_bad_seen_bounds_the_share() {
        assert_eq!(sequence([]).interval(0.05), Interval { low: 0.0, high: 1.0 });
        // The rule of three says 1 % for 300 looked at once; looked at all the time it is less than twice that.
        let clean = sequence([0.0; 300]).interval(0.05);
        assert_eq!(clean.low, 0.0);
        assert!(clean.high > 0.01 && clean.high < 0.02, "{clean:?}");
    }

    #[test]
    fn steps_only_ever_weaken_the_evidence_and_not_by_much() {
        let mut random = StdRng::seed_from_u64(3);
        let values: Vec<f64> = (0..1000).map(|_| 0.6 + 0.2 * (random.random::<f64>() - 0.5)).collect();
        let mut exact = sequence([]);
        for value in &values {
            exact.moments.push(None, *value);
            exact.seen.push((*value, 1.0));
        }
        let rough = sequence(values);
        assert!(rough.by_steps);
        for mean in [0.57, 0.59] {
            assert!(rough.log_evidence_above(mean) <= exact.log_evidence_above(mean));
        }
        let (rough, exact) = (rough.interval(0.05), exact.interval(0.05));
        assert!(
            rough.low <= exact.low && rough.high >= exact.high,
            "{rough:?} {exact:?}"
        );
        assert!(
            rough.high - rough.low < 1.05 * (exact.high - exact.low),
            "{rough:?} {exact:?}"
        );
    }

    #[test]
    fn both_sides_are_mirror_images() {
        let mut random = StdRng::seed_from_u64(4);
        let values: Vec<f64> = (0..500).map(|_| random.random::<f64>().powi(3)).collect();
        let here = sequence(values.iter().copied()).interval(0.05);
        let there = sequence(values.iter().map(|value| 1.0 - value)).interval(0.05);
        assert!((here.low - (1.0 - there.high)).abs() < 1e-5, "{here:?} {there:?}");
        assert!((here.high - (1.0 - there.low)).abs() < 1e-5, "{here:?} {there:?}");
    }

    #[test]
    fn copies_in_a_cluster_are_no_evidence() {
        let mut copied = BoundedSequence::new(0.0, 1.0, 5000);
        let mut random = StdRng::seed_from_u64(5);
        let mut once = copied.clone();
        for key in 0..200 {
            let value = f64::from(u8::from(random.random_bool(0.3)));
            once.push(None, value);
            for _ in 0..10 {
                copied.push(Some(key), value);
            }
        }
        let (copied, once) = (copied.interval(0.05), once.interval(0.05));
        assert!((copied.low - once.low).abs() < 0.01 && (copied.high - once.high).abs() < 0.01);
    }
}
