//! A whole comparison: its plan, its state, its verdict.

use crate::{
    Decision, End, MetricPlan, MetricResult, MetricVerdict, Monitor, Pair, PlanError, Reason, ValueError, Verdict,
    futility::{FUTILE, outlook},
    holm,
    metric::check_probability,
};

/// What a comparison is meant to show, chosen before the first pair.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TrialPlan {
    /// The metric that the verdict is about.
    pub primary: MetricPlan,
    /// Metrics that must not get worse either.
    pub guardrails: Vec<MetricPlan>,
    /// The probability of Promote for a candidate that is worse than a margin, and of Reject for one that is
    /// worse than none. Below 0.5.
    pub alpha: f64,
    /// The probability that [`MetricResult::smallest_detectable_difference`] is told for.
    pub power: f64,
    /// Pairs before which no verdict is given; a metric counts when as many pairs had a value of it.
    pub min_pairs: u64,
    /// Pairs after which the verdict is Inconclusive.
    pub max_pairs: u64,
    /// End early when a verdict has become unlikely.
    pub futility: bool,
}

/// A comparison while pairs come in: its state can be stored and read again after every pair.
///
/// **False Promote.** Promote needs every metric to be proved no worse at alpha. If the candidate is worse in any,
/// that one metric's proof is wrong with a probability of at most alpha, so Promote is too, however many metrics
/// there are and however they depend on each other: an intersection-union test needs no correction (Berger 1982,
/// Technometrics 24). **False Reject.** Any metric can reject, so the chances of error add up: Holm's procedure
/// over the primary metric and all guardrails keeps the probability of calling *any* metric worse that is not at
/// alpha (family-wise, strongly: also when others are). Both hold over all looks together, each at alpha; they
/// concern different candidates, so they do not add up.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Trial {
    alpha: f64,
    power: f64,
    min_pairs: u64,
    max_pairs: u64,
    futility: bool,
    pairs: u64,
    /// The primary metric, then the guardrails.
    monitors: Vec<Monitor>,
}

impl Trial {
    /// A comparison without pairs yet.
    ///
    /// # Errors
    /// If the plan makes no sense.
    pub fn new(plan: TrialPlan) -> Result<Self, PlanError> {
        let TrialPlan {
            primary,
            guardrails,
            alpha,
            power,
            min_pairs,
            max_pairs,
            futility,
        } = plan;
        check_probability("alpha", alpha, 0.5)?;
        check_probability("power", power, 1.0)?;
        if min_pairs < 2 || min_pairs > max_pairs {
            return Err(PlanError::Pairs {
                min: min_pairs,
                max: max_pairs,
            });
        }
        let mut monitors = Vec::new();
        for metric in std::iter::once(primary).chain(guardrails) {
            metric.check()?;
            monitors.push(Monitor::new(metric, alpha, min_pairs, max_pairs));
        }
        Ok(Self {
            alpha,
            power,
            min_pairs,
            max_pairs,
            futility,
            pairs: 0,
            monitors,
        })
    }

    /// Counts a request that both answered, with a value for each metric in the order of the plan, primary
    /// first, or none where a metric has no value (no time to the first token of an answer that failed). Such
    /// gaps must not depend on which answer is better: what failed belongs into a metric of its own.
    ///
    /// Pairs of one `cluster` may depend on each other: give all of a conversation the same number. It takes
    /// constant time.
    ///
    /// # Errors
    /// If a value cannot be; nothing is counted then.
    pub fn push(&mut self, cluster: Option<u64>, values: &[Option<Pair>]) -> Result<(), ValueError> {
        if values.len() != self.monitors.len() {
            return Err(ValueError::Count {
                found: values.len(),
                wanted: self.monitors.len(),
            });
        }
        for (monitor, value) in self.monitors.iter().zip(values) {
            value.map_or(Ok(()), |pair| monitor.plan().check_pair(pair))?;
        }
        for (monitor, value) in self.monitors.iter_mut().zip(values) {
            if let Some(pair) = value {
                monitor.push(cluster, *pair);
            }
        }
        self.pairs += 1;
        Ok(())
    }

    /// The requests that both answered.
    pub fn pairs(&self) -> u64 {
        self.pairs
    }

    /// The state of each metric, primary first.
    pub fn monitors(&self) -> &[Monitor] {
        &self.monitors
    }

    /// The verdict, if it can be given or has to be. It may be asked after every pair; the first one stands, and
    /// no pair may be added to get another.
    pub fn verdict(&self, end: Option<End>) -> Option<Decision> {
        let findings = self.findings();
        if self.pairs >= self.min_pairs {
            if findings.contains(&MetricVerdict::Worse) {
                // Holm rejects what has most evidence first.
                let worst = self.extreme(Monitor::log_evidence_worse);
                return Some(decision(Verdict::Reject, Reason::Worse, worst));
            }
            if findings.iter().all(|finding| *finding == MetricVerdict::NotWorse) {
                return Some(decision(Verdict::Promote, Reason::NotWorse, None));
            }
        }
        let reason = if self.pairs >= self.max_pairs {
            Reason::MaxPairs
        } else {
            match end {
                Some(End::Deadline) => Reason::Deadline,
                Some(End::Budget) => Reason::Budget,
                None => return self.futile(),
            }
        };
        let least = self.extreme(|monitor| -monitor.log_evidence_not_worse());
        Some(decision(Verdict::Inconclusive, reason, least))
    }

