//! Names of people: who is something, who does something, how somebody is called, and what somebody is.

use std::ops::Range;

use super::{
    super::{
        asked::{fact::Fact, fact::is_content, is_in},
        text::words::Word,
    },
    forms::{are_one_noun, are_same},
    sight::Sight,
};

/// Words before a post that make it another one.
const OTHERS: &str = "deputy vice former acting assistant ex interim retired late onetime then junior senior shadow";
/// Words that may stand between a post and a name.
const BETWEEN: &str = "of the for at a an is was as s mr mrs ms dr by named called to in and her his their its";
const SAYS: &str = "say says said tell tells told believes believe announced announces claims claimed";
const ARTICLES: &str = "the a an its his her their is was are were as becomes became remains";
/// From a verb to a name that may be its subject, in words.
const TO_VERB: usize = 12;
/// Others who do something, in words that do not end as those for people do.
const ACTORS: &str = "student students guest guests resident residents pupil pupils patient patients parent parents \
    child children staff team company bank firm department ministry council police court government board agency \
    authority union army hospital museum";
const POSTS: &str = "president minister secretary director executive chairman chairwoman chief head leader senator \
    mayor premier governor judge doctor professor manager spokesman spokeswoman captain officer editor author coach ambassador \
    commissioner administrator treasurer prosecutor lawyer attorney general king queen prince princess pope bishop \
    archbishop reverend inspector sergeant superintendent detective constable principal teacher scientist researcher \
    analyst economist farmer businessman billionaire umpire striker batsman bowler player actor actress singer writer \
    poet journalist engineer nurse pilot soldier founder owner member activist expert official representative boss";

/// Names of who is the head, or of how it is called.
pub fn named(fact: &Fact, sight: &Sight<'_>) -> Vec<Range<usize>> {
    let posts = posts(fact, sight).into_iter();
    let mut found: Vec<_> = posts.flat_map(|post| beside(fact, sight, &post)).collect();
    found.extend(done_by(fact, sight));
    found
}

/// `Skippered by Geoff Catt` says who the skipper is.
fn done_by(fact: &Fact, sight: &Sight<'_>) -> Vec<Range<usize>> {
    let Some(noun) = fact.head.last() else {
        return Vec::new();
    };
    let is_done = |place: &usize| are_same(&noun.folded, sight.folded(*place)) && sight.folded(place + 1) == "by";
    let done = (0..sight.tokens.len()).filter(is_done);
    let names = done.filter_map(|place| {
        let mut names = sight.names.iter();
        names.find(|name| name.start > place && name.start <= place + 5)
    });
    names.cloned().collect()
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
    // What describes it has to stand at the noun, but for names, which may stand around.
    let own = |word: &&Word| !word.is_capitalized() && is_content(word);
    let is_described = |post: &Range<usize>| {
        let mut own = described.iter().filter(own);
        own.all(|word| post.clone().any(|place| are_same(&word.folded, sight.folded(place))))
    };
    let places = (0..sight.tokens.len()).filter(is_noun);
    let posts = places.map(|place| start(place)..place + 1);
    posts.filter(is_described).collect()
}

fn is_of(words: &[Word], folded: &str) -> bool {
    words.iter().any(|word| are_same(&word.folded, folded))
}

/// New names beside a post, unless something says that it is another post, or one of something else.
fn beside(fact: &Fact, sight: &Sight<'_>, post: &Range<usize>) -> Vec<Range<usize>> {
    let is_asked = |place: usize| sight.tokens.get(place).is_some_and(|token| token.is_asked);
    let is_others = |place: usize| sight.is_capital(place) && !is_asked(place);
    let before = post.start.checked_sub(1).filter(|_| !sight.is_parted(post.start));
    if before.is_some_and(|before| sight.is(before, OTHERS) && !is_asked(before)) {
        return Vec::new();
    }
    // `New York Mayor`, where another city's was asked for.
    let of = post.end + 1 + usize::from(sight.is(post.end + 1, "the"));
    let is_of_another = sight.is(post.end, "of at for") && is_others(of);
    if !fact.names.is_empty() && (before.is_some_and(is_others) || is_of_another) {
        return Vec::new();
    }
    let behind = sight.names.iter().find(|name| name.start >= post.end);
    let behind = behind.filter(|name| {
        let mut between = post.end..name.start;
        name.start - post.end <= 10 && between.all(|place| is_asked(place) || sight.is(place, BETWEEN))
    });
    let ahead = sight.names.iter().rev().find(|name| name.end <= post.start);
    let ahead = ahead.filter(|name| {
        let mut between = name.end..post.start;
        let is_led = sight.is_parted(name.end) || sight.is(name.end, ARTICLES);
        let is_genitive = sight.tokens[name.end - 1].word.text.ends_with("'s");
        let may_stand =
            |place: usize| is_asked(place) || sight.is(place, ARTICLES) || !sight.is_parted(place) || place == name.end;
        !is_genitive && is_led && name.end < post.start && post.start - name.end <= 5 && between.all(may_stand)
    });
    behind.into_iter().chain(ahead).cloned().collect()
}

