//! What kind of thing a question asks for, as far as its words say so, and whether a text has it.
//!
//! A small model often repeats the question as if that were an answer, or says something that is true and beside the point.
//! Both are supported by the documents, and neither answers.

pub(super) mod extent;
pub(super) mod fact;

use std::ops::Range;

use fact::Fact;

use super::text::{
    numbers::{Number, numbers},
    words::{Word, are_alike, words},
};

/// What begins questions after how many or how much of something there is, in English, German, Polish, French and Spanish.
const COUNTING: &[&str] = &[
    "how many",
    "how much",
    "how old",
    "how long",
    "what age",
    "what share",
    "what percentage",
    "what number",
    "wie viele",
    "wie viel",
    "wie alt",
    "ile",
    "combien",
    "cuántos",
    "cuántas",
    "cuánto",
];
/// The same, where the last word says what is measured: that has to be in an answer, for lakes have lengths and depths.
const MEASURING: &[&str] = &[
    "how deep",
    "how heavy",
    "how tall",
    "how far",
    "how large",
    "how high",
    "wie tief",
    "wie schwer",
    "wie hoch",
    "wie weit",
];
/// What begins questions that want something else than yes or no, in the same languages.
const OPEN: &[&str] = &[
    "who", "whom", "whose", "what", "which", "where", "when", "why", "how", "wer", "wen", "wem", "was", "welche",
    "welcher", "welches", "wo", "wann", "warum", "wie", "kto", "kogo", "co", "który", "która", "które", "gdzie",
    "kiedy", "dlaczego", "jak", "qui", "quel", "quelle", "où", "quand", "pourquoi", "comment", "quién", "qué", "cuál",
    "dónde", "cuándo", "cómo",
];
/// Amounts without a number.
const AMOUNTS: &[&str] = &[
    "free",
    "until",
    "none",
    "no",
    "nothing",
    "zero",
    "all",
    "unlimited",
    "once",
    "twice",
    "half",
    "third",
    "quarter",
    "dozen",
    "both",
    "every",
    "each",
    "several",
    "few",
    "kostenlos",
    "frei",
    "keine",
    "keiner",
    "nichts",
    "alle",
    "halb",
    "doppelt",
    "bezpłatnie",
    "żaden",
    "wszystkie",
    "gratuit",
    "aucun",
    "tous",
    "gratis",
    "ninguno",
    "todos",
];
/// Words about answers and documents, which say nothing about what was asked.
const ABOUT_ANSWERS: &[&str] = &[
    "document",
    "documents",
    "text",
    "passage",
    "source",
    "sources",
    "answer",
    "question",
    "following",
    "mentioned",
    "stated",
    "says",
    "said",
    "say",
    "according",
    "provided",
    "given",
    "information",
    "context",
    "called",
    "named",
    "report",
];

/// From a number to what it is asked of, in words.
const NEAR: usize = 3;

/// What a question asks for.
#[derive(Clone, Debug)]
pub struct Asked {
    wanted: Wanted,
    words: Vec<Word>,
    numbers: Vec<Number>,
    /// Which of the words say only that something is counted.
    counting: Range<usize>,
    /// The fact that is asked for, where that is plain.
    fact: Option<Fact>,
}

/// Whether a word is one of a list.
pub(super) fn is_in(list: &str, word: &str) -> bool {
    !word.is_empty() && list.split_ascii_whitespace().any(|known| known == word)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// A number, or a word in its place.
    Amount,
    /// A name: what begins with a capital letter within a sentence.
    Name,
    /// Something that the question does not have itself.
    Something,
    /// Yes, no, or what nobody here can tell.
    Whatever,
}

impl Asked {
    /// Looks at a question.
    pub fn of(question: &str) -> Self {
        let words = words(question);
        let folded: Vec<&str> = words.iter().map(|word| &*word.folded).collect();
        let place = |phrase: &&str| {
            let phrase: Vec<&str> = phrase.split(' ').collect();
            let at = folded.windows(phrase.len()).position(|some| some == phrase)?;
            Some(at..at + phrase.len())
        };
        let counting = COUNTING.iter().find_map(place);
        let measures = MEASURING.iter().find_map(place).is_some();
        // `By how much`, `in which`: a preposition may come first.
        let is_open = folded.iter().take(2).any(|word| OPEN.contains(word));
        // `What does it cost?`
        let is_price = folded.first() == Some(&"what") && folded.last().is_some_and(|word| word.starts_with("cost"));
        let wanted = match &folded[..] {
            _ if counting.is_some() || measures || is_price => Wanted::Amount,
            ["what", "is", "the", "name", ..] => Wanted::Name,
            _ if is_open => Wanted::Something,
            _ => Wanted::Whatever,
        };
        let numbers = numbers(question, &words);
        Self {
            wanted,
            fact: Fact::of(question, &words, &numbers),
            numbers,
            counting: counting.unwrap_or_default(),
            words,
        }
    }

