//! Which of several, what something is, and what somebody does.

use std::ops::Range;

use super::{
    super::asked::{fact::Fact, is_in},
    forms::{are_one_noun, are_same},
    places::named,
    sight::Sight,
};

/// What a name behind a preposition is one of.
const PLACES: &str = "town city country state village suburb region province island continent county nation";
const LOCATIVES: &str = "in at near off outside inside on around into across to from of";
/// From a noun to what is new beside it.
const BESIDE: usize = 5;
/// Least share of what a question says that the sentence has to have, where nothing else is known of the answer.
const LEAST: f64 = 0.75;

/// Which of what the head says.
pub fn which(fact: &Fact, sight: &Sight<'_>) -> Vec<Range<usize>> {
    let Some(noun) = fact.head.last() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for place in (0..sight.tokens.len()).filter(|place| are_one_noun(&noun.folded, sight.folded(*place))) {
        let is_near =
            |name: &&Range<usize>| name.start.abs_diff(place) <= BESIDE || (name.end - 1).abs_diff(place) <= BESIDE;
        found.extend(sight.names.iter().filter(is_near).cloned());
        // `An arms embargo`; `the bacteria, pseudomonas`.
        let before = place.checked_sub(1).filter(|_| !sight.is_parted(place));
        let behind = Some(place + 1).filter(|behind| sight.is_parted(*behind));
        let described = before.into_iter().chain(behind).filter(|other| sight.is_new(*other));
        found.extend(described.map(|other| other..other + 1));
    }
    if found.is_empty() && is_in(PLACES, &noun.folded) {
        let places = (0..sight.tokens.len()).filter(|place| sight.is(*place, LOCATIVES));
        found.extend(places.filter_map(|place| named(sight, place)));
    }
    found.extend(led(fact, sight));
    if found.is_empty() {
        found.extend(subjects(fact, sight));
    }
    found
}

/// Names of what does all that is said, whatever it may be: `Nicorette is in second place behind Assa Abloy`.
fn subjects(fact: &Fact, sight: &Sight<'_>) -> Vec<Range<usize>> {
    const PREPOSITIONS: &str = "of in on at to for from with behind near than as";
    let mut said = fact.relation.iter().chain(fact.names.iter().flatten());
    let verb = fact
        .relation
        .iter()
        .filter_map(|word| sight.places(word).first().copied())
        .min();
    let Some(verb) = verb.filter(|_| said.all(|word| sight.has(word))) else {
        return Vec::new();
    };
    let is_subject = |name: &&Range<usize>| {
        let before = (name.start.saturating_sub(3)..name.start).find(|place| sight.is(*place, PREPOSITIONS));
        // `Middle Eastern women` do nothing by that.
        let is_verb = sight.is(name.end, "is was are were has have had will") || sight.folded(name.end).ends_with("ed");
        let is_near = is_verb && name.end <= verb && verb - name.end <= 3;
        is_near && before.is_none() && sight.tokens[name.start].clause == sight.tokens[verb].clause
    };
    sight.names.iter().filter(is_subject).cloned().collect()
}

/// `What was she diagnosed with?`: what follows the verb and its preposition.
fn led(fact: &Fact, sight: &Sight<'_>) -> Option<Range<usize>> {
    let [.., verb, preposition] = &fact.words[..] else {
        return None;
    };
    let is_preposition = is_in("with to for against of on at from in", &preposition.folded);
    let is_it = |place: &usize| {
        let is_verb = are_same(&verb.folded, sight.folded(*place));
        is_verb && sight.folded(place + 1) == preposition.folded
    };
    let mut verbs = (0..sight.tokens.len()).filter(|place| is_preposition && is_it(place));
    let has_new = |place: &usize| (place + 2..place + 6).any(|other| sight.is_new(other));
    verbs.find(has_new).map(|place| place + 2..place + 6)
}

/// What the head of something is: whatever is said behind it.
pub fn attribute(fact: &Fact, sight: &Sight<'_>) -> Vec<Range<usize>> {
    let Some(noun) = fact.head.last() else {
        return Vec::new();
    };
    let is_number = |place: usize| sight.amounts.iter().any(|amount| amount.tokens.contains(&place));
    let is_more = |place: &usize| sight.is_new(*place) || is_number(*place);
    let nouns = (0..sight.tokens.len()).filter(|place| are_same(&noun.folded, sight.folded(*place)));
    let said = nouns.map(|place| place + 1..sight.tokens.len().min(place + 12));
    said.filter(|behind| behind.clone().any(|place| is_more(&place)))
        .collect()
}

/// What somebody does: the sentence, if it says most of the question and something more.
pub fn deed(fact: &Fact, sight: &Sight<'_>) -> Vec<Range<usize>> {
    let places: Vec<usize> = fact
        .relation
        .iter()
        .filter_map(|word| sight.places(word).first().copied())
        .collect();
    let has_most = places.len() as f64 >= LEAST * fact.relation.len() as f64;
    let Some(first) = places.into_iter().min().filter(|_| has_most) else {
        return Vec::new();
    };
    let has_more = (first..sight.tokens.len()).any(|place| sight.is_new(place));
    has_more.then_some(0..sight.tokens.len()).into_iter().collect()
}

/// What letters are short for.
pub fn stands_for(fact: &Fact, sight: &Sight<'_>) -> Vec<Range<usize>> {
    let Some(letters) = fact.names.first().and_then(|name| name.first()) else {
        return Vec::new();
    };
    let count = letters.text.chars().count();
    let initials = |from: usize| -> String {
        let words = sight.tokens.iter().skip(from).map(|token| &token.word.folded);
        words.take(count).filter_map(|word| word.chars().next()).collect()
    };
    if !sight.has(letters) {
        return Vec::new();
    }
    let spelled = (0..sight.tokens.len()).filter(|from| initials(*from) == letters.folded);
    let says = (0..sight.tokens.len())
        .filter(|place| sight.is(*place, "stands stand short") && sight.folded(place + 1) == "for");
    let spelled = spelled.map(|from| from..from + count);
    spelled.chain(says.map(|place| place + 2..place + 2 + count)).collect()
}
