//! Names of people: who is something, who does something, how somebody is called, and what somebody is.

use super::{
    super::{asked::fact::Fact, text::words::Word},
    forms::{are_one_noun, are_same},
    sight::Sight,
};
use std::ops::Range;

/// Words before a post that make it another one.
const OTHERS: &str = "deputy vice former acting assistant ex interim retired late onetime then junior senior shadow";
/// Words that may stand between a post and a name.
const BETWEEN: &str = "of the for at a an is was as s mr mrs ms dr by named called to in and her his their its";
const ARTICLES: &str = "the a an its his her their is was are were as becomes became remains";
/// Words from the name of somebody to what they do, within which the name may be the subject.
const TO_VERB: usize = 12;
const POSTS: &str = "president minister secretary director executive chairman chairwoman chief head leader senator mayor \
    premier governor judge doctor professor manager spokesman spokeswoman captain officer editor author coach ambassador \
    commissioner administrator treasurer prosecutor lawyer attorney general king queen prince princess pope bishop \
    archbishop reverend inspector sergeant superintendent detective constable principal teacher scientist researcher \
    analyst economist farmer businessman billionaire umpire striker batsman bowler player actor actress singer writer \
    poet journalist engineer nurse pilot soldier founder owner member activist expert official representative boss";

/// Whether a sentence names who is the head.
pub fn role(fact: &Fact, sight: &Sight<'_>) -> bool {
    posts(fact, sight).into_iter().any(|post| beside(fact, sight, &post))
}

/// Where the head stands: its noun with what describes it.
fn posts(fact: &Fact, sight: &Sight<'_>) -> Vec<Range<usize>> {
    let Some((noun, described)) = fact.head.split_last() else {
        return Vec::new();
    };
    let is_noun = |place: &usize| are_one_noun(&noun.folded, sight.folded(*place));
    let start = |place: usize| {
        let mut start = place;
        while start > 0 && is_of(described, sight.folded(start - 1)) && !sight.is_parted(start) {
            start -= 1;
        }
        start
    };
    let is_described = |post: &Range<usize>| {
        // What is not a name has to stand at the noun; names may stand around.
        let own = described.iter().filter(|word| !word.is_capitalized());
        let mut own = own.filter(|word| super::is_content(word));
        own.all(|word| post.clone().any(|place| are_same(&word.folded, sight.folded(place))))
    };
    let places = (0..sight.tokens.len()).filter(is_noun);
    places
        .map(|place| start(place)..place + 1)
        .filter(is_described)
        .collect()
}

fn is_of(words: &[Word], folded: &str) -> bool {
    words.iter().any(|word| are_same(&word.folded, folded))
}

/// Whether a name that is new stands beside a post, and nothing says that it is another post, or one of something else.
fn beside(fact: &Fact, sight: &Sight<'_>, post: &Range<usize>) -> bool {
    let is_asked = |place: usize| sight.tokens.get(place).is_some_and(|token| token.is_asked);
    let before = post.start.checked_sub(1);
    if before.is_some_and(|before| sight.is(before, OTHERS) && !is_asked(before)) {
        return false;
    }
    let is_about_something = !fact.names.is_empty();
    // `New York Mayor`, where another city's was asked for.
    let is_anothers = before.is_some_and(|before| sight.is_capital(before) && !is_asked(before) && !sight.is_parted(post.start));
    let of = post.end + 1 + usize::from(sight.is(post.end + 1, "the"));
    let is_of_another = sight.is(post.end, "of at for") && sight.is_capital(of) && !is_asked(of);
    if is_about_something && (is_anothers || is_of_another) {
        return false;
    }
    let behind = sight.names.iter().find(|name| name.start >= post.end);
    let is_behind = behind.is_some_and(|name| {
        let mut between = post.end..name.start;
        name.start - post.end <= 10 && between.all(|place| is_asked(place) || sight.is(place, BETWEEN))
    });
    let ahead = sight.names.iter().rev().find(|name| name.end <= post.start);
    let is_ahead = ahead.is_some_and(|name| {
        let mut between = name.end..post.start;
        let is_led = sight.is_parted(name.end) || sight.is(name.end, ARTICLES);
        let is_genitive = sight.tokens[name.end - 1].word.text.ends_with("'s");
        let may_stand = |place: usize| is_asked(place) || sight.is(place, ARTICLES) || !sight.is_parted(place) || place == name.end;
        !is_genitive && is_led && name.end < post.start && post.start - name.end <= 5 && between.all(may_stand)
    });
    is_behind || is_ahead
}

/// Whether a sentence names who does what is asked, or to whom it is done.
pub fn agent(fact: &Fact, sight: &Sight<'_>) -> bool {
    let Some(verb) = fact.relation.first() else { return false };
    let verbs = sight.places(verb);
    let is_person = |place: &usize| {
        let folded = sight.folded(*place);
        sight.is_new(*place) && (super::is_in(POSTS, folded) || is_person(folded))
    };
    verbs.iter().any(|verb| {
        let is_near = |place: usize| place.abs_diff(*verb) <= TO_VERB;
        let named = sight.names.iter().any(|name| is_near(name.start));
        // `retaining the most combative ministers`, `surrender to the elders`.
        let mut people = (verb + 1..sight.tokens.len().min(verb + 7)).take_while(|place| !sight.is_parted(*place));
        named || people.any(|place| is_person(&place))
    })
}

fn is_person(word: &str) -> bool {
    const NONE: &str = "other another over under after never ever however whether either rather number order water power paper \
        matter letter computer winter summer september october november december further later earlier offer border";
    let singular = word.strip_suffix('s').unwrap_or(word);
    let endings = ["er", "or", "man", "men", "ist", "woman", "women", "son"];
    singular.len() >= 5 && endings.iter().any(|ending| singular.ends_with(ending)) && !super::is_in(NONE, singular)
}

/// Whether a sentence says how the head is called.
pub fn called(fact: &Fact, sight: &Sight<'_>) -> bool {
    posts(fact, sight).into_iter().any(|post| beside(fact, sight, &post))
}

/// Whether a sentence says what somebody is: before the name, or behind it.
pub fn post(fact: &Fact, sight: &Sight<'_>) -> bool {
    let Some(name) = fact.names.first() else { return false };
    let is_name = |place: usize| is_of(name, sight.folded(place)) && sight.is_capital(place);
    (0..sight.tokens.len()).filter(|place| is_name(*place)).any(|place| {
        let ahead = place.checked_sub(1).is_some_and(|before| {
            !sight.is_parted(place) && sight.is(before, POSTS) && sight.is_new(before)
        });
        let next = place + 1;
        let is_led = sight.is_parted(next) || sight.is(next, "is was");
        let mut behind = (next..next + 8).take_while(|other| *other == next || !sight.is_parted(*other));
        ahead || is_led && behind.any(|other| sight.is(other, POSTS) && sight.is_new(other))
    })
}
