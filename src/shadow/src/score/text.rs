//! How alike two texts are, by their words and letters.

use unicode_segmentation::UnicodeSegmentation as _;

use super::lcs;

/// Words of a text that ROUGE-L looks at: the work has a bound whatever a model writes.
pub const MAX_WORDS: usize = 1 << 15;
/// Bytes of a text that prefixes are looked for in.
pub const MAX_PREFIX: usize = 1 << 18;

/// ROUGE-L of two texts, from 0 to 1: the F1 of precision `L/n` and recall `L/m`, where `L` is the length of the longest
/// common subsequence of words, so `2 L / (n + m)` (Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries",
/// equations 2 to 4 with beta 1). It is symmetric.
///
/// Words are those of Unicode (UAX #29) in lower case and not, as in Python's `rouge-score`, runs of `[a-z0-9]`, which
/// leaves nothing of most languages; there is no stemming. Two texts without words are the same or have nothing in
/// common. Only the first 32,768 words count.
pub fn rouge_l(one: &str, other: &str) -> f64 {
    if one == other {
        return 1.0;
    }
    let (one, other) = (one.to_lowercase(), other.to_lowercase());
    let words = |text| str::unicode_words(text).take(MAX_WORDS).collect::<Vec<_>>();
    let (one, other) = (words(&one), words(&other));
    match one.len() + other.len() {
        0 => 0.0,
        all => 2.0 * lcs::length(&one, &other) as f64 / all as f64,
    }
}

/// Words of a text, by UAX #29.
pub fn words(text: &str) -> usize {
    text.unicode_words().count()
}

/// How two texts begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prefix {
    /// Grapheme clusters (UAX #29) that both begin with.
    pub common: usize,
    /// Grapheme clusters of the longer one.
    pub longer: usize,
    /// Where the first difference is, in bytes; `None` where there is none.
    pub diverges_at: Option<usize>,
}

impl Prefix {
    /// The common beginning of two texts. Only the first 256 KiB of each are looked at.
    pub fn of(one: &str, other: &str) -> Self {
        let (one, other) = (head(one), head(other));
        let equal = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
        let (mut common, mut at) = (0, 0);
        // Clusters are equal up to the one that the difference is in, which may begin before it: `é` and `e`.
        for (a, b) in one.graphemes(true).zip(other.graphemes(true)) {
            if a != b || at >= equal {
                break;
            }
            common += 1;
            at += a.len();
        }
        let rest = |text: &str| text[at..].graphemes(true).count();
        let longer = common + rest(one).max(rest(other));
        Self {
            common,
            longer,
            diverges_at: (common < longer).then_some(at),
        }
    }

    /// The share of the longer text that is common, from 0 to 1. Two empty texts are the same.
    pub fn share(self) -> f64 {
        match self.longer {
            0 => 1.0,
            longer => self.common as f64 / longer as f64,
        }
    }
}

fn head(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_PREFIX)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    // The example of Lin 2004, 3.2.1: L = 3 of 4 and L = 2 of 4 words.
    #[case("police killed the gunman", "police kill the gunman", 0.75)]
    #[case("police killed the gunman", "the gunman kill police", 0.5)]
    #[case("the cat", "The CAT!", 1.0)]
    #[case("a b c d", "a b", 2.0 * 2.0 / 6.0)]
    #[case("", "", 1.0)]
    #[case("", "words", 0.0)]
    #[case("...", "!!!", 0.0)]
    #[case("東京都", "東京", 0.8)]
    #[case("Straße in Łódź", "straße w łódź", 2.0 / 3.0)]
    fn rouge_l_of(#[case] one: &str, #[case] other: &str, #[case] expected: f64) {
        assert!(
            (rouge_l(one, other) - expected).abs() < 1e-12,
            "{}",
            rouge_l(one, other)
        );
    }

    #[test]
    fn the_work_has_a_bound() {
        let long = "word ".repeat(2 * MAX_WORDS);
        let other = format!("{}{}", "word ".repeat(MAX_WORDS), "other ".repeat(MAX_WORDS));
        // What differs lies beyond the bound.
        assert_eq!(rouge_l(&long, &other), 1.0);
    }

    #[rstest]
    #[case("abc", "abd", 2, 3, Some(2))]
    #[case("abc", "abc", 3, 3, None)]
    #[case("abc", "abcde", 3, 5, Some(3))]
    #[case("", "", 0, 0, None)]
    #[case("", "a", 0, 1, Some(0))]
    // `e` and `e` with an accent differ as a whole.
    #[case("caf\u{65}", "caf\u{65}\u{301}", 3, 4, Some(3))]
    #[case("👨‍👩‍👧!", "👨‍👩‍👧?", 1, 2, Some(18))]
    fn prefixes(
        #[case] one: &str,
        #[case] other: &str,
        #[case] common: usize,
        #[case] longer: usize,
        #[case] diverges_at: Option<usize>,
    ) {
        let expected = Prefix {
            common,
            longer,
            diverges_at,
        };
        assert_eq!((Prefix::of(one, other), Prefix::of(other, one)), (expected, expected));
    }

    proptest! {
        #[test]
        fn scores_are_symmetric_shares(one in "[a-c é👍]{0,40}", other in "[a-c é👍]{0,40}") {
            for score in [rouge_l, |one: &str, other: &str| Prefix::of(one, other).share()] {
                let value = score(&one, &other);
                prop_assert!((0.0..=1.0).contains(&value));
                prop_assert_eq!(value, score(&other, &one));
                prop_assert_eq!(score(&one, &one), 1.0);
            }
        }

        #[test]
        fn what_comes_before_the_divergence_is_equal(one in "\\PC{0,30}", other in "\\PC{0,30}") {
            if let Some(at) = Prefix::of(&one, &other).diverges_at {
                prop_assert_eq!(&one[..at], &other[..at]);
            } else {
                prop_assert_eq!(one, other);
            }
        }
    }
}
