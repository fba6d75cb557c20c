//! Where and when.

use std::ops::Range;

use super::{
    super::{
        asked::{fact::Fact, is_in},
        text::words::Word,
    },
    forms::are_same,
    sight::{Sight, is_time},
};

const LOCATIVES: &str = "in at near off outside inside on around into across";
const TIMES: &str = "today tonight yesterday tomorrow noon midnight morning afternoon evening night day days week weeks \
    month months year years hour hours minutes weekend spring summer autumn winter christmas easter time moment once";
const SAYS: &str = "said says told announced reported added";
/// What ends a noun behind a preposition.
const ENDS: &str = "who that which and to for of";
/// Nouns whose name stands behind them.
const PARTS: &str = "capital city town village suburb region port island province state north south east west outskirts centre \
    center heart part parts";
/// Words of a noun behind a preposition.
const NOUN: usize = 6;

/// Where.
pub fn place(fact: &Fact, sight: &Sight<'_>) -> Vec<Range<usize>> {
    // `Where is the canteen?` is answered by `on the second floor` as well, which is no name.
    let is_copula = fact
        .words
        .get(1)
        .is_some_and(|word| is_in("is are was were", &word.folded));
    let mut found = Vec::new();
    for place in (0..sight.tokens.len()).filter(|place| sight.is(*place, LOCATIVES)) {
        let is_said = is_said_of_it(fact, sight, place);
        if let Some(name) = named(sight, place).filter(|_| is_said) {
            found.push(name);
            continue;
        }
        let is_behind = place > 0
            && (relates(fact, sight, place - 1) || is_copula && is_said && sight.is(place - 1, "is are was were"));
        let noun = place + 1..sight.tokens.len().min(place + 5);
        let is_place = |other: usize| sight.is_new(other) && !is_in(TIMES, sight.folded(other));
        let has_place = noun.clone().take_while(|other| !sight.is_parted(*other)).any(is_place);
        if is_behind && has_place {
            found.push(noun);
        }
    }
    found
}

/// The new name that a preposition leads to, which is the name of a place then.
pub fn named(sight: &Sight<'_>, preposition: usize) -> Option<Range<usize>> {
    let at = |place: usize| sight.names.iter().find(|name| name.start == place).cloned();
    for place in preposition + 1..preposition + NOUN {
        // `in the Norwegian capital, Oslo`.
        let is_apart = sight.is_parted(place) && place > preposition + 1;
        let is_apposition = is_apart && sight.is(place - 1, PARTS);
        // `Into a suburb of Nablus`.
        if sight.is(place, "of") && sight.is(place - 1, PARTS) {
            continue;
        }
        match at(place) {
            Some(name) if !is_apart || is_apposition => return Some(name),
            _ if is_apart || sight.is(place, LOCATIVES) || sight.is(place, ENDS) || is_time(sight.folded(place)) => {
                return None;
            }
            _ => {}
        }
    }
    None
}

fn relates(fact: &Fact, sight: &Sight<'_>, place: usize) -> bool {
    let is_it = |word: &Word| are_same(&word.folded, sight.folded(place));
    fact.relation.iter().any(is_it)
}

/// Whether the clause of a word says something of what is asked.
fn is_said_of_it(fact: &Fact, sight: &Sight<'_>, place: usize) -> bool {
    let clause = sight.tokens[place].clause;
    let own = (0..sight.tokens.len()).filter(|other| sight.tokens[*other].clause == clause);
    let mut own = own.filter(|other| *other != place);
    match fact.relation.is_empty() {
        true => own.any(|other| sight.tokens[other].is_asked),
        false => own.any(|other| relates(fact, sight, other)),
    }
}

/// When.
pub fn time(fact: &Fact, sight: &Sight<'_>) -> Vec<Range<usize>> {
    let has = |word: &str| fact.words.iter().any(|own| own.folded == word);
    let (wants_year, wants_date) = (has("year"), has("date") || has("day") || has("weekday"));
    let dated = |place: usize| {
        let at = sight.tokens[place].word.at;
        let mut dates = sight.part.dates.iter();
        dates.any(|date| date.at <= at && at < date.end)
    };
    let is_year = |place: usize| {
        let folded = sight.folded(place);
        folded.len() == 4 && folded.parse::<u16>().is_ok_and(|year| (1000..2200).contains(&year))
    };
    let is_clock = |place: usize| {
        let is_number = sight.folded(place).starts_with(|c: char| c.is_ascii_digit());
        is_number
            && (sight.folded(place).ends_with('m')
                || sight.is(place + 1, "am pm o'clock")
                || place > 0 && sight.is(place - 1, "at from until"))
    };
    let is_one = |place: usize| {
        let is_calendar = is_time(sight.folded(place)) && sight.is_capital(place);
        match (wants_year, wants_date) {
            (true, _) => is_year(place),
            (_, true) => dated(place) || is_calendar,
            _ => dated(place) || is_calendar || is_year(place) || sight.is(place, TIMES) || is_clock(place),
        }
    };
    let asks_who_said = fact
        .words
        .iter()
        .any(|word| is_in("say said announce announced", &word.folded));
    let is_when_said = |place: usize| {
        let mut around = place.saturating_sub(2)..place;
        !asks_who_said && around.any(|other| sight.is(other, SAYS))
    };
    let tells = |place: &usize| {
        let is_new = !has(sight.folded(*place));
        is_new && is_one(*place) && !is_when_said(*place) && is_said_of_it(fact, sight, *place)
    };
    let places = (0..sight.tokens.len()).filter(tells);
    places.map(|place| place..place + 1).collect()
}
