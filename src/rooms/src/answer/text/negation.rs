//! What a text denies.

use super::{
    language,
    words::{Word, are_alike},
};

/// Words that deny what follows, or in German often what stands before.
const DENIALS: &str = "not no never without cannot neither nor none nobody nothing lacks excluding except nicht kein \
    keine keinen keinem keiner keines nie niemals ohne weder außer nie nigdy bez żaden żadna żadnych poza ne jamais \
    aucun aucune ni sauf sin nunca ningún ninguna ningunos excepto tampoco";
/// How many telling words a denial reaches.
const REACH: usize = 4;
/// Words of opposite meaning. That one of them is in a sentence and only the other in its source is a contradiction.
const OPPOSITES: &[(&str, &str)] = &[
    (
        "allowed permitted may erlaubt dozwolone dozwolony",
        "forbidden prohibited banned verboten zabronione zabroniony",
    ),
    ("required mandatory compulsory obligatory", "optional voluntary"),
    (
        "increase increased increases rise rose grew higher wzrosły wzrosła wzrósł gestiegen",
        "decrease decreased decreases fall fell dropped declined lower spadły spadła spadł gesunken",
    ),
    ("before vor przed", "after nach po"),
    ("minimum least mindestens", "maximum most höchstens"),
    ("open opens opened", "closed closes close"),
    (
        "include included includes including",
        "exclude excluded excludes excluding",
    ),
    ("accept accepted accepts", "reject rejected rejects refused declined"),
    (
        "free kostenlos bezpłatny bezpłatne",
        "paid charged kostenpflichtig płatny płatne",
    ),
    ("always", "never"),
    ("enabled enable enables", "disabled disable disables"),
    ("first", "last"),
    ("full", "empty"),
    ("start starts started begin begins", "end ends ended"),
    ("internal intern", "external extern"),
    ("paid", "unpaid"),
    ("valid gültig", "invalid expired ungültig"),
    ("success succeeded successful", "failure failed unsuccessful"),
    ("all every", "none"),
    ("longer", "shorter"),
    ("above over exceeding", "below under"),
];

/// Words that make a limit of a denial before them: `no later than`, `nicht nur`, `nie więcej niż`.
const LIMITS: &str = "later more less fewer longer shorter earlier higher lower only just necessarily over exceed \
    exceeding nur mehr später länger höher weniger früher tylko więcej mniej później dłużej wcześniej wyżej plus \
    moins tard seulement más menos tarde solo sólo";

/// Whether a word in lower case denies.
pub fn is_denial(word: &str) -> bool {
    word.ends_with("n't") || DENIALS.split_ascii_whitespace().any(|denial| denial == word)
}

/// The telling words that a clause denies: those behind a denial, and for German those before one that ends the clause.
fn denied<'a>(clause: &[&'a Word]) -> Vec<&'a Word> {
    let mut found = Vec::new();
    for (place, _) in clause.iter().enumerate().filter(|(_, word)| word.is_denial) {
        // Behind a verb, as in `must not be longer`, it may be one word further.
        let next = clause[place + 1..].iter().take(2);
        let is_limit = |word: &&&Word| LIMITS.split_ascii_whitespace().any(|limit| limit == word.folded);
        if next.into_iter().any(|word| is_limit(&word)) {
            continue;
        }
        let behind = clause[place + 1..].iter().filter(|word| word.is_telling);
        let behind: Vec<_> = behind.take(REACH).copied().collect();
        match behind.is_empty() {
            false => found.extend(behind),
            true => {
                let before = clause[..place].iter().rev().filter(|word| word.is_telling);
                found.extend(before.take(REACH).copied());
            }
        }
    }
    found
}

/// A word of `sentence` that the source says the opposite of: what one of them denies and the other one says, or a word
/// of opposite meaning. Both are given as clauses of words.
pub fn contradiction(sentence: &[Vec<&Word>], source: &[Vec<&Word>]) -> Option<String> {
    sentence.iter().find_map(|clause| {
        let consulted = consulted(clause, source);
        denial(clause, &consulted).or_else(|| opposite(clause, consulted.first()?))
    })
}

/// The clauses of a source that a clause is about: the one that has most of its words, and those that have the others.
fn consulted<'s, 'w>(clause: &[&Word], source: &'s [Vec<&'w Word>]) -> Vec<&'s [&'w Word]> {
    let mut wanted: Vec<&Word> = clause.iter().filter(|word| word.is_telling).copied().collect();
    let mut found = Vec::new();
    loop {
        let count = |other: &&Vec<&Word>| wanted.iter().filter(|word| has(other, word)).count();
        // Of equals the first one: the later ones of `max` would win.
        let best = source.iter().map(|other| (count(&other), other));
        let best = best.reduce(|best, other| if other.0 > best.0 { other } else { best });
        let Some((1.., best)) = best else {
            return found;
        };
        found.push(best.as_slice());
        wanted.retain(|word| !has(best, word));
    }
}

