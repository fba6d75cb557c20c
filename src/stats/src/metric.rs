//! What is compared: a metric's measure, direction and margin.

use crate::{PlanError, ValueError};

/// A metric and how much worse the candidate may be in it. Chosen before the first pair.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct MetricPlan {
    /// Name, for reports.
    pub name: String,
    /// What of the values is compared.
    pub measure: Measure,
    /// Which values are better.
    pub direction: Direction,
    /// How much worse the candidate may be.
    pub margin: Margin,
}

/// What of the values is compared.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Measure {
    /// The share of pairs in which something is so; values are 0 and 1. Exact at any number of pairs.
    Share,
    /// The mean of values within bounds, such as similarities. Exact at any number of pairs.
    BoundedMean {
        /// Lower bound.
        low: f64,
        /// Upper bound.
        high: f64,
    },
    /// The mean of values without bounds, such as lengths. Asymptotic.
    Mean,
    /// The ratio of geometric means of positive values: times, by how many percent pairs differ. Asymptotic.
    GeometricMean,
    /// A quantile of the ratios of positive values within pairs: how much slower the candidate is in, say, half
    /// of the pairs. Exact at any number of pairs.
    PairedRatioQuantile(
        /// The share of pairs below it, above 0 and below 1.
        f64,
    ),
    /// The ratio of the two models' quantiles of positive values, such as their 95th percentiles. Exact at any
    /// number of pairs, but it knows nothing of pairs, and needs several times as many.
    QuantileRatio(
        /// The share of values below it, above 0 and below 1.
        f64,
    ),
}

/// Which values are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Direction {
    /// Larger ones: similarities, valid formats.
    HigherIsBetter,
    /// Smaller ones: times, errors.
    LowerIsBetter,
}

/// How much worse the candidate may be; not negative.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Margin {
    /// As a fraction of the primary's value, whose mean is positive: 0.02 is 2 %.
    Relative(f64),
    /// In the metric's own unit: 0.01 of a share is one percentage point.
    Absolute(f64),
}

/// One metric's values for one request. For a score of the candidate's answer alone (how similar it is to the
/// primary's), the primary's value is the score of a second answer of the primary, or a constant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The value of the model that serves.
    pub primary: f64,
    /// The value of the candidate.
    pub candidate: f64,
}

impl Measure {
    /// The bounds of the values, where there are any.
    pub(crate) fn bounds(self) -> Option<(f64, f64)> {
        match self {
            Self::Share => Some((0.0, 1.0)),
            Self::BoundedMean { low, high } => Some((low, high)),
            _ => None,
        }
    }

    /// Whether values are compared by their ratios, so that differences are fractions of the primary's value.
    pub fn is_ratio(self) -> bool {
        matches!(
            self,
            Self::GeometricMean | Self::PairedRatioQuantile(_) | Self::QuantileRatio(_)
        )
    }
}

impl MetricPlan {
    /// Whether the plan makes sense.
    pub(crate) fn check(&self) -> Result<(), PlanError> {
        let (margin, relative) = match self.margin {
            Margin::Relative(margin) => (margin, true),
            Margin::Absolute(margin) => (margin, false),
        };
        let wrong = |why| {
            Err(PlanError::Margin {
                metric: self.name.clone(),
                margin,
                why,
            })
        };
        if !(0.0..=1e100).contains(&margin) {
            return wrong("it must be a number of at least 0");
        }
        if relative && margin >= 1.0 && self.direction == Direction::HigherIsBetter {
            return wrong("of values that should be high less than all of them can be lost");
        }
        if !relative && self.measure.is_ratio() {
            return wrong("ratios need a relative margin");
        }
        match self.measure {
            Measure::PairedRatioQuantile(quantile) | Measure::QuantileRatio(quantile) => {
                check_probability("quantile", quantile, 1.0)
            }
            Measure::BoundedMean { low, high } if !(low < high && low.abs() < 1e100 && high.abs() < 1e100) => {
                Err(PlanError::Bounds {
                    metric: self.name.clone(),
                    low,
                    high,
                })
            }
            _ => Ok(()),
        }
    }

    /// Whether a pair can be counted.
    pub(crate) fn check_pair(&self, pair: Pair) -> Result<(), ValueError> {
        for value in [pair.primary, pair.candidate] {
            let metric = || self.name.clone();
            if !value.is_finite() || value.abs() >= 1e100 {
                return Err(ValueError::NotFinite {
                    metric: metric(),
                    value,
                });
            }
            if self.measure.is_ratio() && value <= 0.0 {
                return Err(ValueError::NotPositive {
                    metric: metric(),
                    value,
                });
            }
            if let Some((low, high)) = self.measure.bounds()
                && !(low..=high).contains(&value)
            {
                return Err(ValueError::OutOfBounds {
                    metric: metric(),
                    value,
                    low,
                    high,
                });
            }
        }
        Ok(())
    }

    /// The ratio to the primary's value at which the candidate is just worse by the margin.
    pub(crate) fn worst_ratio(&self) -> f64 {
        let Margin::Relative(margin) = self.margin else {
            return 1.0;
        };
        match self.direction {
            Direction::HigherIsBetter => 1.0 - margin,
            Direction::LowerIsBetter => 1.0 + margin,
        }
    }

    /// 1 where higher values are better, -1 where lower ones are.
    pub(crate) fn sign(&self) -> f64 {
        match self.direction {
            Direction::HigherIsBetter => 1.0,
            Direction::LowerIsBetter => -1.0,
        }
    }

