//! The fact that a question asks for, where its words say so: of what kind it is, and about what.
//!
//! Only plain questions in English are taken apart: one sentence without commas that begins with who, what, which, where,
//! when or how. All others are left open, for nothing is known of what answers them; so is what is asked in other
//! languages.

use std::ops::Range;

use super::extent::{Extent, extent_of, is_quantity};
use super::is_in;
use crate::answer::{
    sentences::sentences,
    tells::forms::are_same,
    text::{
        language::{Language, is_small_in},
        numbers::Number,
        words::Word,
    },
};

/// A fact that is asked for.
#[derive(Clone, Debug)]
pub struct Fact {
    /// What it would be.
    pub kind: Kind,
    /// What is counted, whose name is asked for, what somebody is: the noun last, with what describes it.
    pub head: Vec<Word>,
    /// Names that it is about, each in its words.
    pub names: Vec<Vec<Word>>,
    /// What else it is about, which has to be said near it.
    pub relation: Vec<Word>,
    /// Numbers that limit it, such as years.
    pub numbers: Vec<Number>,
    /// All words of the question: what they say answers nothing.
    pub words: Vec<Word>,
}

/// What kind of thing is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// How many of the head there are.
    Count,
    /// Years that somebody has lived.
    Age,
    /// A length, a weight and the like.
    Extent(Extent),
    /// A sum of money.
    Money,
    /// Money, a share, or another number with a unit.
    Amount,
    /// A part of a whole.
    Share,
    /// Who is the head.
    Role,
    /// Who does or suffers what the relation says.
    Agent,
    /// Where.
    Place,
    /// When.
    Time,
    /// How the head is called.
    Name,
    /// Which of what the head says.
    Which,
    /// What the head of something is.
    Attribute,
    /// What somebody or something does.
    Deed,
    /// What letters are short for.
    StandsFor,
    /// What somebody is.
    Post,
    /// A way, a reason, or what somebody has to do: anything may tell it that is about the same.
    Open,
}

const AUXILIARIES: &str = "is are was were be been being am do does did has have had will would can could may might \
    shall should must";
const PREPOSITIONS: &str = "of in on at by to for from with since until till about between into near under over \
    against around after before during through according per than as off outside inside within";
const ARTICLES: &str = "the a an this that these those its their his her our your my";
const RELATIVES: &str = "that who whom whose which where when";
/// Words that begin another question behind `and`.
const STARTS: &str = "who whom whose what which where when why how is are was were do does did can could will would \
    has have had";
/// Verbs that say nothing of what is asked.
pub const LIGHT: &str = "do does did done make makes made take takes took taken place happen happens happened occur \
    occurred cause causes caused want wants wanted get gets got called named name exist exists involve involves \
    estimate estimates estimated total overall already currently used use there according people person persons";
/// Deeds of which others are cases: who approves something has decided it.
const GENERAL: &str = "decide decided decides discuss discussed agree agreed announce announced say said propose \
    proposed report reported change changed offer offered provide provides include includes contain contains mean means";
/// Plurals without an ending.
const PLURALS: &str = "people children men women aircraft police staff sheep feet fish cattle personnel percent troops";
/// What is told in money.
const MONEY: &str = "cost costs price pay pays paid earn earns earned spend spends spent salary wage wages fee fees fare \
    fares fine budget bonus deposit rent debt income money";
const TIMES: &str = "year date day month week time hour weekday century decade";
const SHARES: &str = "share percentage proportion fraction";
const POSTS: &str = "post position job profession occupation role rank";

impl Fact {
    /// The fact that a question asks for, if it is a plain one.
    pub fn of(question: &str, words: &[Word], numbers: &[Number]) -> Option<Self> {
        let parse = Parse { words };
        if !parse.is_plain(question) {
            return None;
        }
        let start = usize::from(parse.is(0, PREPOSITIONS));
        let (mut kind, mut head) = parse.kind(start)?;
        // Documents know nothing of whoever asks, and call them something else. `US` is a country.
        let is_asker = |word: &Word| is_in("i my me we our us", &word.folded) && !word.is_coined();
        if words.iter().any(is_asker) {
            (kind, head) = (Kind::Open, 0..0);
        }
        let rest = start + 1..words.len();
        let relation = parse.relation(rest.clone(), &head, kind);
        if kind == Kind::Deed && relation.is_empty() {
            kind = Kind::Open;
        }
        Some(Self {
            names: parse.names(rest, &head),
            relation,
            head: words[head].to_vec(),
            kind,
            numbers: numbers.to_vec(),
            words: words.to_vec(),
        })
    }

    /// Whether a word says nothing that the question does not say.
    pub fn has(&self, other: &Word) -> bool {
        self.words.iter().any(|word| are_same(&word.folded, &other.folded))
    }
}

