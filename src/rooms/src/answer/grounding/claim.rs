//! What a sentence of an answer states.

use super::about::About;
use crate::answer::{
    citations::without_marks,
    source::Part,
    text::{
        dates::Dated,
        language::{Language, language},
        names::{Name, codes, names},
        numbers::Number,
        words::Word,
    },
    weak,
};

/// Longest sentence that only leads to what follows, in words.
const MAX_LEAD: usize = 14;
/// What is said around an answer.
const COURTESIES: &[&str] = &[
    "let me know",
    "hope this helps",
    "hope that helps",
    "feel free to",
    "is there anything else",
    "you're welcome",
    "gern geschehen",
];

/// What a sentence of an answer states.
#[derive(Clone, Debug)]
pub struct Claim {
    part: Part,
    names: Vec<Name>,
    language: Language,
    is_heading: bool,
}

impl Claim {
    /// Takes a sentence apart, without its citations and what Markdown adds to it.
    pub fn of(sentence: &str, about: &About) -> Self {
        let part = Part::of(&plain(sentence), 0);
        let language = language(part.words.iter().map(|word| word.folded.as_str()));
        let names = names(&part.words, language, |word| about.is_name(word));
        Self {
            part,
            names,
            language,
            is_heading: sentence.trim_start().starts_with('#'),
        }
    }

    /// Whether it states nothing that could be wrong.
    pub fn is_nothing(&self) -> bool {
        let telling = self.telling();
        let is_bare = self.part.numbers.is_empty() && self.names.is_empty() && self.codes().is_empty();
        let text = self.part.text.trim();
        let leads = (self.is_heading || text.ends_with([':', '?'])) && self.part.words.len() <= MAX_LEAD;
        let folded = text.to_lowercase();
        let is_courtesy =
            COURTESIES.iter().any(|courtesy| folded.contains(courtesy)) && self.part.words.len() <= MAX_LEAD;
        is_bare && (telling.is_empty() || leads || is_courtesy) || weak::says_unknown(text)
    }

    /// The words that say something.
    pub fn telling(&self) -> Vec<&Word> {
        self.part.words.iter().filter(|word| word.is_telling).collect()
    }

    /// Its numbers, but for those that are a part of a date.
    pub fn numbers(&self) -> impl Iterator<Item = &Number> {
        let is_date = |number: &&Number| {
            self.part
                .dates
                .iter()
                .any(|date| date.at <= number.at && number.at < date.end)
        };
        self.part.numbers.iter().filter(move |number| !is_date(number))
    }

    /// Its dates.
    pub fn dates(&self) -> impl Iterator<Item = &Dated> {
        self.part.dates.iter()
    }

    /// Its names.
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// Its names that have digits.
    pub fn codes(&self) -> Vec<&str> {
        codes(&self.part.text)
    }

    /// Its words by clauses.
    pub fn clauses(&self) -> Vec<Vec<&Word>> {
        self.part.clauses()
    }

    /// Its language.
    pub fn language(&self) -> Language {
        self.language
    }
}

/// Without citations, marks of lists and headings, and emphasis.
fn plain(sentence: &str) -> String {
    let text = without_marks(sentence);
    let mut text = text.trim();
    text = text.trim_start_matches(['#', '>', '-', '*', '+', '•', '|', ' ']);
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if (1..=3).contains(&digits) && (text[digits..].starts_with(". ") || text[digits..].starts_with(") ")) {
        text = &text[digits + 2..];
    }
    text.replace("**", "").replace("__", "").replace('`', "")
}
