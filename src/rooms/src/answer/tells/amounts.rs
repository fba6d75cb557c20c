//! Numbers: of what is counted, of years of age, of what is measured, of money.

use super::{
    super::{
        asked::{
            extent::Extent,
            fact::Fact,
            is_in,
        },
        text::words::Word,
    },
    forms::{are_one_noun, are_same},
    sight::{Amount, Sight},
};

/// From a number to the noun that it counts, in words: adjectives may stand between.
const TO_NOUN: usize = 5;
/// From a number with a unit to what it is said of.
const TO_MATTER: usize = 10;
const BREAKS: &str = "in on at by to for from with and or after before was were is are has have had who which that since \
    when while as but than during";
const PEOPLE: &str = "people persons men women civilians victims";

/// Whether a number counts the head.
pub fn counts(fact: &Fact, sight: &Sight<'_>) -> bool {
    let Some(noun) = fact.head.last() else { return false };
    let is_noun = |place: usize| are_one_noun(&noun.folded, sight.folded(place));
    let relates = |place: usize| is_of(&fact.relation, sight.folded(place));
    let counts = |amount: &&Amount<'_>| {
        let next = amount.tokens.end;
        for place in next..sight.tokens.len().min(next + TO_NOUN) {
            let is_number = sight.amounts.iter().any(|other| other.tokens.contains(&place));
            if sight.is_parted(place) || is_number {
                break;
            }
            if is_noun(place) {
                return true;
            }
            if sight.is(place, BREAKS) {
                break;
            }
        }
        // `with 108 already dead`.
        let is_bare = sight.is_parted(next) || sight.is(next, BREAKS);
        let behind = (next..next + 3).any(|place| !sight.is_parted(place) && relates(place));
        if is_in(PEOPLE, &noun.folded) && behind && !is_year(amount) {
            return true;
        }
        // `Hayden scored 131 before`.
        let before = amount.tokens.start.saturating_sub(2)..amount.tokens.start;
        is_bare && !is_year(amount) && amount.number.unit.is_none() && before.into_iter().any(relates)
    };
    if sight.amounts.iter().any(|amount| counts(&amount)) {
        return true;
    }
    // `The number of Chinese working there is about 5 million`.
    let number = (0..sight.tokens.len()).find(|place| sight.is(*place, "number total"));
    number.is_some_and(|number| {
        let is_counted = (number + 1..number + 5).any(is_noun) && sight.folded(number + 1) == "of";
        let is_told = |amount: &Amount<'_>| amount.tokens.start > number && !is_year(amount);
        is_counted && sight.amounts.iter().any(is_told)
    })
}

fn is_of(words: &[Word], folded: &str) -> bool {
    words.iter().any(|word| are_same(&word.folded, folded))
}

fn is_year(amount: &Amount<'_>) -> bool {
    let text = &amount.number.text;
    text.len() == 4 && amount.number.unit.is_none() && (text.starts_with("19") || text.starts_with("20"))
}

/// Whether somebody's years are told beside their name or what they are.
pub fn age(fact: &Fact, sight: &Sight<'_>) -> bool {
    // `the man who was shot`: the first of what is said is who it is.
    let subject: Vec<&Word> = match fact.names.is_empty() {
        true => fact.relation.iter().take(1).collect(),
        false => fact.names.iter().flatten().collect(),
    };
    let is_subject = |place: usize| {
        let folded = sight.folded(place);
        subject.iter().any(|word| are_same(&word.folded, folded))
    };
    let tells = |amount: &Amount<'_>| {
        let (start, end) = (amount.tokens.start, amount.tokens.end);
        let is_old = sight.is(end, "year month week day") && sight.folded(end + 1) == "old"
            || sight.is(end, "years months") && sight.is(end + 1, "old of");
        if is_old {
            let behind = (end + 2..end + 6).any(|place| is_subject(place) && !sight.is_parted(place));
            let before = start.saturating_sub(4)..start;
            return behind || before.into_iter().any(is_subject);
        }
        if amount.number.unit.is_some() || amount.number.text.len() > 3 {
            return false;
        }
        // `Lawal, 30, was`, `Lawal (30)`.
        let is_apart = sight.is_parted(start) && sight.is_parted(end);
        if is_apart && start > 0 && is_subject(start - 1) {
            return true;
        }
        let is_aged = start > 0 && sight.is(start - 1, "aged age turn turns turned");
        is_aged && (start.saturating_sub(6)..start).any(is_subject)
            || start > 1 && sight.is(start - 1, "is was") && is_subject(start - 2) && sight.is_parted(end)
    };
    sight.amounts.iter().any(tells)
}

