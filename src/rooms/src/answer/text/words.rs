//! Words with their places.

use unicode_normalization::UnicodeNormalization as _;
use unicode_segmentation::UnicodeSegmentation as _;

use super::{language, negation};

/// A word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// As it is written.
    pub text: String,
    /// In lower case and one form (NFKC), without an English genitive's ending.
    pub folded: String,
    /// Where it begins, in bytes.
    pub at: usize,
    /// Whether it says something by itself. Numbers and denials do not: they are looked at apart.
    pub is_telling: bool,
    /// Whether it denies.
    pub is_denial: bool,
}

/// Shortest beginning that two forms of a word share.
const STEM: usize = 3;
/// Shortest part of a compound, in bytes.
const COMPOUND: usize = 6;

impl Word {
    fn new(text: &str, at: usize) -> Self {
        let folded = fold(text);
        let has_digit = folded.chars().any(|c| c.is_ascii_digit());
        let is_denial = negation::is_denial(&folded);
        Self {
            text: text.to_owned(),
            at,
            is_telling: !has_digit && !is_denial && !language::is_small(&folded),
            is_denial,
            folded,
        }
    }

    /// Whether it begins with a capital letter.
    pub fn is_capitalized(&self) -> bool {
        self.text.starts_with(char::is_uppercase)
    }

    /// Whether it has letters and digits or capitals within, as names of things have: `A4`, `iPhone`, `SMTP`.
    pub fn is_coined(&self) -> bool {
        let has_digit = self.text.chars().any(char::is_numeric);
        let letters = self.text.chars().filter(|c| c.is_alphabetic()).count();
        let capitals = self.text.chars().skip(1).filter(|c| c.is_uppercase()).count();
        letters > 0 && (has_digit || capitals > 0)
    }
}

/// The words of a text: what lies between the boundaries of Unicode (UAX #29) and has a letter or a digit. Numbers with
/// separators are one word.
pub fn words(text: &str) -> Vec<Word> {
    text.unicode_word_indices()
        .map(|(at, word)| Word::new(word, at))
        .collect()
}

fn fold(word: &str) -> String {
    let folded: String = match word.is_ascii() {
        true => word.to_ascii_lowercase(),
        false => word.nfkc().collect::<String>().to_lowercase().replace('’', "'"),
    };
    match folded.strip_suffix("'s") {
        Some(stem) if !stem.is_empty() => stem.to_owned(),
        _ => folded,
    }
}

/// Whether two words in lower case are forms of one: they differ in what follows a common beginning, and both endings
/// are in `endings`.
pub fn are_forms(one: &str, other: &str, endings: &[&str]) -> bool {
    if one == other {
        return true;
    }
    let mut shared = 0;
    let mut letters = 0;
    for (a, b) in one.chars().zip(other.chars()) {
        if a != b {
            break;
        }
        shared += a.len_utf8();
        letters += 1;
    }
    let (one, other) = (&one[shared..], &other[shared..]);
    // `market` and `marker`: a consonant each is no ending of two forms.
    let is_consonant = |ending: &str| ending.len() == 1 && !ending.contains(['a', 'e', 'i', 'o', 'u', 'y']);
    let is_another = is_consonant(one) && is_consonant(other);
    letters >= STEM && !is_another && endings.contains(&one) && endings.contains(&other)
}

/// Whether two words in lower case are forms of one, in whatever language, or one of them is a compound with the other
/// one at an end: `Fahrraddiebstahl` and `Diebstahl`.
pub fn are_alike(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() < other.len() {
        (one, other)
    } else {
        (other, one)
    };
    let is_compound = short.len() >= COMPOUND && (long.starts_with(short) || long.ends_with(short));
    is_compound || are_forms(one, other, language::ENDINGS)
}

/// The share of `wanted` of which `there` has a form, from 0 to 1; 1 where nothing is wanted.
pub fn share<'a>(wanted: &[&Word], there: impl Iterator<Item = &'a Word> + Clone) -> f64 {
    if wanted.is_empty() {
        return 1.0;
    }
    let is_there = |word: &&&Word| there.clone().any(|other| are_alike(&word.folded, &other.folded));
    wanted.iter().filter(is_there).count() as f64 / wanted.len() as f64
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("employee", "employees")]
    #[case("policy", "policies")]
    #[case("refund", "refunding")]
    #[case("run", "running")]
    #[case("umowa", "umowie")]
    #[case("pracownik", "pracownikom")]
    #[case("vertrag", "vertrages")]
    #[case("manage", "management")]
    fn forms_of_a_word(#[case] one: &str, #[case] other: &str) {
        assert!(are_alike(one, other) && are_alike(other, one));
    }

    #[rstest]
    #[case("contract", "contrast")]
    #[case("market", "marker")]
    #[case("cat", "car")]
    #[case("monthly", "montreal")]
    #[case("", "a")]
    fn other_words(#[case] one: &str, #[case] other: &str) {
        assert!(!are_alike(one, other));
    }

    #[test]
    fn words_are_folded() {
        let words = words("Anna’s 1,200 ＡＢＣ don't naïve");
        let folded: Vec<_> = words.iter().map(|word| word.folded.as_str()).collect();
        assert_eq!(folded, ["anna", "1,200", "abc", "don't", "naïve"]);
        assert_eq!(words[1].at, 9);
    }
}
