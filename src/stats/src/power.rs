//! How many pairs a comparison needs, and what those that it has could show.

use crate::{Mixture, Monitor, normal};

/// The pairs after which a single look, one-sided at `alpha`, shows with probability `power` that an equally
/// good candidate is no worse than `margin`, for values whose paired differences have this standard
/// `deviation`.
///
/// `(z_alpha + z_power)^2 deviation^2 / margin^2`. The squared deviation of paired yes-or-no values is the share
/// of pairs that differ, that of unpaired rates `2 p (1 - p)`. Only of use to say what always-valid costs.
pub fn single_look_pairs(alpha: f64, power: f64, deviation: f64, margin: f64) -> f64 {
    ((normal::quantile(1.0 - alpha) + normal::quantile(power)) * deviation / margin).powi(2)
}

/// The pairs without an event after which a single look bounds its rate: `-ln(alpha) / rate`, the rule of three.
pub fn clean_pairs(alpha: f64, rate: f64) -> f64 {
    -alpha.ln() / rate
}

/// The pairs by which an always-valid comparison with this mixture shows with probability `power` that an
/// equally good candidate is no worse than `margin`; none within a thousand million.
///
/// The smallest n with `radius(n) + z_power / sqrt(n) <= margin / deviation`: the bound of that moment alone, so
/// it is found a little earlier than promised. Bets on rare events need about 1.3 times as many (README). Where
/// more are planned than `max_pairs`, a comparison tends to end Inconclusive: warn then.
pub fn planned_pairs(mixture: Mixture, alpha: f64, power: f64, deviation: f64, margin: f64) -> Option<u64> {
    let enough = |pairs: u64| shown(mixture, pairs as f64, alpha, power) * deviation <= margin;
    let (mut low, mut high) = (1, 1_000_000_000);
    if !enough(high) {
        return None;
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if enough(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(high)
}

/// The effect, in standard deviations of one pair, that is shown with probability `power` after `pairs`.
fn shown(mixture: Mixture, pairs: f64, alpha: f64, power: f64) -> f64 {
    mixture.radius(pairs, alpha) + normal::quantile(power) / pairs.sqrt()
}

impl Monitor {
    /// The smallest difference that the pairs so far would show with probability `power`, one-sided at `alpha`,
    /// in the unit of [`Monitor::difference`]: the distance of the bound on the bad side, and what chance adds.
    /// None as long as that bound is not known.
    ///
    /// It is taken from the interval itself, so that it is not zero where nothing happened yet.
    pub fn smallest_detectable_difference(&self, alpha: f64, power: f64) -> Option<f64> {
        let (interval, difference) = (self.interval(alpha)?, self.difference()?);
        let bound = if self.plan().sign() > 0.0 {
            difference - interval.low
        } else {
            interval.high - difference
        };
        let pairs = self.pairs() as f64;
        let certain = self.mixture.radius(pairs, alpha);
        Some(bound * shown(self.mixture, pairs, alpha, power) / certain)
    }

    /// The same as a fraction of the primary's value; none where that is not positive.
    pub fn smallest_detectable_fraction(&self, alpha: f64, power: f64) -> Option<f64> {
        let difference = self.smallest_detectable_difference(alpha, power)?;
        if self.plan().measure.is_ratio() {
            return Some(difference);
        }
        let primary = self.values()?.primary;
        (primary > 0.0).then(|| difference / primary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Direction, Margin, Measure, MetricPlan, Pair};

    /// Deviation, margin and pairs of the table of sample sizes: one-sided alpha 0.05, power 0.8.
    const TABLE: [(f64, f64, f64); 10] = [
        (0.05, 0.01, 3092.0),
        (0.05, 0.02, 773.0),
        (0.20, 0.02, 3092.0),
        (0.20, 0.03, 1374.0),
        (0.20, 0.05, 495.0),
        (0.40, 0.05, 990.0),
        (0.01, 0.01, 619.0),
        (0.04, 0.05, 99.0),
        (0.0198, 0.01, 1225.0),
        (0.0198, 0.005, 4897.0),
    ];

    #[test]
    fn a_single_look_needs_what_the_table_says() {
        for (variance, margin, pairs) in TABLE {
            let found = single_look_pairs(0.05, 0.8, f64::sqrt(variance), margin);
            // The table rounds to whole pairs.
            assert!((found - pairs).abs() < 1.0, "{variance} {margin}: {found}");
        }
        let three_points = single_look_pairs(0.025, 0.8, 0.5, 0.03);
        assert!((three_points - 2181.0).abs() < 1.5, "{three_points}");
        assert!((clean_pairs(0.05, 0.001) - 2995.7).abs() < 0.1);
    }

    #[test]
    fn always_valid_costs_twice_to_four_times_as_many() {
        let mixture = Mixture::new(0.05, 300, 5000);
        for (variance, margin, single) in TABLE {
            let planned = planned_pairs(mixture, 0.05, 0.8, f64::sqrt(variance), margin).expect("a number");
            let price = planned as f64 / single;
            // The 99 pairs of one row are far from where the mixture is tightest.
            let most = if single < 300.0 { 4.5 } else { 3.0 };
            assert!(
                (1.9..most).contains(&price),
                "{variance} {margin}: {planned}, {price} times"
            );
        }
    }

    #[test]
    fn a_margin_that_no_number_of_pairs_proves_has_no_plan() {
        let mixture = Mixture::new(0.05, 300, 5000);
        assert_eq!(planned_pairs(mixture, 0.05, 0.8, 1.0, 0.0), None);
        assert_eq!(planned_pairs(mixture, 0.05, 0.8, 1.0, 1e-9), None);
    }

    #[test]
    fn what_can_be_detected_shrinks_with_pairs_and_fits_the_plan() {
        let plan = MetricPlan {
            name: "length".into(),
            measure: Measure::Mean,
            direction: Direction::HigherIsBetter,
            margin: Margin::Relative(0.02),
        };
        let mut monitor = Monitor::new(plan, 0.05, 300, 5000);
        assert_eq!(monitor.smallest_detectable_difference(0.05, 0.8), None);
        let mut detectable = Vec::new();
        for i in 0..2000 {
            let candidate = if i % 2 == 0 { 11.0 } else { 9.0 };
            monitor.push(
                None,
                Pair {
                    primary: 10.0,
                    candidate,
                },
            );
            if i % 500 == 499 {
                detectable.push(monitor.smallest_detectable_difference(0.05, 0.8).expect("a bound"));
            }
        }
        assert!(detectable.is_sorted_by(|a, b| a > b), "{detectable:?}");
        let planned = planned_pairs(monitor.mixture, 0.05, 0.8, 1.0, detectable[3]).expect("a number");
        assert!(planned.abs_diff(2000) < 20, "{planned}");
        let fraction = monitor.smallest_detectable_fraction(0.05, 0.8).expect("a bound");
        assert!((fraction - detectable[3] / 10.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_seen_is_not_nothing_to_be_seen() {
        let plan = MetricPlan {
            name: "errors".into(),
            measure: Measure::Share,
            direction: Direction::LowerIsBetter,
            margin: Margin::Absolute(0.01),
        };
        let mut monitor = Monitor::new(plan, 0.05, 300, 5000);
        for _ in 0..300 {
            monitor.push(
                None,
                Pair {
                    primary: 0.0,
                    candidate: 0.0,
                },
            );
        }
        let detectable = monitor.smallest_detectable_difference(0.05, 0.8).expect("a bound");
        assert!(detectable > 0.01, "{detectable}");
        assert_eq!(
            monitor.smallest_detectable_fraction(0.05, 0.8),
            None,
            "of no errors there is no fraction"
        );
    }
}
