//! What each metric means: its unit, what is better, what a pair contributes, and what that costs.

use api::shadowdeployment::Metric;

/// What a metric means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Description {
    /// A few words for people.
    pub title: &'static str,
    /// What values are counted in.
    pub unit: Unit,
    /// What is better.
    pub direction: Direction,
    /// What a pair contributes.
    pub value: PairValue,
    /// Least and greatest value of an arm, where there are such: bounds for statistics that need them.
    pub range: (f64, f64),
    /// What is computed for each pair besides the two answers.
    pub cost: Cost,
    /// `margin` of the spec where it says nothing, as a share of the serving model's mean.
    pub default_margin: f64,
}

/// What values are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// 0 or 1 for an answer, so a share of answers in the mean.
    Share,
    /// Seconds.
    Seconds,
    /// Words of an answer, which models with other tokens count alike.
    Words,
    /// Nats for each token.
    Nats,
    /// From 0, nothing in common, to 1, the same; -1 to 1 for cosines.
    Similarity,
    /// From 0, the serving model's answer is preferred, to 1, the candidate's.
    Preference,
}

impl Unit {
    /// What stands behind a number.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Seconds => " s",
            Self::Words => " words",
            Self::Nats => " nats/token",
            Self::Share | Self::Similarity | Self::Preference => "",
        }
    }
}

/// What is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// A difference, candidate less primary, above the margin is worse.
    LowerIsBetter,
    /// A difference below the negative margin is worse.
    HigherIsBetter,
    /// A difference beyond the margin on either side is worse.
    NeitherIsBetter,
}

/// What a pair contributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairValue {
    /// A value for each answer; their difference is tested.
    Arms,
    /// One value for both answers, which is the candidate's. The primary's is how similar two answers of its own are:
    /// the A/A baseline of the same request where there is one, and its mean otherwise.
    Similarity,
    /// One value for both answers, which is the candidate's. The primary's is 0.5, no preference.
    Preference,
}

/// What is computed for each pair besides the two answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cost {
    /// Nothing that would be noticed.
    Nothing,
    /// Microseconds to milliseconds of a CPU.
    Cpu,
    /// A pass of a small encoder over both answers.
    Encoder,
    /// Prefills of both models over the prompt and an answer: two of the serving model, and one of the candidate.
    Prefill,
    /// Two answers of a large model.
    TwoAnswers,
}

/// Cap of a mean negative log likelihood, in nats for each token, and what a failure counts as: a vocabulary of 150,000
/// tokens has 11.9 nats when all are equally likely, so whatever is above says nothing more.
pub const MAX_NLL: f64 = 20.0;

const SHARE: (f64, f64) = (0.0, 1.0);
const POSITIVE: (f64, f64) = (0.0, f64::INFINITY);

/// All metrics, in the order in which reports have them.
pub const ALL: [Metric; 14] = [
    Metric::Errors,
    Metric::TTFT,
    Metric::InterToken,
    Metric::Total,
    Metric::Length,
    Metric::Format,
    Metric::ToolCalls,
    Metric::ExactPrefix,
    Metric::RougeL,
    Metric::Embedding,
    Metric::CrossPerplexity,
    Metric::Refusals,
    Metric::Guardrails,
    Metric::Judge,
];

