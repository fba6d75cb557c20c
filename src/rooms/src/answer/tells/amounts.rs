//! Numbers: of what is counted, of years of age, of what is measured, of money.

use std::ops::Range;

use super::{
    super::{
        asked::{
            extent::Extent,
            fact::{Fact, Kind, LIGHT},
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
/// Words that no noun follows which a number before them counts.
const BREAKS: &str = "in on at by to for from with and or after before was were is are has have had who which that \
    since when while as but than during";
const PEOPLE: &str = "people persons";

/// Numbers that count the head.
pub fn counts(fact: &Fact, sight: &Sight<'_>) -> Vec<Range<usize>> {
    let Some(noun) = fact.head.last() else {
        return Vec::new();
    };
    let is_noun = |place: usize| are_one_noun(&noun.folded, sight.folded(place));
    let relates = |place: usize| is_of(&fact.relation, sight.folded(place));
    // `The number of Chinese working there is about 5 million`.
    let number = (0..sight.tokens.len()).find(|place| {
        let is_counted = (place + 2..place + 5).any(is_noun) && sight.folded(place + 1) == "of";
        sight.is(*place, "number total") && is_counted
    });
    // `Several people, as many as 35, were shot`.
    let is_many = |amount: &Amount<'_>| {
        let start = amount.tokens.start;
        let is_limit = start > 1 && sight.is(start - 1, "as least most to") && sight.is(start - 2, "many few at up");
        is_limit && is_bare(sight, amount) && (start.saturating_sub(9)..start).any(is_noun)
    };
    let counts = |amount: &Amount<'_>| {
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
        if is_year(amount) || is_many(amount) {
            return !is_year(amount);
        }
        // `with 108 already dead`.
        let is_adverb = |place: &usize| sight.is(*place, LIGHT) || sight.folded(*place).ends_with("ly");
        let behind = (next..next + 3).find(|place| !is_adverb(place));
        if is_in(PEOPLE, &noun.folded) && behind.is_some_and(|place| !sight.is_parted(place) && relates(place)) {
            return true;
        }
        // `Hayden scored 131 before`.
        let before = amount.tokens.start.saturating_sub(2)..amount.tokens.start;
        is_bare(sight, amount) && amount.number.unit.is_none() && before.into_iter().any(relates)
            || number.is_some_and(|number| amount.tokens.start > number)
    };
    told(sight, counts)
}

/// The tokens of the numbers that tell.
fn told(sight: &Sight<'_>, tells: impl Fn(&Amount<'_>) -> bool) -> Vec<Range<usize>> {
    let amounts = sight.amounts.iter().filter(|amount| tells(amount));
    amounts.map(|amount| amount.tokens.clone()).collect()
}

fn is_of(words: &[Word], folded: &str) -> bool {
    words.iter().any(|word| are_same(&word.folded, folded))
}

/// Whether no noun follows that a number would count.
fn is_bare(sight: &Sight<'_>, amount: &Amount<'_>) -> bool {
    let next = amount.tokens.end;
    !is_year(amount) && (sight.is_parted(next) || sight.is(next, BREAKS))
}

fn is_year(amount: &Amount<'_>) -> bool {
    let text = &amount.number.text;
    text.len() == 4 && amount.number.unit.is_none() && (text.starts_with("19") || text.starts_with("20"))
}

/// Somebody's years, where they stand beside their name or what they are.
pub fn age(fact: &Fact, sight: &Sight<'_>) -> Vec<Range<usize>> {
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
        let is_turned = start > 0 && sight.is(start - 1, "turn turns turned") && (0..start).any(is_subject);
        // `Hawthorne died from a heart attack aged 72`: nobody else is named in between.
        let is_aged = start > 0 && sight.is(start - 1, "aged age");
        let of_another = sight
            .names
            .iter()
            .rfind(|name| name.end <= start)
            .map_or(0, |name| name.end);
        is_turned
            || is_aged && (of_another..start).any(is_subject)
            || start > 1 && sight.is(start - 1, "is was") && is_subject(start - 2) && sight.is_parted(end)
    };
    told(sight, tells)
}