    /// The fact that is asked for, where that is plain.
    pub(super) fn fact(&self) -> Option<&Fact> {
        self.fact.as_ref()
    }

    /// Its words with their places, without those that say only that something is counted.
    pub(super) fn words(&self) -> impl Iterator<Item = (usize, &Word)> {
        let words = self.words.iter().enumerate();
        words.filter(|(place, _)| !self.counting.contains(place))
    }

    /// Whether a text has something of the kind that is asked for, beyond what the question says itself.
    pub fn is_told_by(&self, text: &str) -> bool {
        let there = words(text);
        match self.wanted {
            Wanted::Whatever => true,
            Wanted::Amount => {
                self.has_new_number(text, &there) || self.added(&there).any(|word| AMOUNTS.contains(&&*word.folded))
            }
            Wanted::Name => self.added(&there).any(|word| word.at > 0 && word.is_capitalized()),
            Wanted::Something => {
                let tells = |word: &Word| word.is_telling && !ABOUT_ANSWERS.contains(&&*word.folded);
                self.has_new_number(text, &there) || self.added(&there).any(tells)
            }
        }
    }

    /// Whether a sentence that was not written for the question has that as well, and near what it is asked of: numbers of
    /// something else often stand in the same sentence.
    pub(super) fn is_told_in_passing_by(&self, text: &str) -> bool {
        if self.wanted != Wanted::Amount {
            return self.is_told_by(text);
        }
        let there = words(text);
        let is_asked = |word: &Word| {
            self.words()
                .any(|(_, other)| other.is_telling && are_alike(&word.folded, &other.folded))
        };
        let asked: Vec<usize> = (0..there.len()).filter(|place| is_asked(&there[*place])).collect();
        let numbers = numbers(text, &there);
        let is_amount = |word: &Word| {
            let number = numbers
                .iter()
                .find(|number| number.at <= word.at && word.at < number.end);
            let is_new = number.is_some_and(|number| !self.numbers.iter().any(|other| other.equals(number)));
            // Somebody, and no number.
            is_new && word.folded != "one" || AMOUNTS.contains(&&*word.folded)
        };
        let amounts = (0..there.len()).filter(|place| is_amount(&there[*place]));
        amounts
            .flat_map(|amount| asked.iter().map(move |place| place.abs_diff(amount)))
            .any(|distance| distance <= NEAR)
    }

    fn has_new_number(&self, text: &str, there: &[Word]) -> bool {
        let is_asked = |number: &Number| self.numbers.iter().any(|other| other.equals(number));
        numbers(text, there).iter().any(|number| !is_asked(number))
    }

    /// Words that are not in the question.
    fn added<'a>(&self, there: &'a [Word]) -> impl Iterator<Item = &'a Word> {
        let is_asked = |word: &Word| self.words.iter().any(|other| are_alike(&word.folded, &other.folded));
        there.iter().filter(move |word| !is_asked(word))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("How many people died in 2001?", "108 people died.", true)]
    #[case("How many people died in 2001?", "Many people died in 2001.", false)]
    #[case("How much is a ticket?", "A ticket is free.", true)]
    #[case("By how much did the profit sink?", "The profit sank by a third.", true)]
    #[case("How old is Prince Harry?", "Prince Harry told his mother.", false)]
    #[case("Who succeeded the king?", "The king was succeeded by his daughter.", true)]
    #[case("Who succeeded Yasser Arafat?", "The answer is: Yasser Arafat.", false)]
    #[case(
        "Who said that it rains?",
        "The document that says that it rains is the one that says it.",
        false
    )]
    #[case("Which aircraft dropped the bombs?", "The aircraft dropped the bombs.", false)]
    #[case("In which town did he live?", "He lived in Dresden.", true)]
    #[case("When do guests pay?", "Guests pay on the day that they leave.", true)]
    #[case("What is the name of the ship?", "The ship is called the Endeavour.", true)]
    #[case("What is the name of the ship?", "The ship has a name.", false)]
    #[case("Is the deposit 50 EUR?", "The deposit is 50 EUR.", true)]
    #[case("Wie viele Tage Urlaub habe ich?", "Es gibt Urlaub.", false)]
    #[case("Wie viele Tage Urlaub habe ich?", "Es gibt 27 Tage Urlaub.", true)]
    #[case("休暇は何日ですか", "休暇があります。", true)]
    fn what_is_asked_for_is_told_or_not(#[case] question: &str, #[case] text: &str, #[case] expected: bool) {
        assert_eq!(Asked::of(question).is_told_by(text), expected);
    }
}
