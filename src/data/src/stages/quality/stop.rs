//! Stop words, by which prose is told from lists.
//!
//! Gopher has eight English ones. A text in another language is no list, so some more languages have eight of their own.

/// How many languages there are.
pub const LANGUAGES: usize = 8;

const WORDS: [[&str; 8]; LANGUAGES] = [
    ["the", "be", "to", "of", "and", "that", "have", "with"],
    ["der", "die", "und", "das", "nicht", "ist", "mit", "zu"],
    ["de", "la", "et", "les", "des", "que", "dans", "est"],
    ["de", "la", "que", "el", "los", "para", "con", "es"],
    ["di", "che", "la", "il", "per", "non", "con", "una"],
    ["de", "que", "do", "da", "em", "para", "com", "uma"],
    ["de", "het", "een", "van", "en", "dat", "niet", "met"],
    ["w", "na", "nie", "do", "jest", "to", "z", "że"],
];

/// ISO 639-1 of each.
const CODES: [&str; LANGUAGES] = ["en", "de", "fr", "es", "it", "pt", "nl", "pl"];
const LONGEST: usize = 5;
/// So many of the eight are in a text of the language, and hardly in others.
const MANY: u32 = 4;

/// The words with the language and the bit of each, sorted by their bytes as a number.
static TABLE: std::sync::LazyLock<Vec<(u64, usize, u8)>> = std::sync::LazyLock::new(|| {
    let mut table = Vec::new();
    for (language, words) in WORDS.iter().enumerate() {
        for (place, word) in words.iter().enumerate() {
            table.push((number(word.as_bytes()), language, 1 << place));
        }
    }
    table.sort_unstable();
    table
});

fn number(word: &[u8]) -> u64 {
    word.iter()
        .fold(0, |number, byte| (number << 8) | u64::from(byte.to_ascii_lowercase()))
}

/// Notes `token`, if it is a stop word but for punctuation at its ends.
pub fn note(token: &str, found: &mut [u8; LANGUAGES]) {
    // A word and punctuation on both sides.
    if token.len() > LONGEST + 4 {
        return;
    }
    let word = token.trim_matches(|c: char| c.is_ascii_punctuation()).as_bytes();
    if word.is_empty() || word.len() > LONGEST {
        return;
    }
    let number = number(word);
    let from = TABLE.partition_point(|(other, ..)| *other < number);
    for (_, language, bit) in TABLE[from..].iter().take_while(|(other, ..)| *other == number) {
        found[*language] |= bit;
    }
}

/// The language of which many words were found, and more than of any other.
pub fn language(found: &[u8; LANGUAGES]) -> Option<&'static str> {
    let counts = found.map(u8::count_ones);
    let most = counts.iter().max().filter(|most| **most >= MANY)?;
    let mut places = counts.iter().enumerate().filter(|(_, count)| *count == most);
    let (place, _) = places.next()?;
    places.next().is_none().then_some(CODES[place])
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("The end of it, and that's all", 0, 3)]
    #[case("Das ist (nicht) gut.", 1, 3)]
    #[case("że to jest", 7, 3)]
    #[case("apples pears plums thesis", 0, 0)]
    fn are_counted_once_for_each_language(#[case] text: &str, #[case] language: usize, #[case] expected: u32) {
        let mut found = [0; LANGUAGES];
        text.split(' ')
            .chain(text.split(' '))
            .for_each(|token| note(token, &mut found));
        assert_eq!(found[language].count_ones(), expected);
    }

    #[rstest]
    #[case("The end of it, and that is what we have", Some("en"))]
    #[case("das ist nicht mit Absicht und zu sehen", Some("de"))]
    #[case("the end of it and", None)]
    #[case("de la que", None)]
    fn a_language_is_told_by_many(#[case] text: &str, #[case] expected: Option<&str>) {
        let mut found = [0; LANGUAGES];
        text.split(' ').for_each(|token| note(token, &mut found));
        assert_eq!(language(&found), expected);
    }

    #[test]
    fn none_is_longer_than_what_is_looked_at() {
        assert!(WORDS.iter().flatten().all(|word| word.len() <= LONGEST));
    }
}
