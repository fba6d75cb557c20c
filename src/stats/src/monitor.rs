//! The state of one metric while pairs come in.

use crate::{
    BoundedSequence, Interval, Margin, MeanSequence, Measure, MetricPlan, Mixture, Pair, QuantileSequence,
    moments::Moments,
};

/// The confidence sequence of a mean: exact where values have bounds, asymptotic where they have none.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Sequence {
    Bounded(BoundedSequence),
    Unbounded(MeanSequence),
}

impl Sequence {
    fn new(bounds: Option<(f64, f64)>, mixture: Mixture, max_pairs: u64) -> Self {
        match bounds {
            Some((low, high)) => Self::Bounded(BoundedSequence::new(low, high, max_pairs)),
            None => Self::Unbounded(MeanSequence::new(mixture)),
        }
    }

    fn push(&mut self, cluster: Option<u64>, value: f64) {
        match self {
            Self::Bounded(sequence) => sequence.push(cluster, value),
            Self::Unbounded(sequence) => sequence.push(cluster, value),
        }
    }

    pub fn moments(&self) -> &Moments {
        match self {
            Self::Bounded(sequence) => sequence.moments(),
            Self::Unbounded(sequence) => sequence.moments(),
        }
    }

    pub fn log_evidence_above(&self, mean: f64) -> f64 {
        match self {
            Self::Bounded(sequence) => sequence.log_evidence_above(mean),
            Self::Unbounded(sequence) => sequence.log_evidence_above(mean),
        }
    }

    pub fn log_evidence_below(&self, mean: f64) -> f64 {
        match self {
            Self::Bounded(sequence) => sequence.log_evidence_below(mean),
            Self::Unbounded(sequence) => sequence.log_evidence_below(mean),
        }
    }

    pub fn interval(&self, alpha: f64) -> Interval {
        match self {
            Self::Bounded(sequence) => sequence.interval(alpha),
            Self::Unbounded(sequence) => sequence.interval(alpha),
        }
    }
}

/// What is known of one metric: updated in constant time for each pair, in bounded memory.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Monitor {
    plan: MetricPlan,
    pub(crate) mixture: Mixture,
    primary: Moments,
    candidate: Moments,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
enum Kind {
    /// The slack has a mean; so has the difference.
    Mean { slack: Sequence, difference: Sequence },
    /// The slack is a share of good pairs; the difference is a quantile of ratios.
    PairedRatio { slack: Sequence, ratios: QuantileSequence },
    /// Two quantiles.
    Quantiles {
        primary: QuantileSequence,
        candidate: QuantileSequence,
    },
}

impl Monitor {
    /// A monitor without pairs yet. `plan` has been checked.
    pub(crate) fn new(plan: MetricPlan, alpha: f64, min_pairs: u64, max_pairs: u64) -> Self {
        let mixture = Mixture::new(alpha, min_pairs, max_pairs);
        let sequence = |bounds| Sequence::new(bounds, mixture, max_pairs);
        let kind = match plan.measure {
            Measure::PairedRatioQuantile(quantile) => Kind::PairedRatio {
                slack: sequence(plan.slack_bounds()),
                ratios: QuantileSequence::new(quantile, max_pairs),
            },
            Measure::QuantileRatio(quantile) => Kind::Quantiles {
                primary: QuantileSequence::new(quantile, max_pairs),
                candidate: QuantileSequence::new(quantile, max_pairs),
            },
            _ => Kind::Mean {
                slack: sequence(plan.slack_bounds()),
                difference: sequence(plan.measure.bounds().map(|(low, high)| (low - high, high - low))),
            },
        };
        Self {
            plan,
            mixture,
            primary: Moments::default(),
            candidate: Moments::default(),
            kind,
        }
    }

    /// What is compared.
    pub fn plan(&self) -> &MetricPlan {
        &self.plan
    }

    /// Adds a pair that has been checked.
    pub(crate) fn push(&mut self, cluster: Option<u64>, pair: Pair) {
        let logs = self.plan.measure == Measure::GeometricMean;
        let value = |value: f64| if logs { value.ln() } else { value };
        self.primary.push(None, value(pair.primary));
        self.candidate.push(None, value(pair.candidate));
        match &mut self.kind {
            Kind::Mean { slack, difference } => {
                slack.push(cluster, self.plan.slack(pair));
                difference.push(cluster, value(pair.candidate) - value(pair.primary));
            }
            Kind::PairedRatio { slack, ratios } => {
                slack.push(cluster, self.plan.slack(pair));
                ratios.push(cluster, pair.candidate / pair.primary);
            }
            Kind::Quantiles { primary, candidate } => {
                primary.push(cluster, pair.primary);
                candidate.push(cluster, pair.candidate);
            }
        }
    }

    /// How many pairs had a value of this metric.
    pub fn pairs(&self) -> u64 {
        self.primary.count() as u64
    }

    /// The natural logarithm of the evidence that the candidate is no worse than the margin: it ever exceeds
    /// `ln(1 / alpha)` with a probability of at most alpha if it is worse.
    pub fn log_evidence_not_worse(&self) -> f64 {
        self.log_evidence(1.0)
    }