/// Whether a word says something in English.
pub fn is_content(word: &Word) -> bool {
    let has_digit = word.folded.chars().any(|c| c.is_ascii_digit());
    let is_letter = word.folded.chars().count() < 2;
    !has_digit && !is_letter && !word.is_denial && !is_small_in(Language::English, &word.folded) || word.is_coined()
}

struct Parse<'a> {
    words: &'a [Word],
}

impl Parse<'_> {
    fn folded(&self, place: usize) -> &str {
        self.words.get(place).map_or("", |word| &word.folded)
    }

    fn is(&self, place: usize, list: &str) -> bool {
        self.words.get(place).is_some_and(|word| is_in(list, &word.folded))
    }

    /// One sentence, and in it one question.
    fn is_plain(&self, question: &str) -> bool {
        let is_long = self.words.len() > 40;
        let has_more = question
            .trim()
            .trim_end_matches('?')
            .contains(['\n', ',', ';', ':', '(', ')', '<', '>', '|', '?', '[', '`']);
        let is_double = (1..self.words.len()).any(|place| self.is(place, "and or but") && self.is(place + 1, STARTS));
        !is_long && !has_more && !is_double && sentences(question.trim()).len() == 1
    }

    fn kind(&self, at: usize) -> Option<(Kind, Range<usize>)> {
        let next = at + 1;
        match self.folded(at) {
            "how" => self.how(next),
            "who" if self.is(next, "is was are were") => Some(self.who_is(next + 1)),
            "who" | "whom" => Some((Kind::Agent, 0..0)),
            "where" => Some((Kind::Place, 0..0)),
            "when" => Some((Kind::Time, 0..0)),
            "why" => Some((Kind::Open, 0..0)),
            "what" if self.is(next, AUXILIARIES) => Some(self.what(next)),
            // `What happened?`
            "what" if self.is(next, LIGHT) => Some((Kind::Open, 0..0)),
            "what" | "which" => Some(self.which(next)),
            _ => None,
        }
    }

    fn how(&self, at: usize) -> Option<(Kind, Range<usize>)> {
        let next = at + 1;
        match self.folded(at) {
            "many" => Some((Kind::Count, self.counted(next))),
            "much" if self.is_of_money() => Some((Kind::Money, 0..0)),
            "much" => Some((Kind::Amount, 0..0)),
            "old" => Some((Kind::Age, 0..0)),
            "large" | "big" | "high" if self.is(next, "is was are were") => Some((Kind::Amount, 0..0)),
            measured => match extent_of(measured) {
                Some(extent) => Some((Kind::Extent(extent), 0..0)),
                None => Some((Kind::Open, 0..0)),
            },
        }
    }

    fn is_of_money(&self) -> bool {
        (0..self.words.len()).any(|place| self.is(place, MONEY))
    }

    /// What is counted: up to the first plural.
    fn counted(&self, at: usize) -> Range<usize> {
        let is_plural = |word: &Word| {
            let folded = &word.folded;
            folded.ends_with('s') && !folded.ends_with("ss") && !word.is_capitalized() || is_in(PLURALS, folded)
        };
        let end = self.words.len().min(at + 5);
        let stop = (at..end).find(|place| self.is(*place, AUXILIARIES) || self.is(*place, PREPOSITIONS));
        let plural = (at..stop.unwrap_or(end)).find(|place| is_plural(&self.words[*place]));
        at..plural.unwrap_or(at).min(self.words.len().saturating_sub(1)) + 1
    }

    fn who_is(&self, at: usize) -> (Kind, Range<usize>) {
        let is_article = self.is(at, ARTICLES);
        let noun = self.noun_phrase(at);
        let is_genitive = self.words[noun.clone()]
            .iter()
            .any(|word| word.text.ends_with("'s") || word.text.ends_with("’s"));
        match noun.len() {
            1.. if is_article || is_genitive => (Kind::Role, noun),
            // `Who is Anna Miller?`
            1.. if noun.end == self.words.len() => (Kind::Post, 0..0),
            _ => (Kind::Agent, 0..0),
        }
    }

    /// The words of a noun with what describes it, without its article.
    fn noun_phrase(&self, at: usize) -> Range<usize> {
        let start = at + usize::from(self.is(at, ARTICLES));
        let is_end = |place: &usize| {
            let ends = self.is(*place, PREPOSITIONS) || self.is(*place, RELATIVES) || self.is(*place, AUXILIARIES);
            ends && *place > start || self.is(*place, PREPOSITIONS)
        };
        let end = (start..self.words.len()).find(is_end).unwrap_or(self.words.len());
        start..end.max(start)
    }

    fn what(&self, at: usize) -> (Kind, Range<usize>) {
        let last = self.words.len() - 1;
        if self.folded(last) == "for" && self.is(last - 1, "stand short") {
            return (Kind::StandsFor, 0..0);
        }
        if self.is(last, "cost costs") || self.is(at + 1, "costs") {
            return (Kind::Money, 0..0);
        }
        if !self.is(at, "is are was were") {
            return (Kind::Deed, 0..0);
        }
        // `What are the rules?` asks for all of them, however they are called.
        let is_plural = self.is(at, "are were") && self.is(at + 1, ARTICLES);
        let noun = self.noun_phrase(at + 1);
        let Some(head) = noun.clone().last() else {
            return (Kind::Deed, 0..0);
        };
        let is_of = self.is(noun.end, "of at in for");
        match self.folded(head) {
            "name" | "names" if noun.len() == 1 && is_of => (Kind::Name, self.noun_phrase(noun.end + 1)),
            folded if is_in(POSTS, folded) && is_of => (Kind::Post, 0..0),
            folded if is_in(SHARES, folded) => (Kind::Share, 0..0),
            "age" => (Kind::Age, 0..0),
            folded => match extent_of(folded) {
                Some(extent) => (Kind::Extent(extent), 0..0),
                _ if is_in(MONEY, folded) => (Kind::Money, noun),
                _ if is_plural => (Kind::Open, 0..0),
                _ if is_quantity(folded) => (Kind::Amount, noun),
                _ => (Kind::Attribute, noun),
            },
        }
    }

    fn which(&self, at: usize) -> (Kind, Range<usize>) {
        let end = self.words.len().min(at + 4);
        let stop = (at + 1..end).find(|place| self.is(*place, AUXILIARIES) || self.is(*place, PREPOSITIONS));
        // Without an auxiliary the verb follows at once: `which bank transferred`.
        let head = at..stop
            .filter(|stop| self.is(*stop, AUXILIARIES) || *stop == at + 1)
            .unwrap_or(at + 1);
        let noun = self.folded(head.end - 1);
        match noun {
            // `In what time did she swim it?`
            "time" if at > 1 && self.folded(at - 2) == "in" => match extent_of("duration") {
                Some(extent) => (Kind::Extent(extent), 0..0),
                None => (Kind::Open, 0..0),
            },
            _ if is_in(TIMES, noun) => (Kind::Time, 0..0),
            _ if is_in(SHARES, noun) => (Kind::Share, 0..0),
            "age" => (Kind::Age, 0..0),
            "number" | "amount" | "price" => (Kind::Amount, head),
            "post" | "position" | "profession" | "job" => (Kind::Post, 0..0),
            _ => (Kind::Which, head),
        }
    }

    /// Names outside the head, each as far as it goes.
    fn names(&self, rest: Range<usize>, head: &Range<usize>) -> Vec<Vec<Word>> {
        let mut found: Vec<Vec<Word>> = Vec::new();
        let mut last = None;
        for place in rest.filter(|place| !head.contains(place)) {
            let word = &self.words[place];
            if !(word.is_capitalized() || word.is_coined()) || !is_content(word) {
                continue;
            }
            // `Lord of the Rings`, `News of the World`.
            let joined = last.is_some_and(|last: usize| {
                last + 1 == place && !self.words[last].text.contains(['\'', '’'])
                    || last + 3 == place && self.folded(last + 1) == "of" && self.folded(last + 2) == "the"
            });
            match found.last_mut().filter(|_| joined) {
                Some(name) => name.push(word.clone()),
                None => found.push(vec![word.clone()]),
            }
            last = Some(place);
        }
        found
    }

    fn relation(&self, rest: Range<usize>, head: &Range<usize>, kind: Kind) -> Vec<Word> {
        let asks = |word: &Word| match kind {
            Kind::Age => is_in("old age", &word.folded),
            Kind::Extent(extent) => is_in(extent.words, &word.folded) || extent_of(&word.folded) == Some(extent),
            Kind::Amount | Kind::Money => is_in("much large big high cost costs worth money", &word.folded),
            Kind::Count => word.folded == "many",
            Kind::Time => is_in(TIMES, &word.folded),
            Kind::Share => is_in(SHARES, &word.folded),
            Kind::StandsFor => is_in("stand short", &word.folded),
            Kind::Post => is_in(POSTS, &word.folded),
            Kind::Name => is_in("name names", &word.folded),
            _ => false,
        };
        let says = |place: usize| {
            let word = &self.words[place];
            let is_part = self.folded(place - 1) == "at" || self.folded(place + 1) == "of";
            let is_most = is_in("most least", &word.folded) && !is_part;
            let is_own = is_content(word) && !word.is_capitalized() && !word.is_coined();
            // `Who called him so?`
            let is_called = is_in("called named", &word.folded) && kind == Kind::Agent;
            // At the end it is a verb: how long does it last?
            let is_lasting = word.folded == "last" && place + 1 == self.words.len();
            let is_light =
                is_lasting || is_in(LIGHT, &word.folded) || kind == Kind::Deed && is_in(GENERAL, &word.folded);
            is_most || is_own && (is_called || !is_light && !asks(word))
        };
        let places = rest.filter(|place| !head.contains(place) && says(*place));
        places.map(|place| self.words[place].clone()).collect()
    }
}
