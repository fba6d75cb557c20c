//! Names of a text: of people, places and things.

use super::{
    language::{Language, endings_of_names},
    words::{Word, are_forms},
};

/// Words before names that are none themselves.
const TITLES: &str = "mr mrs ms dr prof sir herr frau pan pani monsieur madame señor señora";

/// A word that is taken for a name, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// As it is written.
    pub text: String,
    folded: String,
}

/// The names of a sentence. `is_known` says whether a word is a name elsewhere: at the beginning of a sentence every
/// word has a capital letter, and nobody can tell. In German so does every noun, so a single word is taken for a name
/// only behind a title or beside another one.
pub fn names(words: &[Word], language: Language, is_known: impl Fn(&Word) -> bool) -> Vec<Name> {
    let mut found = Vec::new();
    let mut last = None;
    let is_title = |word: &Word| TITLES.split_ascii_whitespace().any(|title| title == word.folded);
    for (place, word) in words.iter().enumerate() {
        let first = place == 0;
        let is_telling = word.text.chars().any(char::is_alphabetic) && !super::language::is_small(&word.folded);
        let counts = super::number_words::count(&word.folded).is_some() || super::units::unit(&word.folded).is_some();
        if !is_telling || is_title(word) || counts {
            continue;
        }
        let is_beside =
            |other: Option<&Word>| other.is_some_and(|other| other.is_capitalized() && other.folded.len() > 1);
        let before = place.checked_sub(1).and_then(|place| words.get(place));
        let behind_title = before.is_some_and(is_title);
        let behind_name = before.is_some_and(|before| Some(before.at) == last);
        let is_name = match (word.is_coined(), word.is_capitalized(), language) {
            // What has digits is a code, see below.
            (true, ..) => !word.text.chars().any(char::is_numeric),
            (_, false, _) => false,
            (_, true, Language::German) => {
                behind_title || behind_name || is_known(word) && is_beside(words.get(place + 1))
            }
            (_, true, _) if first => is_known(word) || is_beside(words.get(1)),
            (_, true, _) => true,
        };
        if is_name {
            last = Some(word.at);
            found.push(Name {
                text: word.text.clone(),
                folded: word.folded.clone(),
            });
        }
    }
    found
}

impl Name {
    /// Whether one of `words` is this name, or a form of it in that language.
    pub fn is_among<'a>(&self, mut words: impl Iterator<Item = &'a Word>, language: Language) -> bool {
        let endings = endings_of_names(language);
        words.any(|word| are_forms(&word.folded, &self.folded, endings))
    }
}

/// Names that have digits: `A4`, `XS-2041`, `ISO-9001`, `v1.2`. They have no forms: another digit is another thing.
pub fn codes(text: &str) -> Vec<&str> {
    let parts = text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/')));
    let trimmed = parts.map(|part| part.trim_matches(['-', '_', '.', '/']));
    trimmed.filter(|part| is_code(part)).collect()
}

fn is_code(part: &str) -> bool {
    let has_digit = part.contains(|c: char| c.is_ascii_digit());
    let begins_with_letter = part.starts_with(char::is_alphabetic);
    let letters: Vec<char> = part.chars().collect();
    let is_glued = letters
        .windows(2)
        .any(|pair| pair[0].is_alphabetic() && pair[1].is_ascii_digit());
    let has_capital = part.contains(char::is_uppercase);
    // `mid-2024` is a word and a number.
    has_digit && begins_with_letter && (is_glued || has_capital)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{super::words::words, *};

    #[rstest]
    #[case("The report was written by Jane Miller.", Language::English, "Jane Miller")]
    #[case("Jane Miller wrote it.", Language::English, "Jane Miller")]
    #[case("Employees wrote it.", Language::English, "")]
    #[case("Use the A4 form of ISO.", Language::English, "ISO")]
    #[case("Frau Petra Weber zahlt in EUR.", Language::German, "Petra Weber")]
    #[case("Der Antrag geht an Frau Weber.", Language::German, "Weber")]
    #[case("Umowę podpisał Jan Kowalski.", Language::Polish, "Jan Kowalski")]
    fn are_found(#[case] text: &str, #[case] language: Language, #[case] expected: &str) {
        let found = names(&words(text), language, |_| false);
        let found: Vec<_> = found.into_iter().map(|name| name.text).collect();
        assert_eq!(found.join(" "), expected);
    }

    #[test]
    fn forms_of_names() {
        let there = words("z Kowalskim w Warszawie");
        let name = |text: &str| names(&words(text), Language::Polish, |_| true).remove(0);
        assert!(name("Kowalski").is_among(there.iter(), Language::Polish));
        assert!(!name("Nowak").is_among(there.iter(), Language::Polish));
        let there = words("Hanson");
        let name = |text: &str| names(&words(text), Language::English, |_| true).remove(0);
        assert!(!name("Hansen").is_among(there.iter(), Language::English));
    }

    #[test]
    fn names_with_digits() {
        let text = "Use A4, XS-2041 (v1.2) or ISO-9001; 24-month, 5kg and mid-2024 are none.";
        assert_eq!(codes(text), ["A4", "XS-2041", "v1.2", "ISO-9001"]);
    }
}