    /// How much better the candidate is than it has to be: a linear combination of both values, whose mean is
    /// above 0 exactly if the candidate is no worse than the margin. Testing it directly spares the ratio of two
    /// means, whose error is not known (Fieller 1954).
    pub(crate) fn slack(&self, pair: Pair) -> f64 {
        let Pair { primary, candidate } = pair;
        let sign = self.sign();
        match self.measure {
            Measure::GeometricMean => sign * ((candidate / primary).ln() - self.worst_ratio().ln()),
            Measure::PairedRatioQuantile(quantile) => {
                let good = sign * (candidate - self.worst_ratio() * primary) >= 0.0;
                let share = if sign > 0.0 { 1.0 - quantile } else { quantile };
                f64::from(u8::from(good)) - share
            }
            _ => match self.margin {
                Margin::Relative(_) => sign * (candidate - self.worst_ratio() * primary),
                Margin::Absolute(margin) => sign * (candidate - primary) + margin,
            },
        }
    }

    /// The bounds of [`Self::slack`], where there are any.
    pub(crate) fn slack_bounds(&self) -> Option<(f64, f64)> {
        if let Measure::PairedRatioQuantile(quantile) = self.measure {
            let share = if self.sign() > 0.0 { 1.0 - quantile } else { quantile };
            return Some((-share, 1.0 - share));
        }
        let (low, high) = self.measure.bounds()?;
        let corners = [(low, low), (low, high), (high, low), (high, high)]
            .map(|(primary, candidate)| self.slack(Pair { primary, candidate }));
        Some((
            corners.into_iter().fold(f64::INFINITY, f64::min),
            corners.into_iter().fold(f64::NEG_INFINITY, f64::max),
        ))
    }
}

/// Whether a probability is above 0 and below `limit`.
pub(crate) fn check_probability(name: &'static str, value: f64, limit: f64) -> Result<(), PlanError> {
    if value > 0.0 && value < limit {
        return Ok(());
    }
    Err(PlanError::Probability { name, value, limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(measure: Measure, direction: Direction, margin: Margin) -> MetricPlan {
        MetricPlan {
            name: "m".into(),
            measure,
            direction,
            margin,
        }
    }

    #[test]
    fn slack_is_zero_just_at_the_margin_and_positive_inside() {
        use {Direction::*, Margin::*, Measure::*};
        for (measure, direction, margin, edge, inside) in [
            (Mean, HigherIsBetter, Relative(0.1), 90.0, 91.0),
            (Mean, LowerIsBetter, Relative(0.1), 110.0, 109.0),
            (Mean, LowerIsBetter, Absolute(3.0), 103.0, 102.0),
            (GeometricMean, LowerIsBetter, Relative(0.1), 110.0, 100.0),
            (GeometricMean, HigherIsBetter, Relative(0.1), 90.0, 100.0),
        ] {
            let plan = plan(measure, direction, margin);
            let slack = |candidate| {
                plan.slack(Pair {
                    primary: 100.0,
                    candidate,
                })
            };
            assert!(slack(edge).abs() < 1e-9, "{plan:?}");
            assert!(slack(inside) > 0.0, "{plan:?}");
        }
    }

    #[test]
    fn a_quantile_of_ratios_is_a_share_of_good_pairs() {
        let times = plan(
            Measure::PairedRatioQuantile(0.95),
            Direction::LowerIsBetter,
            Margin::Relative(0.1),
        );
        let slack = |candidate| {
            times.slack(Pair {
                primary: 1.0,
                candidate,
            })
        };
        assert!((slack(1.05) - 0.05).abs() < 1e-12 && (slack(1.2) + 0.95).abs() < 1e-12);
        let scores = MetricPlan {
            direction: Direction::HigherIsBetter,
            ..times
        };
        // The 95th percentile of ratios is above 0.9 if more than 5 % of them are.
        let slack = |candidate| {
            scores.slack(Pair {
                primary: 1.0,
                candidate,
            })
        };
        assert!((slack(1.05) - 0.95).abs() < 1e-12 && (slack(0.8) + 0.05).abs() < 1e-12);
    }

    #[test]
    fn bounds_of_slack_hold_all_corners() {
        let errors = plan(Measure::Share, Direction::LowerIsBetter, Margin::Relative(0.5));
        assert_eq!(errors.slack_bounds(), Some((-1.0, 1.5)));
        assert_eq!(
            plan(Measure::Mean, Direction::LowerIsBetter, Margin::Relative(0.5)).slack_bounds(),
            None
        );
    }

    #[test]
    fn senseless_plans_are_refused() {
        use {Direction::*, Margin::*, Measure::*};
        for (measure, direction, margin) in [
            (Mean, HigherIsBetter, Relative(-0.1)),
            (Mean, HigherIsBetter, Relative(f64::NAN)),
            (Mean, HigherIsBetter, Relative(1.0)),
            (GeometricMean, LowerIsBetter, Absolute(0.1)),
            (QuantileRatio(1.0), LowerIsBetter, Relative(0.1)),
            (BoundedMean { low: 1.0, high: 1.0 }, HigherIsBetter, Relative(0.1)),
        ] {
            assert!(
                plan(measure, direction, margin).check().is_err(),
                "{measure:?} {margin:?}"
            );
        }
        assert_eq!(plan(Mean, LowerIsBetter, Relative(1.5)).check(), Ok(()));
    }

    #[test]
    fn values_that_cannot_be_are_refused() {
        use {Direction::*, Margin::*, Measure::*};
        let refused = |measure, candidate| {
            let pair = Pair {
                primary: 0.5,
                candidate,
            };
            plan(measure, LowerIsBetter, Relative(0.1)).check_pair(pair).is_err()
        };
        assert!(refused(Mean, f64::NAN) && refused(Mean, f64::INFINITY) && refused(Mean, 1e200));
        assert!(refused(GeometricMean, 0.0) && refused(Share, 1.5));
        assert!(!refused(Mean, -3.0) && !refused(Share, 1.0));
    }
}
