//! What counts as a word, and as the same word.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use unicode_normalization::UnicodeNormalization as _;
use unicode_segmentation::UnicodeSegmentation as _;

use super::Posting;

/// The words of a text, each as 64 bits that stand for it, with how often it occurs. Two of a million words are taken
/// for one with a probability of 3 in 100 million, and that is a rank that is slightly wrong.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Words {
    counts: Vec<(u64, u32)>,
    total: u32,
}

impl Words {
    /// Words are what lies between the boundaries of Unicode (UAX #29) and has a letter or a digit. Case and
    /// compatibility (NFKC: ligatures, widths, composed letters) make no difference. There is no stemming.
    pub(crate) fn of(text: &str) -> Self {
        let mut counts = BTreeMap::new();
        let mut total = 0u32;
        let mut count = |word: &str| {
            let mut hash = DefaultHasher::new();
            word.hash(&mut hash);
            *counts.entry(hash.finish()).or_default() += 1;
            total = total.saturating_add(1);
        };
        if text.is_ascii() {
            text.to_ascii_lowercase().unicode_words().for_each(&mut count);
        } else {
            let plain: String = text.chars().filter(|c| !is_invisible(*c)).nfkc().collect();
            plain.to_lowercase().unicode_words().for_each(&mut count);
        }
        Self {
            counts: counts.into_iter().collect(),
            total,
        }
    }

    /// From what [`Self::postings`] gave, in the order of words, and the sum of them.
    pub(super) fn of_counts(counts: Vec<(u64, u32)>, total: u32) -> Self {
        Self { counts, total }
    }

    /// Words, ascending, with how often each occurs.
    pub(super) fn counts(&self) -> &[(u64, u32)] {
        &self.counts
    }

    /// How many words the text has.
    pub(crate) fn total(&self) -> u32 {
        self.total
    }

    /// The words as postings of a row.
    pub(crate) fn postings(&self, row: u32) -> impl Iterator<Item = Posting> {
        self.counts.iter().map(move |(word, count)| Posting {
            word: *word,
            row,
            count: *count,
        })
    }
}

/// Characters that no reader sees and that would part a word in two, or hide one: soft hyphens of justified text, joiners,
/// marks of direction, tags.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::case("Straße MÜNCHEN", "straße münchen")]
    #[case::composed("Mu\u{308}nchen", "M\u{fc}nchen")]
    #[case::ligature("e\u{fb03}cient", "efficient")]
    #[case::width("ＡＢＣ　１２", "abc 12")]
    #[case::soft_hyphen("quar\u{ad}antine", "quarantine")]
    #[case::zero_width("quar\u{200b}antine", "quarantine")]
    #[case::tags("a\u{e0041}b", "ab")]
    #[case::marks("Error: E-4711 (fatal)!", "error e 4711 fatal")]
    #[case::numbers("3.5 mm", "3.5 MM")]
    #[case::ideographs("東京都", "東 京 都")]
    fn the_same_words(#[case] one: &str, #[case] other: &str) {
        assert_eq!(Words::of(one), Words::of(other));
    }

    #[test]
    fn words_are_counted() {
        let words = Words::of("to be, or not to be");
        let mut counts: Vec<_> = words.counts().iter().map(|word| word.1).collect();
        counts.sort_unstable();
        assert_eq!((words.total(), counts), (6, vec![1, 1, 2, 2]));
        assert_eq!(Words::of(" \u{200b}\u{1f600} -- "), Words::default());
    }
}
