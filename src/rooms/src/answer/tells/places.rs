//! Where and when.

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

/// Whether a sentence says where.
pub fn place(fact: &Fact, sight: &Sight<'_>) -> bool {
    let at_verb = |place: usize| {
        place > 0 && relates(fact, sight, place - 1) && {
            let mut noun = (place + 1..place + 5).take_while(|other| !sight.is_parted(*other));
            noun.any(|other| sight.is_new(other) && !is_in(TIMES, sight.folded(other)))
        }
    };
    let mut places = (0..sight.tokens.len()).filter(|place| sight.is(*place, LOCATIVES));
    places.any(|place| leads_to_name(sight, place) && is_said_of_it(fact, sight, place) || at_verb(place))
}

/// Whether a preposition leads to a name that is new, which is the name of a place then.
pub fn leads_to_name(sight: &Sight<'_>, preposition: usize) -> bool {
    let mut noun = (preposition + 1..preposition + 6).take_while(|other| !sight.is_parted(*other));
    let is_name = |place: usize| sight.tokens.get(place).is_some_and(|token| token.is_new_name);
    noun.find(|other| is_name(*other) || sight.is(*other, LOCATIVES) || sight.is(*other, "who that which and to for of"))
        .is_some_and(is_name)
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

/// Whether a sentence says when.
pub fn time(fact: &Fact, sight: &Sight<'_>) -> bool {
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
    let is_asked = |place: usize| has(sight.folded(place));
    let is_one = |place: usize| {
        let is_calendar = is_time(sight.folded(place)) && sight.is_capital(place);
        match (wants_year, wants_date) {
            (true, _) => is_year(place),
            (_, true) => dated(place) || is_calendar,
            _ => dated(place) || is_calendar || is_year(place) || sight.is(place, TIMES),
        }
    };
    let is_when_said = |place: usize| {
        let around = place.saturating_sub(2)..place;
        around.into_iter().any(|other| sight.is(other, SAYS)) && !fact.words.iter().any(|word| is_in("say said", &word.folded))
    };
    let mut places = 0..sight.tokens.len();
    places.any(|place| !is_asked(place) && is_one(place) && !is_when_said(place) && is_said_of_it(fact, sight, place))
}
