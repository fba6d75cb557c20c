//! Which of several, what something is, and what somebody does.

use super::{
    super::asked::fact::Fact,
    forms::{are_one_noun, are_same},
    places::leads_to_name,
    sight::Sight,
};

const PLACES: &str = "town city country state village river suburb street region province island lake building school \
    hospital district continent county port airport stadium park place nation venue area location mountain sea ocean";
const LOCATIVES: &str = "in at near off outside inside on around into across to from of";
/// From a noun to what is new beside it.
const BESIDE: usize = 5;
/// Least share of what a question says that the sentence has to have, where nothing else is known of the answer.
const LEAST: f64 = 0.75;

/// Whether a sentence says which of what the head says.
pub fn which(fact: &Fact, sight: &Sight<'_>) -> bool {
    let Some(noun) = fact.head.last() else { return false };
    let nouns = || (0..sight.tokens.len()).filter(|place| are_one_noun(&noun.folded, sight.folded(*place)));
    let is_named = |place: usize| {
        let near = sight.names.iter();
        near.into_iter()
            .any(|name| name.start.abs_diff(place) <= BESIDE || (name.end - 1).abs_diff(place) <= BESIDE)
    };
    let is_described = |place: usize| {
        let before = place.checked_sub(1).is_some_and(|before| !sight.is_parted(place) && sight.is_new(before));
        let apart = sight.is_parted(place + 1) && sight.is_new(place + 1);
        before || apart
    };
    if nouns().any(|place| is_named(place) || is_described(place)) {
        return true;
    }
    if super::is_in(PLACES, &noun.folded) {
        let mut places = (0..sight.tokens.len()).filter(|place| sight.is(*place, LOCATIVES));
        return places.any(|place| leads_to_name(sight, place));
    }
    is_led(fact, sight)
}

/// `What was she diagnosed with?`: what follows the verb and its preposition.
fn is_led(fact: &Fact, sight: &Sight<'_>) -> bool {
    let [.., verb, preposition] = &fact.words[..] else {
        return false;
    };
    let is_preposition = super::is_in("with to for against of on at from in", &preposition.folded);
    let is_it = |place: &usize| {
        let is_verb = are_same(&verb.folded, sight.folded(*place));
        is_verb && sight.folded(place + 1) == preposition.folded
    };
    let mut verbs = (0..sight.tokens.len()).filter(is_it);
    is_preposition && verbs.any(|place| (place + 2..place + 6).any(|other| sight.is_new(other)))
}

/// Whether a sentence says what the head of something is.
pub fn attribute(fact: &Fact, sight: &Sight<'_>) -> bool {
    let Some(noun) = fact.head.last() else { return false };
    let mut nouns = (0..sight.tokens.len()).filter(|place| are_same(&noun.folded, sight.folded(*place)));
    nouns.any(|place| {
        let behind = place + 1..sight.tokens.len().min(place + 12);
        let mut behind = behind.filter(|other| sight.is_new(*other) || is_number(sight, *other));
        behind.next().is_some()
    })
}

fn is_number(sight: &Sight<'_>, place: usize) -> bool {
    sight.amounts.iter().any(|amount| amount.tokens.contains(&place))
}

/// Whether a sentence says what somebody does: most of the question, and something more.
pub fn deed(fact: &Fact, sight: &Sight<'_>) -> bool {
    let there = fact.relation.iter().filter(|word| sight.has(word)).count();
    let has_most = there as f64 >= LEAST * fact.relation.len() as f64;
    let last = fact.relation.iter().filter_map(|word| sight.places(word).into_iter().min());
    let first = last.min().unwrap_or(0);
    has_most && !fact.relation.is_empty() && (first..sight.tokens.len()).any(|place| sight.is_new(place))
}

/// Whether a sentence says what letters are short for.
pub fn stands_for(fact: &Fact, sight: &Sight<'_>) -> bool {
    let Some(letters) = fact.names.first().and_then(|name| name.first()) else {
        return false;
    };
    let initials = |from: usize| -> String {
        let words = sight.tokens.iter().skip(from).map(|token| &token.word.text);
        let letters = words.take(letters.text.len()).filter_map(|word| word.chars().next());
        letters.collect::<String>().to_lowercase()
    };
    sight.places(letters).into_iter().any(|place| {
        let says = (place + 1..place + 5).any(|other| sight.is(other, "stands stand short"));
        let is_spelled = (0..sight.tokens.len()).any(|from| from != place && initials(from) == letters.folded);
        says || is_spelled
    })
}
