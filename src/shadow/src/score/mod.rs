//! What a pair of answers says about each metric.
//!
//! Whatever the candidate failed to answer counts against it with the worst value that the metric has: a candidate that
//! crashes on what it would answer badly must not look better for it. A pair says nothing only where the live answer
//! gives nothing to compare with: it failed, its user left, or it has not what the metric is about (times of tokens of
//! an answer that did not stream, a format where none was asked for).

pub mod format;
pub mod judge;
pub mod lcs;
pub mod likelihood;
pub mod numbers;
pub mod refusal;
pub mod shape;
pub mod text;

use api::shadowdeployment::Metric;

use crate::{
    answer::{Answer, Outcome},
    metric::{self, MAX_NLL},
};

pub use format::Format;
pub use likelihood::Likelihoods;
pub use shape::Shape;

/// What a pair contributes to a metric, on the metric's scale. Always a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Score {
    /// A value for each answer.
    Arms {
        /// The serving model's.
        primary: f64,
        /// The candidate's.
        candidate: f64,
    },
    /// One value for both, and where the serving model answered the same request once more, the value of its two answers.
    Paired {
        /// The candidate's.
        candidate: f64,
        /// The baseline's.
        baseline: Option<f64>,
    },
}

/// What was found beside the two answers, by asking other models. `None`: not asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    /// Embeddings of the primary's and the candidate's answer, and of the baseline's.
    pub embeddings: Option<Embeddings>,
    /// Likelihoods of the answers under both models.
    pub likelihoods: Option<Likelihoods>,
    /// Preference of the judge, from [`judge::PositionBias::add`].
    pub preference: Option<f64>,
}

/// Embeddings of answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embeddings {
    /// Of the primary's.
    pub primary: Vec<f32>,
    /// Of the candidate's.
    pub candidate: Vec<f32>,
    /// Of the primary's second one.
    pub baseline: Option<Vec<f32>>,
}

/// Two answers to one request, and what is needed to compare them.
#[derive(Debug)]
pub struct Pair<'a> {
    /// What was asked of their form.
    pub format: &'a Format,
    /// The live answer.
    pub primary: &'a Answer,
    /// The candidate's.
    pub candidate: &'a Answer,
    /// What the serving model answered when it was asked once more (A/A).
    pub baseline: Option<&'a Answer>,
    /// What other models said.
    pub asked: &'a Asked,
    /// Time after which a copy is given up, in seconds: what a failure counts as where times are compared.
    pub timeout: f64,
}