/// Names of who does what is asked, or to whom it is done, and words for people.
pub fn agent(fact: &Fact, sight: &Sight<'_>) -> Vec<Range<usize>> {
    let Some(verb) = fact.relation.first() else {
        return Vec::new();
    };
    let clause = |place: usize| sight.tokens[place].clause;
    // `US-led` says nothing of who leads.
    let verbs = sight.places(verb).into_iter();
    let verbs: Vec<usize> = verbs.filter(|verb| sight.tokens[*verb].gap != "-").collect();
    // `The president says somebody founded it`: the president says so, and founded nothing.
    let says = |place: usize| sight.is(place, SAYS) && !is_of(std::slice::from_ref(verb), sight.folded(place));
    let is_subject = |name: &Range<usize>, verb: usize| {
        // `Thabo Mbeki, speaking there, said`: what is put between ends in a comma as well.
        let is_ahead = name.end <= verb && sight.is_parted(name.end) && clause(verb) - clause(name.start) <= 2;
        // `Founded in Kashmir`: a place founds nothing.
        let is_place = name.start > 0 && sight.is(name.start - 1, "in at near on into");
        let is_near = name.start.abs_diff(verb) <= TO_VERB && (clause(name.start) == clause(verb) || is_ahead);
        is_near && !is_place && !(name.end..verb).any(says)
    };
    let is_person = |place: &usize| {
        let folded = sight.folded(*place);
        sight.is_new(*place) && (is_in(POSTS, folded) || is_in(ACTORS, folded) || is_person(folded))
    };
    let mut found: Vec<Range<usize>> = whom(fact, sight).into_iter().collect();
    for verb in verbs {
        let names = sight.names.iter().filter(|name| is_subject(name, verb));
        found.extend(names.cloned());
        let people = (verb.saturating_sub(TO_VERB)..sight.tokens.len().min(verb + 7)).filter(is_person);
        let people = people.filter(|place| clause(*place) == clause(verb) && !(*place..verb).any(says));
        found.extend(people.map(|place| place..place + 1));
    }
    found
}

/// `For whom is it waived?`: what follows the preposition behind a word of the question.
fn whom(fact: &Fact, sight: &Sight<'_>) -> Option<Range<usize>> {
    let [preposition, whom, ..] = &fact.words[..] else {
        return None;
    };
    let is_asked = |place: usize| sight.tokens[place].is_asked;
    let is_led = |place: &usize| {
        let before = place.saturating_sub(2)..*place;
        sight.folded(*place) == preposition.folded && before.into_iter().any(is_asked)
    };
    let mut places = (0..sight.tokens.len()).filter(|place| whom.folded == "whom" && is_led(place));
    let has_new = |place: &usize| (place + 1..place + 4).any(|other| sight.is_new(other));
    places.find(has_new).map(|place| place + 1..place + 4)
}

/// Whether a word in lower case is one for a person, by how it ends.
fn is_person(word: &str) -> bool {
    const NONE: &str = "other another over under after never ever however whether either rather number order water power paper \
        matter letter computer winter summer september october november december further later earlier offer border \
        barrier danger disaster labor labour minor major factor sector reactor";
    let singular = word.strip_suffix('s').unwrap_or(word);
    let endings = ["er", "or", "man", "men", "ist", "woman", "women", "son", "ee"];
    singular.len() >= 5 && endings.iter().any(|ending| singular.ends_with(ending)) && !is_in(NONE, singular)
}

/// What somebody is, before the name or behind it.
pub fn post(fact: &Fact, sight: &Sight<'_>) -> Vec<Range<usize>> {
    let Some(name) = fact.names.first() else {
        return Vec::new();
    };
    let is_name = |place: &usize| is_of(name, sight.folded(*place)) && sight.is_capital(*place);
    let is_post = |place: &usize| sight.is(*place, POSTS) && sight.is_new(*place);
    let mut found = Vec::new();
    for place in (0..sight.tokens.len()).filter(is_name) {
        let before = place.checked_sub(1).filter(|_| !sight.is_parted(place));
        let next = place + 1;
        let is_led = sight.is_parted(next) || sight.is(next, "is was");
        let behind = (next..next + 8).take_while(|other| is_led && (*other == next || !sight.is_parted(*other)));
        let places = before.into_iter().chain(behind).filter(is_post);
        found.extend(places.map(|place| place..place + 1));
    }
    found
}
