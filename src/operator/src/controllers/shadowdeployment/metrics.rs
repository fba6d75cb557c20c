//! Metrics of a spec as what statistics test: measures, directions and margins.

use api::shadowdeployment::{ComparedMetric, Metric};
use protocol::shadows::Score;
use shadow::metric::{self, Description, PairValue, Unit};
use stats::{Direction, Margin, Measure, MetricPlan, Pair};

/// A time that is shorter counts as this long, in seconds: ratios need positive values, and no clock sees less.
const SHORTEST: f64 = 1e-6;
/// What a preference is compared with: neither answer is preferred.
const NO_PREFERENCE: f64 = 0.5;

/// A metric of a spec.
#[derive(Clone, Debug)]
pub struct Compared {
    /// The metric.
    pub metric: Metric,
    /// What it means.
    pub description: Description,
    /// How much worse the candidate may be: of shares in answers of one, otherwise as a share of the serving model's value.
    pub margin: f64,
    /// What is tested: one side, or both where a difference in either direction is worse; of each score that it has.
    pub plans: Vec<MetricPlan>,
    /// The name of the score that each of the plans is about.
    pub scores: Vec<&'static str>,
}

impl Compared {
    /// The metric that a spec names.
    ///
    /// # Errors
    /// If its margin is no share.
    pub fn new(asked: &ComparedMetric) -> Result<Self, String> {
        let description = metric::describe(asked.metric);
        let margin = match &asked.margin {
            None => description.default_margin,
            Some(text) => percent(text)
                .ok_or_else(|| format!("margin {text:?} of metric {:?} is no share: write 2%", asked.metric))?,
        };
        let plan = |direction| MetricPlan {
            name: metric::name(asked.metric).into(),
            measure: measure(&description),
            direction,
            // Relative to a rate of errors that is nearly 0, no margin could ever be proved.
            margin: match is_share(&description) {
                true => Margin::Absolute(margin),
                false => Margin::Relative(margin),
            },
        };
        let sides: &[Direction] = match description.direction {
            metric::Direction::LowerIsBetter => &[Direction::LowerIsBetter],
            metric::Direction::HigherIsBetter => &[Direction::HigherIsBetter],
            metric::Direction::NeitherIsBetter => &[Direction::LowerIsBetter, Direction::HigherIsBetter],
        };
        let tested = metric::scores(asked.metric).iter();
        let tested = tested.flat_map(|score| sides.iter().map(move |side| (*score, *side)));
        let (scores, plans) = tested.map(|(score, side)| (score, plan(side))).unzip();
        Ok(Self {
            metric: asked.metric,
            description,
            margin,
            plans,
            scores,
        })
    }

    /// Whether it has several scores, each with numbers of its own.
    pub fn has_ways(&self) -> bool {
        metric::scores(self.metric).len() > 1
    }

    /// Whether margins are in answers of one, and not relative.
    pub fn is_share(&self) -> bool {
        is_share(&self.description)
    }

    /// What a pair says, given how alike two answers of the serving model were `so_far`; none if it says nothing.
    ///
    /// Before any two answers of the serving model were compared, there is nothing to hold a similarity against.
    pub fn pair(&self, score: &Score, so_far: Option<f64>) -> Option<Pair> {
        let primary = match self.description.value {
            PairValue::Arms => score.primary?,
            PairValue::Similarity => score.baseline.or(so_far)?,
            PairValue::Preference => NO_PREFERENCE,
        };
        let (low, high) = self.description.range;
        let low = if self.description.unit == Unit::Seconds {
            SHORTEST
        } else {
            low
        };
        let usable = |value: f64| value.is_finite().then(|| value.clamp(low, high));
        Some(Pair {
            primary: usable(primary)?,
            candidate: usable(score.candidate)?,
        })
    }
}

/// Whether values are 0 or 1 for an answer.
fn is_share(description: &Description) -> bool {
    description.unit == Unit::Share
}

fn measure(description: &Description) -> Measure {
    let (low, high) = description.range;
    match description.unit {
        Unit::Share => Measure::Share,
        Unit::Seconds => Measure::GeometricMean,
        _ if high.is_finite() => Measure::BoundedMean { low, high },
        _ => Measure::Mean,
    }
}

/// `2%` is 0.02.
fn percent(text: &str) -> Option<f64> {
    let percent: f64 = text.strip_suffix('%')?.parse().ok()?;
    (percent.is_finite() && percent >= 0.0).then_some(percent / 100.0)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn compared(metric: Metric, margin: Option<&str>) -> Result<Compared, String> {
        Compared::new(&ComparedMetric {
            metric,
            margin: margin.map(Into::into),
            model: None,
        })
    }

    fn score(primary: Option<f64>, candidate: f64, baseline: Option<f64>) -> Score {
        Score {
            primary,
            candidate,
            baseline,
        }
    }

    #[test]
    fn every_metric_makes_a_trial() {
        for metric in metric::ALL {
            let compared = compared(metric, None).unwrap();
            let mut plans = compared.plans.into_iter();
            let plan = stats::TrialPlan {
                primary: plans.next().unwrap(),
                guardrails: plans.collect(),
                alpha: 0.05,
                power: 0.8,
                min_pairs: 300,
                max_pairs: 5000,
                futility: true,
            };
            assert!(stats::Trial::new(plan).is_ok(), "{metric:?}");
        }
    }

    #[test]
    fn shares_have_margins_in_answers_and_lengths_have_two_sides() {
        assert_eq!(
            compared(Metric::Errors, Some("1%")).unwrap().plans[0].margin,
            Margin::Absolute(0.01)
        );
        assert_eq!(
            compared(Metric::TTFT, None).unwrap().plans[0].margin,
            Margin::Relative(0.1)
        );
        let sides = compared(Metric::Length, None).unwrap().plans;
        assert_eq!(sides.len(), 2);
        let ways = compared(Metric::CrossPerplexity, None).unwrap();
        assert_eq!(
            (ways.plans.len(), ways.scores),
            (2, vec!["CrossPerplexity", metric::CROSS_PERPLEXITY_BACK])
        );
        assert!(compared(Metric::RougeL, Some("2")).is_err());
    }

    #[rstest]
    #[case::arms(Metric::Length, score(Some(3.0), 4.0, None), None, Some((3.0, 4.0)))]
    #[case::one_arm(Metric::Length, score(None, 4.0, None), None, None)]
    #[case::no_time_at_all(Metric::TTFT, score(Some(0.0), 0.5, None), None, Some((1e-6, 0.5)))]
    #[case::likeness_with_a_baseline(Metric::RougeL, score(None, 0.5, Some(0.9)), Some(0.7), Some((0.9, 0.5)))]
    #[case::likeness_without(Metric::RougeL, score(None, 0.5, None), Some(0.7), Some((0.7, 0.5)))]
    #[case::likeness_of_nothing_known(Metric::RougeL, score(None, 0.5, None), None, None)]
    #[case::preference(Metric::Judge, score(None, 1.0, None), None, Some((0.5, 1.0)))]
    #[case::out_of_bounds(Metric::Errors, score(Some(0.0), 7.0, None), None, Some((0.0, 1.0)))]
    #[case::no_number(Metric::Errors, score(Some(f64::NAN), 0.0, None), None, None)]
    fn a_pair_says(
        #[case] metric: Metric,
        #[case] score: Score,
        #[case] so_far: Option<f64>,
        #[case] expected: Option<(f64, f64)>,
    ) {
        let pair = compared(metric, None).unwrap().pair(&score, so_far);
        assert_eq!(pair.map(|pair| (pair.primary, pair.candidate)), expected);
    }
}