impl Pair<'_> {
    /// What the pair says about a metric; `None` if nothing.
    pub fn score(&self, metric: Metric) -> Option<Score> {
        let score = match metric {
            Metric::Errors => self.shares(Answer::has_failed),
            Metric::TTFT => self.times(|answer| answer.timings.first_token),
            Metric::InterToken => self.times(|answer| answer.timings.inter_token),
            Metric::Total => self.times(|answer| answer.is_finished().then_some(answer.timings.total)),
            Metric::Length => self.length(),
            Metric::Format => self.format(),
            Metric::ToolCalls => self.tool_calls(),
            Metric::ExactPrefix => self.similarity(|one, other| text::Prefix::of(one, other).share()),
            Metric::RougeL => self.similarity(text::rouge_l),
            Metric::Embedding => self.embedding(),
            Metric::CrossPerplexity => self.likelihood(),
            Metric::Refusals => self.verdicts(|answer| Some(refusal::is_refusal(answer))),
            Metric::Guardrails => self.verdicts(|answer| Some(answer.violations? > 0)),
            Metric::Judge => self.judge(),
        };
        score.filter(Score::is_finite)
    }

    /// All that the pair says about a metric, by the names of [`metric::scores`].
    pub fn scores(&self, metric: Metric) -> impl Iterator<Item = (&'static str, Score)> {
        let back = match metric {
            Metric::CrossPerplexity => self.likelihood_back().filter(Score::is_finite),
            _ => None,
        };
        let ways = [self.score(metric), back];
        metric::scores(metric)
            .iter()
            .zip(ways)
            .filter_map(|(name, score)| Some((*name, score?)))
    }

    /// Whether there is a whole live answer to compare with.
    fn has_primary(&self) -> bool {
        self.primary.is_finished()
    }

    fn shares(&self, is: impl Fn(&Answer) -> bool) -> Option<Score> {
        if self.primary.outcome == Outcome::Abandoned {
            return None;
        }
        Some(arms(f64::from(is(self.primary)), f64::from(is(self.candidate))))
    }

    /// A candidate that failed took as long as it may, and so does one whose first token comes later than that.
    fn times(&self, time: impl Fn(&Answer) -> Option<f64>) -> Option<Score> {
        if self.primary.has_failed() {
            return None;
        }
        let primary = time(self.primary)?;
        let candidate = match self.candidate.has_failed() {
            true => self.timeout,
            false => time(self.candidate)?,
        };
        Some(arms(
            primary.clamp(0.0, self.timeout),
            candidate.clamp(0.0, self.timeout),
        ))
    }

    fn length(&self) -> Option<Score> {
        if !self.has_primary() {
            return None;
        }
        let words = |answer: &Answer| text::words(&answer.compared()) as f64;
        let candidate = match self.candidate.has_failed() {
            true => 0.0,
            false => words(self.candidate),
        };
        Some(arms(words(self.primary), candidate))
    }

    fn format(&self) -> Option<Score> {
        if !self.has_primary() || !self.format.applies_to([self.primary, self.candidate]) {
            return None;
        }
        let holds = |answer| f64::from(self.format.holds(answer));
        Some(arms(holds(self.primary), holds(self.candidate)))
    }

    /// Whether an assistant that acts would do the same: which tools are called, in which order, with which arguments. An
    /// answer without calls is like another one without.
    fn tool_calls(&self) -> Option<Score> {
        if !self.format.offers_tools() {
            return None;
        }
        let calls = |answer: &Answer| -> Vec<_> {
            let calls = answer.tool_calls.iter();
            calls
                .map(|call| (call.name.clone(), call.canonical_arguments()))
                .collect()
        };
        let primary = calls(self.primary);
        self.alike(|other| f64::from(calls(other) == primary))
    }

    fn similarity(&self, similarity: impl Fn(&str, &str) -> f64) -> Option<Score> {
        let primary = self.primary.compared();
        self.alike(|other| similarity(&primary, &other.compared()))
    }

    /// How like the live answer others are.
    fn alike(&self, likeness: impl Fn(&Answer) -> f64) -> Option<Score> {
        if !self.has_primary() {
            return None;
        }
        let with = |other: &Answer| match other.has_failed() {
            true => 0.0,
            false => likeness(other),
        };
        Some(Score::Paired {
            candidate: with(self.candidate),
            // One of the serving model's own that failed is no measure of it.
            baseline: self.baseline.filter(|baseline| baseline.is_finished()).map(with),
        })
    }

    fn embedding(&self) -> Option<Score> {
        if !self.has_primary() {
            return None;
        }
        let embeddings = self.asked.embeddings.as_ref();
        let candidate = match self.candidate.has_failed() {
            true => Some(0.0),
            false => embeddings.and_then(|it| numbers::cosine(&it.primary, &it.candidate)),
        };
        Some(Score::Paired {
            candidate: candidate?,
            baseline: embeddings.and_then(|it| numbers::cosine(&it.primary, it.baseline.as_ref()?)),
        })
    }

    /// How likely the serving model finds the candidate's answer, beside its own.
    fn likelihood(&self) -> Option<Score> {
        self.likelihoods(Likelihoods::forth)
    }

    /// How likely the candidate finds the serving model's answer, beside the serving model itself: the other way of
    /// [`Metric::CrossPerplexity`], which has the name [`metric::CROSS_PERPLEXITY_BACK`].
    fn likelihood_back(&self) -> Option<Score> {
        self.likelihoods(Likelihoods::back)
    }

    fn likelihoods(&self, both: impl Fn(&Likelihoods) -> Option<(f64, f64)>) -> Option<Score> {
        if !self.has_primary() {
            return None;
        }
        let mut likelihoods = self.asked.likelihoods.unwrap_or_default();
        if self.candidate.has_failed() {
            likelihoods = Likelihoods {
                // Beside a failure the serving model's own count of it does.
                primary_of_primary: likelihoods.primary_of_primary.or(self.primary.mean_nll),
                candidate_of_primary: Some(MAX_NLL),
                primary_of_candidate: Some(MAX_NLL),
            };
        }
        both(&likelihoods).map(|(primary, candidate)| arms(primary, candidate))
    }

    /// Shares of answers with something bad, which an answer that is not there cannot be cleared of.
    fn verdicts(&self, is_bad: impl Fn(&Answer) -> Option<bool>) -> Option<Score> {
        if !self.has_primary() {
            return None;
        }
        let candidate = match self.candidate.has_failed() {
            true => true,
            false => is_bad(self.candidate)?,
        };
        Some(arms(f64::from(is_bad(self.primary)?), f64::from(candidate)))
    }

    fn judge(&self) -> Option<Score> {
        if !self.has_primary() {
            return None;
        }
        let candidate = match self.candidate.has_failed() {
            true => 0.0,
            false => self.asked.preference?.clamp(0.0, 1.0),
        };
        Some(Score::Paired {
            candidate,
            baseline: None,
        })
    }
}

impl Score {
    fn is_finite(&self) -> bool {
        match self {
            Self::Arms { primary, candidate } => primary.is_finite() && candidate.is_finite(),
            Self::Paired { candidate, baseline } => candidate.is_finite() && baseline.is_none_or(f64::is_finite),
        }
    }
}

fn arms(primary: f64, candidate: f64) -> Score {
    Score::Arms { primary, candidate }
}

#[cfg(test)]
mod tests;
