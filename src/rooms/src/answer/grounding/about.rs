//! What the cited chunks have, and what is known of the names in all of them.

use std::collections::HashSet;

use crate::answer::{
    source::{Part, Source},
    text::{
        dates::Dated,
        language::Language,
        names::{Name, codes},
        numbers::Number,
        units,
        words::{Word, are_alike, share, words},
    },
};

/// Which words are names: those that have a capital letter within a sentence of the question or a chunk, and are
/// nowhere without.
#[derive(Clone, Debug, Default)]
pub struct About {
    names: HashSet<String>,
}

impl About {
    /// Looks at a question and the chunks that were found for it.
    pub fn of(question: &str, sources: &[Source<'_>]) -> Self {
        let mut names = HashSet::new();
        let mut others = HashSet::new();
        let question = words(question);
        let parts = sources
            .iter()
            .flat_map(|source| source.parts())
            .map(|part| part.words.as_slice());
        for words in parts.chain([question.as_slice()]) {
            for (place, word) in words.iter().enumerate() {
                match word.is_capitalized() {
                    true if place > 0 => drop(names.insert(word.folded.clone())),
                    true => {}
                    false => drop(others.insert(word.folded.clone())),
                }
            }
        }
        names.retain(|name| !others.contains(name));
        Self { names }
    }

    /// Whether a word is a name elsewhere.
    pub fn is_name(&self, word: &Word) -> bool {
        self.names.contains(&word.folded)
    }
}

/// The chunks that a sentence cites.
pub struct Cited<'a> {
    sources: Vec<&'a Source<'a>>,
}

impl<'a> Cited<'a> {
    pub fn of(sources: impl Iterator<Item = &'a Source<'a>>) -> Self {
        Self {
            sources: sources.collect(),
        }
    }