fn has(words: &[&Word], word: &Word) -> bool {
    words.iter().any(|other| are_alike(&other.folded, &word.folded))
}

fn denial(clause: &[&Word], consulted: &[&[&Word]]) -> Option<String> {
    let own = denied(clause);
    let theirs: Vec<&Word> = consulted.iter().flat_map(|clause| denied(clause)).collect();
    let turned = match (own.is_empty(), theirs.is_empty()) {
        // Both deny, or none does.
        (true, true) | (false, false) => None,
        (false, true) => own.iter().find(|word| consulted.iter().any(|clause| has(clause, word))),
        (true, false) => theirs.iter().find(|word| has(clause, word)),
    };
    turned.map(|word| word.text.clone())
}

fn opposite(clause: &[&Word], source: &[&Word]) -> Option<String> {
    let is_one = |word: &Word, side: &str| side.split_ascii_whitespace().any(|known| known == word.folded);
    let any = |words: &[&Word], side: &str| words.iter().any(|word| is_one(word, side));
    let is_there = |side: &str| any(source, side);
    // `not allowed` and `prohibited` are the same, `not allowed` and `not prohibited` are beyond us.
    if !denied(clause).is_empty() || !denied(source).is_empty() {
        return None;
    }
    let both = |(one, other): &(&'static str, &'static str)| [(*one, *other), (*other, *one)];
    let turned = OPPOSITES
        .iter()
        .flat_map(both)
        .find(|(one, other)| any(clause, one) && !any(clause, other) && is_there(other) && !is_there(one));
    let word = turned.and_then(|(one, _)| clause.iter().find(|word| is_one(word, one)));
    word.map(|word| word.text.clone())
}

/// Words in clauses, parted where a clause ends: at commas and such, and before words that turn.
pub fn clauses<'a>(text: &str, words: &'a [Word]) -> Vec<Vec<&'a Word>> {
    let mut clauses: Vec<Vec<&Word>> = vec![Vec::new()];
    let mut end = 0;
    for word in words {
        let gap = text.get(end..word.at).unwrap_or_default();
        let is_turn = matches!(
            word.folded.as_str(),
            "but" | "unless" | "except" | "aber" | "sondern" | "ale" | "lecz" | "mais" | "pero"
        );
        let is_new = gap.contains([',', ';', ':', '.', '!', '?', '(', ')', '|', '\n', '–', '—']) || is_turn;
        if is_new && clauses.last().is_some_and(|clause| !clause.is_empty()) {
            clauses.push(Vec::new());
        }
        if let Some(clause) = clauses.last_mut() {
            clause.push(word);
        }
        end = word.at + word.text.len();
    }
    let is_telling = |clause: &Vec<&Word>| clause.iter().any(|word| !language::is_small(&word.folded));
    clauses.retain(is_telling);
    clauses
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{super::words::words, *};

    fn of(sentence: &str, source: &str) -> Option<String> {
        let (here, there) = (words(sentence), words(source));
        contradiction(&clauses(sentence, &here), &clauses(source, &there))
    }

    #[rstest]
    #[case("Dogs are not allowed.", "Dogs are allowed.")]
    #[case("Dogs are allowed.", "Dogs are not allowed in the office.")]
    #[case("Remote work isn't possible.", "Remote work is possible.")]
    #[case("Hunde sind erlaubt.", "Hunde sind nicht erlaubt.")]
    #[case("Wir zahlen Überstunden.", "Überstunden zahlen wir nicht.")]
    #[case("Psy są dozwolone.", "Psy nie są dozwolone.")]
    #[case("Smoking is permitted.", "Smoking is prohibited.")]
    #[case("Prices fell in May.", "Prices rose in May.")]
    #[case(
        "Leave is not approved by the line manager.",
        "Leave is approved by the line manager, not by the personnel department."
    )]
    #[case(
        "The warranty does not cover the motor and the seals.",
        "The warranty covers the motor and the seals, but not the filter."
    )]
    #[case("Report it before the meeting.", "Report it after the meeting.")]
    fn contradicts(#[case] sentence: &str, #[case] source: &str) {
        assert!(of(sentence, source).is_some());
    }

    #[rstest]
    #[case(
        "Refunds are paid within 14 days.",
        "Refunds are paid within 14 days, but not for sale items."
    )]
    #[case("Dogs are not allowed.", "Dogs are prohibited.")]
    #[case("Dogs are not allowed.", "No dogs are allowed.")]
    #[case("Overtime is paid.", "Overtime is paid; travel is not paid for.")]
    #[case("Come no later than 9.", "Come at 9 or earlier.")]
    #[case("Es darf nicht länger als 4 Seiten sein.", "Es darf 4 Seiten lang sein.")]
    #[case("Keine Überstunden werden bezahlt.", "Überstunden werden nicht bezahlt.")]
    fn agrees(#[case] sentence: &str, #[case] source: &str) {
        assert_eq!(of(sentence, source), None);
    }
}