/// What a metric means.
pub fn describe(metric: Metric) -> Description {
    use Direction::{HigherIsBetter, LowerIsBetter, NeitherIsBetter};
    use PairValue::{Arms, Preference, Similarity};

    let new = |title, unit, direction, value, range, cost| Description {
        title,
        unit,
        direction,
        value,
        range,
        cost,
        default_margin: match unit {
            Unit::Seconds => 0.10,
            _ => 0.02,
        },
    };
    match metric {
        Metric::Errors => new(
            "Failed requests",
            Unit::Share,
            LowerIsBetter,
            Arms,
            SHARE,
            Cost::Nothing,
        ),
        Metric::TTFT => new(
            "Time to first token",
            Unit::Seconds,
            LowerIsBetter,
            Arms,
            POSITIVE,
            Cost::Nothing,
        ),
        Metric::InterToken => new(
            "Time between tokens",
            Unit::Seconds,
            LowerIsBetter,
            Arms,
            POSITIVE,
            Cost::Nothing,
        ),
        Metric::Total => new(
            "Time to last token",
            Unit::Seconds,
            LowerIsBetter,
            Arms,
            POSITIVE,
            Cost::Nothing,
        ),
        Metric::Length => new(
            "Length of answers",
            Unit::Words,
            NeitherIsBetter,
            Arms,
            POSITIVE,
            Cost::Nothing,
        ),
        Metric::Format => new(
            "Answers in the format asked for",
            Unit::Share,
            HigherIsBetter,
            Arms,
            SHARE,
            Cost::Cpu,
        ),
        Metric::ToolCalls => new(
            "Same calls of tools",
            Unit::Similarity,
            HigherIsBetter,
            Similarity,
            SHARE,
            Cost::Cpu,
        ),
        Metric::ExactPrefix => new(
            "Common beginning",
            Unit::Similarity,
            HigherIsBetter,
            Similarity,
            SHARE,
            Cost::Cpu,
        ),
        Metric::RougeL => new(
            "ROUGE-L F1",
            Unit::Similarity,
            HigherIsBetter,
            Similarity,
            SHARE,
            Cost::Cpu,
        ),
        Metric::Embedding => {
            let range = (-1.0, 1.0);
            new(
                "Embedding cosine",
                Unit::Similarity,
                HigherIsBetter,
                Similarity,
                range,
                Cost::Encoder,
            )
        }
        Metric::CrossPerplexity => {
            let range = (0.0, MAX_NLL);
            new(
                "Cross-perplexity (log)",
                Unit::Nats,
                LowerIsBetter,
                Arms,
                range,
                Cost::Prefill,
            )
        }
        Metric::Refusals => new("Refusals", Unit::Share, LowerIsBetter, Arms, SHARE, Cost::Cpu),
        Metric::Guardrails => new(
            "Answers failing a guardrail",
            Unit::Share,
            LowerIsBetter,
            Arms,
            SHARE,
            Cost::Nothing,
        ),
        Metric::Judge => new(
            "Preference of the judge",
            Unit::Preference,
            HigherIsBetter,
            Preference,
            SHARE,
            Cost::TwoAnswers,
        ),
    }
}

/// The name of a metric, as it stands in specs.
pub fn name(metric: Metric) -> &'static str {
    scores(metric).first().copied().unwrap_or_default()
}

/// The score of the other way of `CrossPerplexity`: how likely the candidate finds the serving model's answer.
pub const CROSS_PERPLEXITY_BACK: &str = "CrossPerplexityBack";

/// Names of the scores that a metric has, its own first. Each of them is tested against the margin.
pub fn scores(metric: Metric) -> &'static [&'static str] {
    match metric {
        Metric::Errors => &["Errors"],
        Metric::TTFT => &["TTFT"],
        Metric::InterToken => &["InterToken"],
        Metric::Total => &["Total"],
        Metric::Length => &["Length"],
        Metric::Format => &["Format"],
        Metric::ToolCalls => &["ToolCalls"],
        Metric::ExactPrefix => &["ExactPrefix"],
        Metric::RougeL => &["RougeL"],
        Metric::Embedding => &["Embedding"],
        Metric::CrossPerplexity => &["CrossPerplexity", CROSS_PERPLEXITY_BACK],
        Metric::Refusals => &["Refusals"],
        Metric::Guardrails => &["Guardrails"],
        Metric::Judge => &["Judge"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_named_as_in_specs() {
        for metric in ALL {
            assert_eq!(serde_json::to_value(metric).unwrap(), name(metric));
            assert_eq!(scores(metric)[0], name(metric));
        }
    }

    #[test]
    fn titles_and_bounds_tell_metrics_apart() {
        let titles: std::collections::BTreeSet<_> = ALL.iter().map(|metric| describe(*metric).title).collect();
        assert_eq!(titles.len(), ALL.len());
        for metric in ALL {
            let Description { range, value, unit, .. } = describe(metric);
            assert!(range.0 < range.1, "{metric:?}");
            // What is one number for both answers needs bounds, for its mean says nothing otherwise.
            assert!(
                value == PairValue::Arms || range.1.is_finite(),
                "{metric:?} in {unit:?}"
            );
        }
    }

    #[test]
    fn times_have_the_wider_margin() {
        assert_eq!(describe(Metric::TTFT).default_margin, 0.10);
        assert_eq!(describe(Metric::RougeL).default_margin, 0.02);
    }
}