/// Whether a number says how long, deep or heavy something is.
pub fn extends(fact: &Fact, sight: &Sight<'_>, extent: Extent) -> bool {
    let is_matter = |place: usize| {
        is_of(&fact.relation, sight.folded(place)) || fact.names.iter().any(|name| is_of(name, sight.folded(place)))
    };
    let tells = |amount: &Amount<'_>| {
        let is_unit = amount.number.unit.is_some_and(|unit| is_in(extent.units, unit));
        let (start, end) = (amount.tokens.start, amount.tokens.end);
        let says = (start.saturating_sub(4)..end + 4).any(|place| sight.is(place, extent.words));
        let is_of_it = sight.is(end, "of") || sight.is(end + 1, "of");
        let around = || start.saturating_sub(3)..end + 5;
        is_unit && (says || extent.is_plain && (is_of_it || around().any(&is_matter)) && around().any(&is_matter))
    };
    sight.amounts.iter().any(tells)
}

/// Whether a number with a unit is said of what is asked, or a word in its place.
pub fn amount(fact: &Fact, sight: &Sight<'_>) -> bool {
    const FREE: &str = "free nothing unlimited half third quarter twice double";
    let matter: Vec<usize> = (0..sight.tokens.len())
        .filter(|place| match fact.head.last() {
            Some(noun) => are_one_noun(&noun.folded, sight.folded(*place)),
            None => sight.tokens[*place].is_asked,
        })
        .collect();
    let is_near = |place: usize| matter.iter().any(|other| other.abs_diff(place) <= TO_MATTER);
    let is_counted = |amount: &Amount<'_>| {
        let unit = amount.number.unit.unwrap_or("");
        let is_time = is_in("second minute hour day week month year", unit);
        let is_known = !unit.is_empty() && !is_time;
        // `The population is 4,000`, `a deposit of 50`.
        let is_said = || {
            let before = amount.tokens.start.saturating_sub(3)..amount.tokens.start;
            before.into_iter().any(|place| matter.contains(&place)) && !is_year(amount)
        };
        is_known || is_said()
    };
    let is_amount = |amount: &Amount<'_>| is_counted(amount) && is_near(amount.tokens.start);
    let is_word = |place: &usize| sight.is(*place, FREE) && !sight.tokens[*place].is_asked && is_near(*place);
    sight.amounts.iter().any(is_amount) || fact.head.is_empty() && (0..sight.tokens.len()).any(|place| is_word(&place))
}

/// Whether a part of a whole is told.
pub fn share(sight: &Sight<'_>) -> bool {
    const PARTS: &str = "half third thirds quarter quarters fifth fifths tenth tenths";
    let is_percent = |amount: &Amount<'_>| amount.number.unit == Some("%");
    let is_part = |place: &usize| {
        let before = place.checked_sub(1);
        sight.is(*place, PARTS) && before.is_some_and(|before| sight.is(before, "one two three four a almost about nearly over"))
            || sight.is(*place, "half majority minority")
    };
    let is_in_so_many = |place: &usize| {
        let is_number = |at: usize| sight.amounts.iter().any(|amount| amount.tokens.contains(&at));
        sight.is(*place, "in out") && *place > 0 && (is_number(place - 1) || sight.is(place - 1, "one")) && is_number(place + 1)
    };
    let mut places = 0..sight.tokens.len();
    sight.amounts.iter().any(is_percent) || places.any(|place| is_part(&place) || is_in_so_many(&place))
}

