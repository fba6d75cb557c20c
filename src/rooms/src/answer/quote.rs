//! The sentence of a document that answers a question by itself, for where nothing that a model says holds.
//!
//! Where it is known what fact is asked for, the sentence has to tell it. Otherwise it is found by words alone: most of what
//! the question says, weighed by rarity, stands in the sentence or around it; most of what it says beside names stands in
//! the sentence itself, and all of its names in the chunk; and the sentence has something of the kind that is asked for.
//! The limits were chosen on questions about the Lee news, half of which the news do not answer.

use std::collections::BTreeSet;

use super::{
    asked::{Asked, fact::Kind},
    citations,
    source::Source,
    tells::{Near, tells},
    text::words::{Word, are_alike},
};

/// Least weight of the question's words in the sentence and in its chunk, on average, from 0 to 1.
const LEAST: f64 = 0.55;
/// Least share of its words other than names that the sentence has, from 0 to 1.
const LEAST_RELATION: f64 = 0.6;
/// Longest sentence that is quoted, in bytes: what is longer is no sentence.
const LONGEST: usize = 600;

/// A sentence that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The place of its source among those that were looked at, from 0.
    pub source: usize,
    /// The sentence, as it stands there, with a citation.
    pub text: String,
    /// Whether it tells the very fact that is asked for, and does not only have the words of the question.
    pub is_told: bool,
}

/// The best sentence, if one is good enough.
pub fn quote(question: &str, sources: &[Source<'_>]) -> Option<Quote> {
    let asked = Asked::of(question);
    let wanted: Vec<Wanted<'_>> = wanted(&asked, sources);
    let all = weight(&wanted, |_| true);
    if all <= 0.0 {
        return None;
    }
    let mut best: Option<(f64, Quote)> = None;
    for (place, source) in sources.iter().enumerate() {
        let fact = asked.fact().filter(|fact| fact.kind != Kind::Open && source.is_prose());
        let names = || wanted.iter().filter(|wanted| wanted.is_name);
        if fact.is_none() && !names().all(|name| has(source.words(), name.word)) {
            continue;
        }
        let around = weight(&wanted, |word| has(source.words(), word)) / all;
        for (sentence, part) in source.parts().iter().enumerate() {
            let within = weight(&wanted, |word| has(part.words.iter(), word)) / all;
            let likeness = f64::midpoint(within, around);
            let text = part.text.trim();
            if text.len() > LONGEST {
                continue;
            }
            let score = match fact {
                Some(fact) => tells(fact, part, &Near::of(source, sentence)).map(|told| told.likeness + likeness),
                None => {
                    let is_related = relation(&wanted, &part.words) >= LEAST_RELATION;
                    let answers = likeness >= LEAST && is_related && asked.is_told_in_passing_by(text);
                    answers.then_some(likeness)
                }
            };
            if let Some(score) = score
                && best.as_ref().is_none_or(|(best, _)| score > *best)
            {
                let text = citations::with_mark(text, place + 1);
                let quote = Quote {
                    source: place,
                    text,
                    is_told: fact.is_some(),
                };
                best = Some((score, quote));
            }
        }
    }
    best.map(|(_, quote)| quote)
}

/// A word of the question that is looked for.
struct Wanted<'a> {
    word: &'a Word,
    is_name: bool,
    /// The rarer, the more.
    weight: f64,
}

fn wanted<'a>(asked: &'a Asked, sources: &[Source<'_>]) -> Vec<Wanted<'a>> {
    let sentences: usize = sources.iter().map(|source| source.parts().len()).sum();
    let mut seen = BTreeSet::new();
    let words = asked.words().filter(|(_, word)| word.is_telling || word.is_coined());
    let words = words.filter(|(_, word)| seen.insert(word.folded.clone()));
    words
        .map(|(place, word)| {
            let parts = sources.iter().flat_map(|source| source.parts());
            let having = parts.filter(|part| has(part.words.iter(), word)).count();
            Wanted {
                word,
                is_name: place > 0 && word.is_capitalized(),
                weight: ((sentences as f64 + 1.0) / (having as f64 + 0.5)).ln(),
            }
        })
        .collect()
}

fn has<'a>(mut words: impl Iterator<Item = &'a Word>, wanted: &Word) -> bool {
    words.any(|word| are_alike(&word.folded, &wanted.folded))
}

fn weight(wanted: &[Wanted<'_>], counts: impl Fn(&Word) -> bool) -> f64 {
    let counted = wanted.iter().filter(|wanted| counts(wanted.word));
    counted.map(|wanted| wanted.weight).sum()
}

/// The share of the question's words other than names that a sentence has; 1 where there are none.
fn relation(wanted: &[Wanted<'_>], sentence: &[Word]) -> f64 {
    let others: Vec<_> = wanted.iter().filter(|wanted| !wanted.is_name).collect();
    if others.is_empty() {
        return 1.0;
    }
    let there = others.iter().filter(|wanted| has(sentence.iter(), wanted.word)).count();
    there as f64 / others.len() as f64
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::answer::source::testing::chunk;

    const NEWS: [&str; 3] = [
        "Hunan remained on alert last night. The flood crisis has left 108 people dead. The dikes around Dongting Lake are 1800km long.",
        "The bank plans to cut about 1,000 jobs. Its profit rose 11 percent last fiscal year.",
        "A young whale remained tangled in a net off the coast yesterday. A second rescue was planned for dawn.",
    ];

    #[rstest]
    #[case("How many people are dead in the flood crisis?", Some((0, "The flood crisis has left 108 people dead [1].")))]
    #[case("How many jobs does the bank plan to cut?", Some((1, "The bank plans to cut about 1,000 jobs [2].")))]
    // Nothing says so.
    #[case("How old is the whale?", None)]
    #[case("Who owns the bank?", None)]
    #[case("How deep is Dongting Lake?", None)]
    #[case("What is the recipe for a cake?", None)]
    #[case("", None)]
    fn a_sentence_answers_or_none(#[case] question: &str, #[case] expected: Option<(usize, &str)>) {
        let chunks: Vec<_> = (1..).zip(NEWS).map(|(id, text)| chunk(id, text)).collect();
        let sources: Vec<_> = chunks.iter().map(Source::of).collect();
        let found = quote(question, &sources);
        let found = found.as_ref().map(|quote| (quote.source, &*quote.text));
        assert_eq!(found, expected);
    }
}