    /// What is known of each metric, primary first.
    pub fn results(&self) -> Vec<MetricResult> {
        let findings = self.findings().into_iter();
        let result = |(monitor, verdict): (&Monitor, MetricVerdict)| {
            let values = monitor.values();
            MetricResult {
                metric: monitor.plan().name.clone(),
                pairs: monitor.pairs(),
                primary: values.map(|values| values.primary),
                candidate: values.map(|values| values.candidate),
                difference: monitor.difference(),
                interval: monitor.interval(self.alpha),
                limit: monitor.limit(),
                smallest_detectable_difference: monitor.smallest_detectable_difference(self.alpha, self.power),
                verdict,
            }
        };
        self.monitors.iter().zip(findings).map(result).collect()
    }

    /// What follows for each metric, primary first; all are Open before the first look.
    fn findings(&self) -> Vec<MetricVerdict> {
        let counts = |monitor: &Monitor| monitor.pairs() >= self.min_pairs;
        let worse = self.monitors.iter().map(|monitor| {
            if counts(monitor) {
                monitor.log_evidence_worse()
            } else {
                0.0
            }
        });
        let worse = holm(&worse.collect::<Vec<_>>(), self.alpha);
        let finding = |(monitor, worse): (&Monitor, bool)| {
            if worse {
                MetricVerdict::Worse
            } else if counts(monitor) && monitor.log_evidence_not_worse() >= -self.alpha.ln() {
                MetricVerdict::NotWorse
            } else {
                MetricVerdict::Open
            }
        };
        self.monitors.iter().zip(worse).map(finding).collect()
    }

    /// The metric that is largest in something, among those that count.
    fn extreme(&self, of: impl Fn(&Monitor) -> f64) -> Option<&Monitor> {
        self.monitors.iter().max_by(|a, b| of(a).total_cmp(&of(b)))
    }

    /// Inconclusive, if it is futile to go on.
    fn futile(&self) -> Option<Decision> {
        if !self.futility || self.pairs < self.min_pairs {
            return None;
        }
        let metrics = self.monitors.len() as f64;
        let (mut promote, mut reject, mut least) = (1.0, 0.0, None);
        for monitor in &self.monitors {
            // A metric that many pairs have no value of will have fewer in the end, too.
            let most = self.max_pairs as f64 * monitor.pairs() as f64 / self.pairs as f64;
            let outlook = outlook(monitor, most, self.alpha, self.alpha / metrics)?;
            reject += outlook.worse;
            if outlook.not_worse < promote {
                promote = outlook.not_worse;
                least = Some(monitor);
            }
        }
        (promote + reject < FUTILE).then(|| decision(Verdict::Inconclusive, Reason::Futility, least))
    }
}

