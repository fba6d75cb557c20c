//! Text as Unicode means it: without broken encodings and invisible characters, and in normal form C.

mod invisible;
mod mojibake;

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc, is_nfc_quick};

/// How often a text is gone over. What was repaired may have made something else of its surroundings; people do not break
/// a text as often as this, and a text made to take longer stays broken.
const MAX_ROUNDS: usize = 16;

/// Repairs `text`, removes what nobody sees and brings it to normal form C.
pub fn normalize(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    if is_plain(&text) {
        return text;
    }
    for round in 0..MAX_ROUNDS {
        let mut is_done = true;
        let repaired = (round + 1 < MAX_ROUNDS).then(|| mojibake::repair(&text)).flatten();
        if let Some(repaired) = repaired {
            (text, is_done) = (repaired.into(), false);
        }
        if let Some(visible) = invisible::remove(&text) {
            (text, is_done) = (visible.into(), false);
        }
        if !is_composed(&text) {
            (text, is_done) = (text.nfc().collect::<String>().into(), false);
        }
        if is_done {
            break;
        }
    }
    text
}

/// Whether `text` is nothing but visible ASCII, tabs and newlines.
fn is_plain(text: &str) -> bool {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t');
    // Without a branch in it, the inner loop looks at many bytes at once.
    let mut chunks = text.as_bytes().chunks(64);
    chunks.all(|chunk| chunk.iter().fold(true, |all, byte| all & is_plain(byte)))
}

/// Whether `text` is in normal form C. Most characters of most texts neither combine nor decompose.
fn is_composed(text: &str) -> bool {
    let mut unsure = text.chars().filter(|c| !is_stable(*c));
    if unsure.next().is_none() {
        return true;
    }
    match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => true,
        IsNormalized::No => false,
        IsNormalized::Maybe => is_nfc(text),
    }
}

/// Whether `c` is in normal form C wherever it is: Latin, Greek and Cyrillic letters, general punctuation, Kana, Han and
/// Hangul syllables, with small gaps where some of them are not.
fn is_stable(c: char) -> bool {
    matches!(c, '\0'..='\u{2FF}' | '\u{388}'..='\u{482}' | '\u{48A}'..='\u{52F}' | '\u{2010}'..='\u{203E}'
        | '\u{20A0}'..='\u{20BF}' | '\u{3001}'..='\u{3029}' | '\u{3041}'..='\u{3096}' | '\u{30A1}'..='\u{30FA}'
        | '\u{4E00}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7A3}' | '\u{FF01}'..='\u{FF60}')
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::composed("cre\u{300}me", "crème")]
    #[case::reordered("a\u{301}\u{323}", "ạ\u{301}")]
    #[case::after_invisible("e\u{200B}\u{301}", "é")]
    #[case::soft_hyphen_of_a_broken_text("comÃ\u{AD}a", "comía")]
    #[case::broken_and_split("Ãâ€‹©", "é")]
    #[case::broken_mark("cafeÌ\u{81}", "café")]
    #[case::hangul("\u{1100}\u{1161}", "가")]
    #[case::angstrom("\u{212B}", "Å")]
    #[case::line_ends("a\r\nb", "a\nb")]
    fn texts_are_normalized(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(normalize(text), expected);
        assert!(matches!(normalize(expected), Cow::Borrowed(_)));
    }

    #[test]
    fn what_is_said_to_be_stable_is() {
        for c in ('\0'..=char::MAX).filter(|c| is_stable(*c)) {
            assert_eq!(is_nfc_quick(std::iter::once(c)), IsNormalized::Yes, "{c:?}");
            assert_eq!(unicode_normalization::char::canonical_combining_class(c), 0, "{c:?}");
        }
    }

    #[test]
    fn a_text_that_breaks_again_and_again_ends() {
        let text = "I".repeat(1000) + "\u{300}" + &"€".repeat(1000);
        assert!(is_nfc(&normalize(&text)));
    }
}
