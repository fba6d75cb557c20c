//! Whether the chunks that a sentence cites support it.
//!
//! What is checked, in order: that it cites, and nothing that is not there; that its numbers, dates and names are in
//! the cited chunks, the numbers near the same words; that the sentence nearest to it does not say the opposite; that
//! enough of its words are there. Scores of a cross-encoder, of vectors, and of the model's own certainty count where
//! there are some.

mod about;
mod claim;
mod measured;
mod verdict;

#[cfg(test)]
mod tests;

pub use about::About;
pub use measured::Measured;
pub use verdict::{Reason, Verdict};

use about::Cited;
use claim::Claim;

use super::{
    citations,
    source::Source,
    text::{
        negation,
        words::{Word, share},
    },
};

/// How strict the checks are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Whether each statement must cite. Otherwise one without a citation is held against all chunks.
    pub citations: bool,
    /// Whether words, numbers, dates and names are compared.
    pub overlap: bool,
    /// Least share of a sentence's words that the cited chunks must have, from 0 to 1.
    pub least_overlap: f64,
    /// Score of a cross-encoder from which the chunk entails the sentence, and below which it does not.
    pub entailment: Option<f64>,
    /// Cosine from which a sentence that just misses the overlap is near enough to a cited chunk.
    pub similarity: Option<f64>,
    /// Mean negative log-likelihood of a sentence's tokens, in nats, above which its model was not certain. A sentence of
    /// which it is not known does not pass.
    pub most_uncertain: Option<f64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            citations: true,
            overlap: true,
            least_overlap: 0.5,
            entailment: None,
            similarity: None,
            most_uncertain: None,
        }
    }
}

/// Where a model stops being certain of a sentence: the mean negative log-likelihood of its tokens, in nats. It is the one
/// at which the geometric mean of their probabilities is 1/e, or 0.37. No limit holds for all models. A small one
/// (SmolLM2-135M) has 2.08 for texts of others (2,040 tokens); what a model writes itself must be half as surprising to it.
pub const MOST_UNCERTAIN: f64 = 1.0;

/// By how much the overlap may be missed where vectors are near.
const NEAR_MISS: f64 = 0.25;
/// The overlap that is still needed where a cross-encoder agrees.
const ENTAILED_OVERLAP: f64 = 0.2;
/// Sentences of a source that a sentence of an answer may be put together from.
const WINDOW: usize = 3;
/// Overlap with one sentence of a source from which the two are about the same, so that a denial is a contradiction.
const SAME_MATTER: f64 = 0.5;

/// What others say about a sentence.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Signals {
    /// The best score of a cross-encoder for the sentence and a cited chunk.
    pub entailment: Option<f64>,
    /// The best cosine of the sentence's vector with a cited chunk's.
    pub similarity: Option<f64>,
    /// The mean negative log-likelihood of the sentence's tokens, in nats.
    pub uncertainty: Option<f64>,
}

/// Checks one sentence against what the model was given. `about` knows what the names are.
pub fn check(sentence: &str, sources: &[Source<'_>], about: &About, settings: &Settings, signals: &Signals) -> Verdict {
    let marks = citations::marks(sentence);
    let numbers: Vec<usize> = marks.iter().flat_map(|mark| mark.numbers.iter().copied()).collect();
    if let Some(number) = numbers.iter().find(|number| **number == 0 || **number > sources.len()) {
        return Verdict::Unsupported(Reason::Dangling(*number));
    }
    let claim = Claim::of(sentence, about);
    if claim.is_nothing() {
        return Verdict::NoClaim;
    }
    if numbers.is_empty() && settings.citations {
        return Verdict::Unsupported(Reason::Uncited);
    }
    let cited = match numbers.is_empty() {
        true => Cited::of(sources.iter()),
        false => Cited::of(numbers.iter().map(|number| &sources[number - 1])),
    };
    let found = match settings.overlap {
        true => compared(&claim, &cited, settings, signals),
        false => None,
    };
    match found.or_else(|| told(settings, signals)) {
        Some(reason) => Verdict::Unsupported(reason),
        None => Verdict::Supported,
    }
}

fn compared(claim: &Claim, cited: &Cited<'_>, settings: &Settings, signals: &Signals) -> Option<Reason> {
    if let Some(date) = claim.dates().find(|date| !cited.has_date(date)) {
        return Some(Reason::Date(date.text.clone()));
    }
    if let Some(number) = claim.numbers().find(|number| !cited.has_number(number)) {
        return Some(Reason::Number(number.text.clone()));
    }
    if let Some(name) = claim
        .names()
        .iter()
        .find(|name| !cited.has_name(name, claim.language()))
    {
        return Some(Reason::Name(name.text.clone()));
    }
    if let Some(code) = claim.codes().into_iter().find(|code| !cited.has_code(code)) {
        return Some(Reason::Name(code.to_owned()));
    }
    let clauses = claim.clauses();
    let telling = claim.telling();
    for number in claim.numbers() {
        let own = clauses.iter().find(|clause| {
            clause
                .last()
                .is_some_and(|word| word.at >= number.at || word.at + word.text.len() > number.at)
        });
        let own: Vec<&Word> = own
            .map_or(&telling, |clause| clause)
            .iter()
            .filter(|word| word.is_telling)
            .copied()
            .collect();
        if !cited.has_number_near(number, if own.is_empty() { &telling } else { &own }) {
            return Some(Reason::Misplaced(number.text.clone()));
        }
    }
    // Each clause by itself, for each may come from another sentence.
    for clause in &clauses {
        let telling: Vec<&Word> = clause.iter().filter(|word| word.is_telling).copied().collect();
        if let Some(part) = cited.nearest(&telling)
            && share(&telling, part.words.iter()) >= SAME_MATTER
            && let Some(word) = negation::contradiction(std::slice::from_ref(clause), &part.clauses())
        {
            return Some(Reason::Contradiction(word));
        }
    }
    let overlap = cited.overlap(&telling, WINDOW);
    let reaches =
        |score: Option<f64>, limit: Option<f64>| matches!((score, limit), (Some(score), Some(limit)) if score >= limit);
    let least = if reaches(signals.entailment, settings.entailment) {
        ENTAILED_OVERLAP.min(settings.least_overlap)
    } else if reaches(signals.similarity, settings.similarity) {
        settings.least_overlap - NEAR_MISS
    } else {
        settings.least_overlap
    };
    (overlap < least).then_some(Reason::Overlap {
        percent: (overlap * 100.0).round() as u8,
    })
}

/// What others object to.
fn told(settings: &Settings, signals: &Signals) -> Option<Reason> {
    // A score that is not a number agrees with nothing.
    if let (Some(score), Some(limit)) = (signals.entailment, settings.entailment)
        && (score.is_nan() || score < limit)
    {
        return Some(Reason::NotEntailed);
    }
    // Unlike the others, it is there for each sentence, unless something is wrong.
    let is_certain = |limit| signals.uncertainty.is_some_and(|score| score <= limit);
    settings
        .most_uncertain
        .filter(|limit| !is_certain(*limit))
        .map(|_| Reason::Uncertain)
}