fn decision(verdict: Verdict, reason: Reason, metric: Option<&Monitor>) -> Decision {
    Decision {
        verdict,
        reason,
        metric: metric.map(|monitor| monitor.plan().name.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Direction, Margin, Measure};

    fn metric(name: &str, measure: Measure, direction: Direction, margin: Margin) -> MetricPlan {
        MetricPlan {
            name: name.into(),
            measure,
            direction,
            margin,
        }
    }

    /// A comparison of formats, times and errors between 30 and 200 pairs.
    fn plan() -> TrialPlan {
        TrialPlan {
            primary: metric(
                "Format",
                Measure::Share,
                Direction::HigherIsBetter,
                Margin::Absolute(0.1),
            ),
            guardrails: vec![
                metric(
                    "TTFT",
                    Measure::GeometricMean,
                    Direction::LowerIsBetter,
                    Margin::Relative(0.1),
                ),
                metric(
                    "Errors",
                    Measure::Share,
                    Direction::LowerIsBetter,
                    Margin::Absolute(0.1),
                ),
            ],
            alpha: 0.05,
            power: 0.8,
            min_pairs: 30,
            max_pairs: 200,
            futility: false,
        }
    }

    /// Adds pairs with valid formats and no errors, whose times are `ratio` and its half or double by turns.
    fn push(trial: &mut Trial, pairs: u64, ratio: f64) {
        for i in 0..pairs {
            let pair = |primary, candidate| Some(Pair { primary, candidate });
            let time = ratio * if i % 2 == 0 { 0.5 } else { 2.0 };
            let values = [pair(1.0, 1.0), pair(1.0, time), pair(0.0, 0.0)];
            trial.push(None, &values).expect("values that can be");
        }
    }

    fn verdict(trial: &Trial, end: Option<End>) -> Option<(Verdict, Reason, Option<String>)> {
        let decision = trial.verdict(end)?;
        Some((decision.verdict, decision.reason, decision.metric))
    }

    #[test]
    fn nothing_is_said_before_enough_pairs_unless_time_or_money_ends() {
        let mut trial = Trial::new(plan()).expect("a plan");
        assert_eq!(verdict(&trial, None), None);
        push(&mut trial, 29, 100.0);
        assert_eq!(verdict(&trial, None), None, "however bad it is");
        assert!(
            trial
                .results()
                .iter()
                .all(|result| result.verdict == MetricVerdict::Open)
        );
        for (end, reason) in [(End::Deadline, Reason::Deadline), (End::Budget, Reason::Budget)] {
            let found = verdict(&trial, Some(end)).expect("an end");
            assert_eq!((found.0, found.1), (Verdict::Inconclusive, reason));
        }
        push(&mut trial, 1, 100.0);
        let worse = (Verdict::Reject, Reason::Worse, Some("TTFT".into()));
        assert_eq!(verdict(&trial, None), Some(worse.clone()));
        assert_eq!(
            verdict(&trial, Some(End::Deadline)),
            Some(worse),
            "what is proved outlasts the deadline"
        );
    }

    #[test]
    fn a_fast_candidate_without_faults_is_promoted() {
        let mut trial = Trial::new(plan()).expect("a plan");
        push(&mut trial, 150, 0.5);
        assert_eq!(verdict(&trial, None), Some((Verdict::Promote, Reason::NotWorse, None)));
        let results = trial.results();
        let time = &results[1];
        assert!((time.difference.expect("pairs") + 0.5).abs() < 1e-9 && (time.limit - 0.1).abs() < 1e-12);
        assert!((time.candidate.expect("pairs") - 0.5).abs() < 1e-9, "{time:?}");
        for result in &results {
            assert_eq!(result.verdict, MetricVerdict::NotWorse);
            let (interval, difference) = (result.interval.expect("pairs"), result.difference.expect("pairs"));
            assert!(interval.holds(difference), "{result:?}");
        }
        assert!(results[0].interval.expect("pairs").low > results[0].limit);
        assert!(time.interval.expect("pairs").high < time.limit);
    }

    #[test]
    fn what_is_not_known_in_the_end_is_named() {
        let mut trial = Trial::new(plan()).expect("a plan");
        push(&mut trial, 200, 1.1);
        let open = Some((Verdict::Inconclusive, Reason::MaxPairs, Some("TTFT".into())));
        assert_eq!(verdict(&trial, None), open);
    }

    #[test]
    fn it_is_given_up_when_the_rest_would_not_change_anything() {
        let mut trial = Trial::new(TrialPlan {
            futility: true,
            ..plan()
        })
        .expect("a plan");
        push(&mut trial, 50, 1.1);
        assert_eq!(verdict(&trial, None), None, "there is still hope");
        push(&mut trial, 50, 1.1);
        let given_up = Some((Verdict::Inconclusive, Reason::Futility, Some("TTFT".into())));
        assert_eq!(verdict(&trial, None), given_up);
    }

    #[test]
    fn a_metric_without_enough_values_keeps_everything_open() {
        let mut trial = Trial::new(plan()).expect("a plan");
        let good = Some(Pair {
            primary: 1.0,
            candidate: 0.5,
        });
        let none = Some(Pair {
            primary: 0.0,
            candidate: 0.0,
        });
        for i in 0..199 {
            let time = if i < 29 { good } else { None };
            let format = Some(Pair {
                primary: 1.0,
                candidate: 1.0,
            });
            trial.push(None, &[format, time, none]).expect("values that can be");
        }
        assert_eq!(verdict(&trial, None), None);
        assert_eq!(trial.results()[1].verdict, MetricVerdict::Open);
    }

    #[test]
    fn a_pair_that_cannot_be_changes_nothing() {
        let mut trial = Trial::new(plan()).expect("a plan");
        push(&mut trial, 10, 1.0);
        let before = trial.clone();
        let pair = |primary, candidate| Some(Pair { primary, candidate });
        for values in [
            vec![pair(1.0, 1.0), pair(1.0, 1.0), pair(0.0, 7.0)],
            vec![pair(1.0, 1.0), pair(0.0, 1.0), pair(0.0, 0.0)],
            vec![pair(1.0, f64::NAN), pair(1.0, 1.0), pair(0.0, 0.0)],
            vec![pair(1.0, 1.0)],
        ] {
            assert!(trial.push(None, &values).is_err(), "{values:?}");
        }
        assert_eq!(trial, before);
    }

    #[test]
    fn senseless_plans_are_refused() {
        for plan in [
            TrialPlan { alpha: 0.0, ..plan() },
            TrialPlan { alpha: 0.5, ..plan() },
            TrialPlan { power: 1.0, ..plan() },
            TrialPlan {
                min_pairs: 201,
                ..plan()
            },
            TrialPlan { min_pairs: 1, ..plan() },
        ] {
            assert!(Trial::new(plan.clone()).is_err(), "{plan:?}");
        }
    }
}