    fn parts(&self) -> impl Iterator<Item = &'a Part> {
        self.sources.iter().flat_map(|source| source.parts())
    }

    fn words(&self) -> impl Iterator<Item = &'a Word> + Clone {
        self.sources.iter().flat_map(|source| source.words())
    }

    /// Whether one of the dates is that one, as far as it is said. Its year may stand elsewhere.
    pub fn has_date(&self, wanted: &Dated) -> bool {
        let has = |wanted: &crate::answer::text::dates::Date| {
            let mut there = self.parts().flat_map(|part| &part.dates).flat_map(|dated| &dated.dates);
            there.any(|date| wanted.is_in(date))
        };
        let year_elsewhere = |wanted: &crate::answer::text::dates::Date| {
            let Some(year) = wanted.year else { return false };
            let without = wanted.without_year();
            let mut there = self.parts().flat_map(|part| &part.dates).flat_map(|dated| &dated.dates);
            let has_day = there.any(|date| date.year.is_none() && without.is_in(date));
            has_day && self.words().any(|word| word.folded == year.to_string())
        };
        wanted.dates.iter().any(|date| has(date) || year_elsewhere(date))
    }

    /// Whether a number is there, of the same unit as far as both are known.
    pub fn has_number(&self, wanted: &Number) -> bool {
        self.parts()
            .any(|part| part.numbers.iter().any(|number| is_same(wanted, number)))
            || self.about_numbers(wanted)
    }

    /// A number in a heading or in the name of a document, such as a year.
    fn about_numbers(&self, wanted: &Number) -> bool {
        let about = self.sources.iter().flat_map(|source| source.about());
        about.into_iter().any(|word| word.folded == wanted.text)
    }

    /// Whether a number is there in a clause that is about `telling`, and no other number of its unit is in a clause
    /// that is more so. Clauses of one sentence leave out what is said in the one before them, so there the other one
    /// must also have all that this one has. A clause that says nothing but its number is about what the one before it
    /// is.
    pub fn has_number_near(&self, wanted: &Number, telling: &[&Word]) -> bool {
        if self.about_numbers(wanted) {
            return true;
        }
        let telling: Vec<&Word> = telling
            .iter()
            .filter(|word| units::unit(&word.folded).is_none())
            .copied()
            .collect();
        let weights: Vec<f64> = telling.iter().map(|word| self.weight(word)).collect();
        let (mut own, mut others) = (Vec::new(), Vec::new());
        for (place, part) in self.parts().enumerate() {
            let clauses = part.clauses();
            for number in part.numbers.iter().filter(|number| !wanted.counts_another(number)) {
                let found = (place, found_in(&clauses, number, &telling));
                if number.equals(wanted) { &mut own } else { &mut others }.push(found);
            }
        }
        let score = |found: &[bool]| {
            let found = found.iter().zip(&weights).filter(|(is_there, _)| **is_there);
            found.map(|(_, weight)| weight).sum::<f64>() / weights.iter().sum::<f64>().max(f64::MIN_POSITIVE)
        };
        let has_all = |more: &[bool], less: &[bool]| more.iter().zip(less).all(|(more, less)| *more || !*less);
        let is_nearer = |(place, other): &(usize, Vec<bool>), (own_place, own): &(usize, Vec<bool>)| {
            score(other) - score(own) > MARGIN && (place != own_place || has_all(other, own))
        };
        let is_about = |(_, own): &&(usize, Vec<bool>)| telling.is_empty() || own.contains(&true);
        own.iter()
            .filter(is_about)
            .any(|own| !others.iter().any(|other| is_nearer(other, own)))
    }

    /// What a word counts: less if many sentences have it, for then it tells little.
    fn weight(&self, word: &Word) -> f64 {
        let has = |part: &&Part| part.words.iter().any(|other| are_alike(&other.folded, &word.folded));
        let parts = self.parts().filter(has).count();
        1.0 / (parts.max(1) as f64).sqrt()
    }

    /// Whether a name with digits is there.
    pub fn has_code(&self, code: &str) -> bool {
        let is_it = |text: &str| {
            codes(text)
                .iter()
                .any(|other| other.to_lowercase() == code.to_lowercase())
        };
        self.sources.iter().any(|source| {
            let chunk = source.chunk();
            is_it(&chunk.text) || is_it(&chunk.document) || chunk.place.headings.iter().any(|heading| is_it(heading))
        })
    }

    /// Whether one of the words of a name is there.
    pub fn has_name(&self, name: &Name, language: Language) -> bool {
        name.is_among(self.words(), language)
    }

    /// The sentence that has most of the words.
    pub fn nearest(&self, telling: &[&Word]) -> Option<&'a Part> {
        let scored = self.parts().map(|part| (share(telling, part.words.iter()), part));
        let best = scored.reduce(|best, other| if other.0 > best.0 { other } else { best });
        best.map(|(_, part)| part)
    }

    /// The largest share of the words that so many sentences in a row have, with what their chunk is about; from 0 to
    /// 1. A sentence that cites several chunks may have words of all of them.
    pub fn overlap(&self, telling: &[&Word], window: usize) -> f64 {
        if telling.is_empty() {
            return 1.0;
        }
        let best_of = |source: &&Source<'_>| -> Vec<bool> {
            let of = |parts: &[Part]| -> Vec<bool> {
                let words = || parts.iter().flat_map(|part| &part.words).chain(source.about());
                telling
                    .iter()
                    .map(|word| words().any(|other| are_alike(&other.folded, &word.folded)))
                    .collect()
            };
            let windows = source.parts().windows(window.min(source.parts().len()).max(1)).map(of);
            windows
                .max_by_key(|found: &Vec<bool>| found.iter().filter(|is_there| **is_there).count())
                .unwrap_or_default()
        };
        let all: Vec<Vec<bool>> = self.sources.iter().map(best_of).collect();
        let weights: Vec<f64> = telling.iter().map(|word| self.weight(word)).collect();
        let is_there = |place: usize| all.iter().any(|found| found.get(place) == Some(&true));
        let found = weights.iter().enumerate().filter(|(place, _)| is_there(*place));
        found.map(|(_, weight)| weight).sum::<f64>() / weights.iter().sum::<f64>()
    }
}

/// By how much another number's clause may be nearer before a number is said to be of something else.
const MARGIN: f64 = 0.2;

fn is_same(wanted: &Number, number: &Number) -> bool {
    wanted.equals(number) && !wanted.counts_another(number)
}

/// Which words of `telling` the clause of a number has; all, if nothing around the number says anything, as in a table.
fn found_in(clauses: &[Vec<&Word>], number: &Number, telling: &[&Word]) -> Vec<bool> {
    let place = clauses
        .iter()
        .position(|clause| clause.iter().any(|word| word.at + word.text.len() > number.at));
    let is_own = |word: &&&Word| word.is_telling && units::unit(&word.folded).is_none();
    let mut before = place.into_iter().flat_map(|place| clauses[..=place].iter().rev());
    let Some(clause) = before.find(|clause| clause.iter().any(|word| is_own(&word))) else {
        return vec![true; telling.len()];
    };
    let has = |word: &&Word| {
        clause
            .iter()
            .filter(is_own)
            .any(|other| are_alike(&other.folded, &word.folded))
    };
    telling.iter().map(has).collect()
}