/// Numbers that say how long, deep or heavy something is.
pub fn extends(fact: &Fact, sight: &Sight<'_>, extent: Extent) -> Vec<Range<usize>> {
    let is_matter = |place: usize| {
        is_of(&fact.relation, sight.folded(place)) || fact.names.iter().any(|name| is_of(name, sight.folded(place)))
    };
    let tells = |amount: &Amount<'_>| {
        let is_unit = amount.number.unit.is_some_and(|unit| is_in(extent.units, unit));
        let (start, end) = (amount.tokens.start, amount.tokens.end);
        let says = (start.saturating_sub(4)..end + 4).any(|place| sight.is(place, extent.words));
        let mut around = start.saturating_sub(3)..end + 5;
        is_unit && (says || extent.is_plain && around.any(is_matter))
    };
    told(sight, tells)
}

/// Sums of money, or numbers with another unit, that are said of what is asked, and words in their place.
pub fn amount(fact: &Fact, sight: &Sight<'_>) -> Vec<Range<usize>> {
    const MONEY: &str = "eur usd gbp pln chf";
    const LASTING: &str = "leave time notice holiday holidays vacation overtime sleep work experience rest";
    let is_money = fact.kind == Kind::Money;
    // `How much leave is there?`
    let lasts = fact.relation.iter().any(|word| is_in(LASTING, &word.folded));
    let matter: Vec<usize> = (0..sight.tokens.len())
        .filter(|place| match fact.head.last() {
            Some(noun) => are_one_noun(&noun.folded, sight.folded(*place)),
            None => sight.tokens[*place].is_asked,
        })
        .collect();
    let is_near = |place: usize| matter.iter().any(|other| other.abs_diff(place) <= TO_MATTER);
    let is_amount = |amount: &Amount<'_>| {
        let unit = amount.number.unit.unwrap_or("");
        let is_known = match is_money {
            true => is_in(MONEY, unit) || unit == "%" && !fact.head.is_empty(),
            false => !unit.is_empty() && (lasts || !is_in("second minute hour day week month year", unit)),
        };
        // `The population is 4,000`, `a bonus of 50`.
        let start = amount.tokens.start;
        let mut before = start.saturating_sub(3)..start;
        let is_led = start > 0 && sight.is(start - 1, "is was are were of costs cost at to about");
        let is_said = is_led && is_bare(sight, amount) && before.any(|place| matter.contains(&place));
        (is_known || is_said && unit.is_empty()) && is_near(amount.tokens.start)
    };
    // `By how much?` is answered by a third as well.
    let words = match fact.words.first() {
        Some(first) if first.folded == "by" => "half third quarter double twice",
        _ => "free nothing unlimited",
    };
    let is_word = |place: &usize| sight.is(*place, words) && !sight.tokens[*place].is_asked && is_near(*place);
    let mut found = told(sight, is_amount);
    if fact.head.is_empty() {
        found.extend((0..sight.tokens.len()).filter(is_word).map(|place| place..place + 1));
    }
    found
}

/// Parts of a whole.
pub fn share(sight: &Sight<'_>) -> Vec<Range<usize>> {
    const PARTS: &str = "half third thirds quarter quarters fifth fifths tenth tenths";
    const BEFORE: &str = "one two three four a almost about nearly over";
    let is_number = |at: usize| sight.amounts.iter().any(|amount| amount.tokens.contains(&at));
    let is_part = |place: usize| {
        let before = place.checked_sub(1);
        let is_fraction = sight.is(place, PARTS) && before.is_some_and(|before| sight.is(before, BEFORE));
        is_fraction || sight.is(place, "half majority minority")
    };
    // `One in five`.
    let is_in_so_many = |place: usize| {
        let before = place.checked_sub(1);
        let is_counted = before.is_some_and(|before| is_number(before) || sight.is(before, "one"));
        sight.is(place, "in out") && is_counted && is_number(place + 1)
    };
    let mut found = told(sight, |amount| amount.number.unit == Some("%"));
    for place in 0..sight.tokens.len() {
        if is_part(place) {
            found.push(place..place + 1);
        } else if is_in_so_many(place) {
            found.push(place - 1..place + 2);
        }
    }
    found
}
