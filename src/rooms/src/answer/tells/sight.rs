//! A sentence as it is looked at for a fact.

use std::ops::Range;

use super::{
    super::{
        asked::{
            fact::{Fact, is_content},
            is_in,
        },
        source::Part,
        text::{months::month, numbers::Number, words::Word},
    },
    Near,
    forms::{are_same, is_of_country},
};

const WEEKDAYS: &str = "monday tuesday wednesday thursday friday saturday sunday";
const SCALES: &str = "hundred thousand million billion trillion bn";

/// A word of the sentence.
pub struct Token<'a> {
    /// It.
    pub word: &'a Word,
    /// What stands before it, since the last word.
    pub gap: &'a str,
    /// The number of its clause: clauses are parted by commas and the like.
    pub clause: usize,
    /// Whether the question says it.
    pub is_asked: bool,
    /// Whether it is a name that the question does not have.
    pub is_new_name: bool,
}

/// A number of the sentence that the question does not have.
pub struct Amount<'a> {
    /// It.
    pub number: &'a Number,
    /// Its tokens, with a word such as million behind it.
    pub tokens: Range<usize>,
}

/// A sentence as it is looked at for a fact.
pub struct Sight<'a> {
    /// The sentence.
    pub part: &'a Part,
    /// Its words.
    pub tokens: Vec<Token<'a>>,
    /// Names in it that the question does not have.
    pub names: Vec<Range<usize>>,
    /// Numbers in it that the question does not have, and that are not part of a date.
    pub amounts: Vec<Amount<'a>>,
}

impl<'a> Sight<'a> {
    /// Looks at a sentence.
    pub fn of(part: &'a Part, fact: &Fact, near: &Near<'_>) -> Self {
        let mut tokens: Vec<Token<'a>> = Vec::with_capacity(part.words.len());
        let (mut end, mut clause) = (0, 0);
        for word in &part.words {
            let gap = part.text.get(end..word.at).unwrap_or_default();
            let is_dash = gap.contains(" -") || gap.contains("- ") || gap.contains("--");
            clause += usize::from(gap.contains([',', ';', ':', '(', ')', '–', '—', '\n']) || is_dash);
            end = word.at + word.text.len();
            tokens.push(Token {
                word,
                gap,
                clause,
                is_asked: is_content(word) && fact.has(word),
                is_new_name: false,
            });
        }
        for place in 0..tokens.len() {
            tokens[place].is_new_name = is_new_name(&tokens, place, near);
        }
        Self {
            names: names(&tokens),
            amounts: amounts(part, &tokens, fact),
            part,
            tokens,
        }
    }

    /// Whether one of its words says what a word says.
    pub fn has(&self, word: &Word) -> bool {
        let mut there = self.tokens.iter();
        there.any(|token| are_same(&word.folded, &token.word.folded))
    }

    /// Where words stand that say what a word says.
    pub fn places(&self, word: &Word) -> Vec<usize> {
        let is_it = |place: &usize| are_same(&word.folded, self.folded(*place));
        (0..self.tokens.len()).filter(is_it).collect()
    }

    /// A word in lower case; nothing where there is none.
    pub fn folded(&self, place: usize) -> &str {
        self.tokens.get(place).map_or("", |token| &token.word.folded)
    }

    /// Whether the word at a place is one of a list.
    pub fn is(&self, place: usize, list: &str) -> bool {
        self.tokens
            .get(place)
            .is_some_and(|token| is_in(list, &token.word.folded))
    }

    /// Whether something parts a word from the one before it.
    pub fn is_parted(&self, place: usize) -> bool {
        self.tokens
            .get(place)
            .is_none_or(|token| place > 0 && self.tokens[place - 1].clause != token.clause)
    }

    /// Whether the word at a place says something that the question does not.
    pub fn is_new(&self, place: usize) -> bool {
        self.tokens
            .get(place)
            .is_some_and(|token| !token.is_asked && is_content(token.word) && !is_time(&token.word.folded))
    }

    /// Whether the word at a place begins with a capital letter and says something.
    pub fn is_capital(&self, place: usize) -> bool {
        self.tokens
            .get(place)
            .is_some_and(|token| token.word.is_capitalized() && is_content(token.word))
    }
}

/// Whether a word in lower case is of the calendar.
pub fn is_time(word: &str) -> bool {
    month(word).is_some() && word.len() >= 3 || is_in(WEEKDAYS, word)
}

fn is_new_name(tokens: &[Token<'_>], place: usize, near: &Near<'_>) -> bool {
    let token = &tokens[place];
    let folded = &token.word.folded;
    const NONE: &str = "mr mrs ms dr god internet percent north south east west northern southern eastern western";
    if token.is_asked || !token.word.is_capitalized() || !is_content(token.word) || is_time(folded) {
        return false;
    }
    let is_country = is_of_country(folded) || folded.ends_with("ish") || folded.ends_with("ese");
    let is_beside = |other: Option<&Token<'_>>| {
        other.is_some_and(|other| other.word.is_capitalized() && other.gap.trim().is_empty() && is_content(other.word))
    };
    // At the beginning every word has a capital letter, and behind a quotation mark as well.
    let is_first = place == 0 || token.gap.contains(['"', '“', '.']);
    let is_known = near.is_name(token.word) || is_beside(tokens.get(place + 1));
    !is_in(NONE, folded) && !is_country && (!is_first || is_known)
}

/// Names as far as they go, each with a word that is new.
fn names(tokens: &[Token<'_>]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (place, token) in tokens.iter().enumerate().filter(|(_, token)| token.is_new_name) {
        let is_joined = token.gap == " " || token.gap == "-" || token.gap == ".  " || token.gap == ". ";
        match found.last_mut().filter(|last| last.end == place && is_joined) {
            Some(last) => last.end = place + 1,
            None => found.push(place..place + 1),
        }
    }
    found
}

fn amounts<'a>(part: &'a Part, tokens: &[Token<'a>], fact: &Fact) -> Vec<Amount<'a>> {
    const ORDINALS: &str = "first second third fourth fifth sixth seventh eighth ninth tenth";
    let is_date = |number: &Number| {
        let mut dates = part.dates.iter();
        dates.any(|date| date.at <= number.at && number.at < date.end)
    };
    let is_ordinal = |number: &Number| {
        let behind = part.text.get(number.end..).unwrap_or_default();
        let glued = ["st", "nd", "rd", "th"].iter().any(|ending| behind.starts_with(ending));
        is_in(ORDINALS, &number.text.to_lowercase()) || glued
    };
    let is_asked = |number: &Number| fact.numbers.iter().any(|other| other.equals(number));
    let amounts = part.numbers.iter().filter_map(|number| {
        let is_within =
            |token: &Token<'_>| number.at < token.word.at + token.word.text.len() && token.word.at < number.end;
        let first = tokens.iter().position(is_within)?;
        let last = tokens.iter().rposition(is_within)?;
        let has_scale = tokens
            .get(last + 1)
            .is_some_and(|next| is_in(SCALES, &next.word.folded));
        let tokens = first..last + 1 + usize::from(has_scale);
        (!is_date(number) && !is_ordinal(number) && !is_asked(number)).then_some(Amount { number, tokens })
    });
    amounts.collect()
}
