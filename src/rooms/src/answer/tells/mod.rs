//! Whether a sentence of a document tells the fact that a question asks for.
//!
//! Three things have to be there. What the question is about: its names near the sentence, and what it says of them in
//! the sentence itself or, as far as the sentence takes it up, around it. Something new of the kind that is asked for: a
//! number that counts what is counted, a name beside the post that is asked for. And the two of them together: a number
//! or a name that belongs to something else in the same sentence is none.
//!
//! Forms of words, and a few words for the same, are all that is known of the language. What is said in quite other words
//! is not found; that is the price of refusing what merely sounds alike.

mod amounts;
pub(in crate::answer) mod forms;
mod people;
mod places;
mod sight;
mod things;

#[cfg(test)]
mod tests;

use std::ops::Range;

use super::{
    asked::{
        fact::{Fact, Kind, is_content},
        is_in,
    },
    source::{Part, Source},
    text::{numbers::Number, words::Word},
};
use forms::are_same;
use sight::Sight;

/// Sentences before one that it may take up, and behind it.
const BEFORE: usize = 3;
const BEHIND: usize = 1;
/// Least share of what is said of the names that the sentence itself has.
const LEAST_WITHIN: f64 = 0.5;
/// From so many words on one of them may be missing.
const MANY: usize = 5;

/// What stands around a sentence: it says what the sentence is about.
pub struct Near<'a> {
    words: Vec<&'a Word>,
    numbers: Vec<&'a Number>,
    /// What a sentence takes up that begins with `it` or `she`: the one before it.
    taken_up: &'a [Word],
    source: &'a Source<'a>,
}

impl<'a> Near<'a> {
    /// Around the sentence of a source at this place.
    pub fn of(source: &'a Source<'a>, place: usize) -> Self {
        const TAKING: &str = "it he she they this these its his her their";
        let parts = source.parts();
        let from = place.saturating_sub(BEFORE);
        let to = parts.len().min(place + BEHIND + 1);
        // The first sentence of a text often says what all of it is about.
        let first = parts.first().filter(|_| from > 0);
        let around = || first.into_iter().chain(&parts[from..to]);
        let begins = parts.get(place).and_then(|part| part.words.first());
        let before = place.checked_sub(1).and_then(|before| parts.get(before));
        let takes_up = begins.is_some_and(|word| is_in(TAKING, &word.folded));
        Self {
            words: around().flat_map(|part| &part.words).chain(source.about()).collect(),
            numbers: around().flat_map(|part| &part.numbers).collect(),
            taken_up: before.filter(|_| takes_up).map_or(&[], |before| &before.words),
            source,
        }
    }

    fn has(&self, word: &Word) -> bool {
        self.words.iter().any(|other| are_same(&word.folded, &other.folded))
    }

    /// Whether a word is a name: somewhere it has a capital letter where no sentence begins.
    fn is_name(&self, word: &Word) -> bool {
        let mut there = self.words.iter();
        there.any(|other| other.folded == word.folded && other.at > 0 && other.is_capitalized())
    }
}

/// What tells a fact in a sentence.
pub struct Told {
    /// How much of the question the sentence has, from 0 to 1.
    pub likeness: f64,
    /// Parts of its text that are new and of the kind that is asked for, in bytes.
    values: Vec<Range<usize>>,
}

/// How a sentence tells a fact; nothing where it does not.
pub fn tells(fact: &Fact, part: &Part, near: &Near<'_>) -> Option<Told> {
    let sight = Sight::of(part, fact, near);
    let likeness = about(fact, &sight, near)?;
    let found = match fact.kind {
        Kind::Count => amounts::counts(fact, &sight),
        Kind::Age => amounts::age(fact, &sight),
        Kind::Extent(extent) => amounts::extends(fact, &sight, extent),
        Kind::Amount | Kind::Money => amounts::amount(fact, &sight),
        Kind::Share => amounts::share(&sight),
        Kind::Role | Kind::Name => people::named(fact, &sight),
        Kind::Agent => people::agent(fact, &sight),
        Kind::Post => people::post(fact, &sight),
        Kind::Place => places::place(fact, &sight),
        Kind::Time => places::time(fact, &sight),
        Kind::Which => things::which(fact, &sight),
        Kind::Attribute => things::attribute(fact, &sight),
        Kind::Deed => things::deed(fact, &sight),
        Kind::StandsFor => things::stands_for(fact, &sight),
        Kind::Open => Vec::new(),
    };
    let values = found.into_iter().filter_map(|tokens| {
        let last = tokens.end.min(sight.tokens.len()).checked_sub(1)?;
        let (first, last) = (sight.tokens.get(tokens.start)?.word, sight.tokens.get(last)?.word);
        Some(first.at..last.at + last.text.len())
    });
    let values: Vec<_> = values.collect();
    (!values.is_empty()).then_some(Told { likeness, values })
}