    /// The natural logarithm of the evidence that the candidate is worse than the margin.
    pub fn log_evidence_worse(&self) -> f64 {
        self.log_evidence(-1.0)
    }

    fn log_evidence(&self, side: f64) -> f64 {
        match &self.kind {
            Kind::Mean { slack, .. } | Kind::PairedRatio { slack, .. } => {
                if side > 0.0 {
                    slack.log_evidence_above(0.0)
                } else {
                    slack.log_evidence_below(0.0)
                }
            }
            Kind::Quantiles { primary, candidate } => {
                let ratio = self.plan.worst_ratio();
                if side * self.plan.sign() < 0.0 {
                    candidate.log_evidence_below(ratio, primary)
                } else {
                    primary.log_evidence_below(1.0 / ratio, candidate)
                }
            }
        }
    }

    /// The natural logarithm of the evidence that both models differ at all, in the direction that has more
    /// of it.
    pub(crate) fn log_evidence_different(&self) -> f64 {
        match &self.kind {
            Kind::Mean { difference, .. } => difference
                .log_evidence_above(0.0)
                .max(difference.log_evidence_below(0.0)),
            Kind::PairedRatio { ratios, .. } => ratios.log_evidence_off(1.0),
            Kind::Quantiles { primary, candidate } => {
                let (slower, faster) = (
                    primary.log_evidence_below(1.0, candidate),
                    candidate.log_evidence_below(1.0, primary),
                );
                slower.max(faster)
            }
        }
    }

    /// The slack's mean and the standard deviation of one pair; none while too little is known. Of two quantiles
    /// it is the logarithm of their ratio, whose deviation follows from the interval at `alpha`.
    pub(crate) fn slack(&self, alpha: f64) -> Option<(f64, f64)> {
        match &self.kind {
            Kind::Mean { slack, .. } | Kind::PairedRatio { slack, .. } => {
                (self.pairs() > 1).then(|| (slack.moments().mean(), slack.moments().deviation()))
            }
            Kind::Quantiles { .. } => {
                let logs = self.interval(alpha)?.map(f64::ln_1p);
                let mean = self.plan.sign() * (self.difference()?.ln_1p() - self.plan.worst_ratio().ln());
                let deviation = 0.5 * (logs.high - logs.low) / self.mixture.radius(self.pairs() as f64, alpha);
                deviation.is_finite().then_some((mean, deviation))
            }
        }
    }

    /// The values of the primary and of the candidate: means, geometric means or quantiles. None without pairs.
    pub fn values(&self) -> Option<Pair> {
        if self.pairs() == 0 {
            return None;
        }
        if let Kind::Quantiles { primary, candidate } = &self.kind {
            return Some(Pair {
                primary: primary.estimate()?,
                candidate: candidate.estimate()?,
            });
        }
        let logs = self.plan.measure == Measure::GeometricMean;
        let value = |moments: &Moments| if logs { moments.mean().exp() } else { moments.mean() };
        Some(Pair {
            primary: value(&self.primary),
            candidate: value(&self.candidate),
        })
    }

    /// Candidate less primary. For ratios ([`Measure::is_ratio`]) it is a fraction of the primary's value,
    /// otherwise it has the metric's unit. None without pairs.
    pub fn difference(&self) -> Option<f64> {
        if self.pairs() == 0 {
            return None;
        }
        match &self.kind {
            Kind::Mean { difference, .. } => Some(self.shown(difference.moments().mean())),
            Kind::PairedRatio { ratios, .. } => Some(ratios.estimate()? - 1.0),
            Kind::Quantiles { primary, candidate } => Some(candidate.estimate()? / primary.estimate()? - 1.0),
        }
    }

    /// The interval of the true difference, in the unit of [`Self::difference`]; each end holds at all times
    /// with a probability of at least `1 - alpha`. None as long as an end is not known.
    pub fn interval(&self, alpha: f64) -> Option<Interval> {
        if self.pairs() == 0 {
            return None;
        }
        let interval = match &self.kind {
            Kind::Mean { difference, .. } => difference.interval(alpha).map(|end| self.shown(end)),
            Kind::PairedRatio { ratios, .. } => ratios.interval(alpha).map(|ratio| ratio - 1.0),
            Kind::Quantiles { primary, candidate } => candidate.ratio_interval(primary, alpha).map(|ratio| ratio - 1.0),
        };
        interval.is_finite().then_some(interval)
    }

    /// The difference at which the candidate is just worse by the margin, in the unit of [`Self::difference`];
    /// a relative margin is one of the primary's mean so far.
    pub fn limit(&self) -> f64 {
        let sign = self.plan.sign();
        match self.plan.margin {
            Margin::Absolute(margin) => -sign * margin,
            Margin::Relative(margin) if self.plan.measure.is_ratio() => -sign * margin,
            Margin::Relative(margin) => -sign * margin * self.primary.mean(),
        }
    }

    /// A difference in the unit that is shown.
    fn shown(&self, difference: f64) -> f64 {
        if self.plan.measure == Measure::GeometricMean {
            difference.exp_m1()
        } else {
            difference
        }
    }
}