/// How much of what a question says stands in a sentence, if all of it that has to stand there or around it does.
fn about(fact: &Fact, sight: &Sight<'_>, near: &Near<'_>) -> Option<f64> {
    // A year may stand in the name of a document alone.
    let has_number = |number: &Number| {
        near.numbers.iter().any(|other| other.equals(number))
            || near.words.iter().any(|word| word.folded == number.text)
    };
    if !fact.names.iter().all(|name| has_name(name, near)) || !fact.numbers.iter().all(has_number) {
        return None;
    }
    let is_within = |word: &Word| {
        let mut taken_up = near.taken_up.iter();
        sight.has(word) || taken_up.any(|other| are_same(&word.folded, &other.folded))
    };
    let described = fact.head.iter().rev().skip(1).filter(|word| is_content(word));
    let said: Vec<&Word> = fact.relation.iter().chain(described).collect();
    let missing = said.iter().filter(|word| !near.has(word)).count();
    let may_miss = usize::from(said.len() >= MANY);
    if missing > may_miss || said.iter().any(|word| is_order(word) && !is_within(word)) {
        return None;
    }
    let within = said.iter().filter(|word| is_within(word)).count();
    if (within as f64) < LEAST_WITHIN * said.len() as f64 {
        return None;
    }
    let names: Vec<&Word> = fact.names.iter().flatten().collect();
    let named = names.iter().filter(|word| is_within(word)).count();
    // What counts something without a word of what it is about may count it for something else.
    if fact.kind == Kind::Count && within == 0 && named == 0 && !names.is_empty() {
        return None;
    }
    let all = (said.len() + names.len()).max(1);
    Some((within + named) as f64 / all as f64)
}

/// Whether enough of a name is near: its last word, and half of all. The others have to be somewhere: there is more than
/// one Energy.
fn has_name(name: &[Word], near: &Near<'_>) -> bool {
    let there = name.iter().filter(|word| near.has(word)).count();
    let is_somewhere = |word: &Word| near.source.words().any(|other| are_same(&word.folded, &other.folded));
    name.last().is_some_and(|last| near.has(last)) && 2 * there >= name.len() && name.iter().all(is_somewhere)
}

/// Whether a word makes something another one, so that it has to be said of it: the first, the largest.
fn is_order(word: &Word) -> bool {
    const ORDER: &str = "first last second third next previous former only most least best worst total average monthly \
        annual daily weekly yearly";
    is_in(ORDER, &word.folded) || word.folded.len() > 5 && word.folded.ends_with("est")
}

/// Whether what a model says tells a fact: a sentence of the source does, and what tells it there is said. What the model
/// adds of its own counts for nothing, for it would add the words of the question to whatever it found.
pub fn is_told(fact: &Fact, source: &Source<'_>, said: &str) -> bool {
    if fact.kind == Kind::Open {
        return is_about(fact, source);
    }
    let quote = source.quote(said);
    let said = Part::of(said, 0);
    let has_said = |part: &Part, value: &Range<usize>| {
        let is_within = |at: usize| value.contains(&at);
        let mut numbers = part.numbers.iter().filter(|number| is_within(number.at));
        let words = part.words.iter().filter(|word| is_within(word.at) && is_content(word));
        let mut words = words.filter(|word| !fact.has(word));
        numbers.any(|number| said.numbers.iter().any(|other| other.equals(number)))
            || words.any(|word| said.words.iter().any(|other| are_same(&word.folded, &other.folded)))
    };
    // What may be anything has to be what was repeated.
    let is_vague = matches!(fact.kind, Kind::Deed | Kind::Attribute);
    source.parts().iter().enumerate().any(|(place, part)| {
        let may_tell = !is_vague || part.range.start < quote.end && quote.start < part.range.end;
        let told = may_tell.then(|| tells(fact, part, &Near::of(source, place))).flatten();
        told.is_some_and(|told| told.values.iter().any(|value| has_said(part, value)))
    })
}

/// Whether a source has more than a third of what a question says.
fn is_about(fact: &Fact, source: &Source<'_>) -> bool {
    let wanted: Vec<&Word> = fact.names.iter().flatten().chain(&fact.relation).collect();
    let is_there = |word: &&&Word| source.words().any(|other| are_same(&word.folded, &other.folded));
    wanted.is_empty() || 3 * wanted.iter().filter(is_there).count() > wanted.len()
}
