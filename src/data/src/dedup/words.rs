//! Words for comparing texts: what has the same words counts as the same, however it is set.
//!
//! A word is a run of letters and digits, in lower case, without the diacritics of Latin, Greek and Cyrillic. Marks and
//! vowel signs of other scripts make other words of a word, and stay; so do digits, since records that differ in nothing
//! but numbers are different records. In scripts that put no spaces between words, each character is a word.

use unicode_normalization::char::{decompose_canonical, is_combining_mark};

use super::hash::Hasher;

/// Letters and digits of ASCII in lower case; 0 for everything else.
const LOWER: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        if (byte as u8).is_ascii_alphanumeric() {
            table[byte] = (byte as u8).to_ascii_lowercase();
        }
        byte += 1;
    }
    table
};

/// Calls `word` with the hash of each word of `text`.
pub fn each(text: &str, mut word: impl FnMut(u64)) {
    let bytes = text.as_bytes();
    let mut hasher = Hasher::default();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let lower = LOWER[usize::from(*byte)];
        if lower != 0 {
            hasher.push(lower);
            at += 1;
        } else if byte.is_ascii() {
            end(&mut hasher, &mut word);
            at += 1;
        } else {
            let c = text[at..].chars().next().expect("a character begins here");
            at += c.len_utf8();
            take(c, &mut hasher, &mut word);
        }
    }
    end(&mut hasher, &mut word);
}

#[inline]
fn end(hasher: &mut Hasher, word: &mut impl FnMut(u64)) {
    if !hasher.is_empty() {
        word(hasher.finish());
    }
}

fn take(c: char, hasher: &mut Hasher, word: &mut impl FnMut(u64)) {
    if stands_alone(c) {
        end(hasher, word);
        push(c, hasher);
        end(hasher, word);
    } else if ('\u{AC00}'..='\u{D7A3}').contains(&c) {
        push(c, hasher);
    } else if c.is_alphanumeric() || is_combining_mark(c) {
        for lower in c.to_lowercase() {
            decompose_canonical(lower, |part| {
                if !('\u{300}'..='\u{36F}').contains(&part) {
                    push(part, hasher);
                }
            });
        }
    } else {
        end(hasher, word);
    }
}

fn push(c: char, hasher: &mut Hasher) {
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        hasher.push(byte);
    }
}

/// Whether `c` is of a script that puts no spaces between words: Thai, Lao, Myanmar, Khmer, Kana and Han.
pub fn stands_alone(c: char) -> bool {
    matches!(c,
        '\u{E01}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' | '\u{3005}'..='\u{3007}'
        | '\u{3041}'..='\u{30FF}' | '\u{31F0}'..='\u{31FF}' | '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}'
        | '\u{FF66}'..='\u{FF9D}' | '\u{20000}'..='\u{3FFFF}')
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn words(text: &str) -> Vec<u64> {
        let mut words = Vec::new();
        each(text, |word| words.push(word));
        words
    }

    #[rstest]
    #[case::case("Hello World", "hello world")]
    #[case::punctuation("«Hello», world!", "hello world")]
    #[case::spaces("hello\n\n\tworld ", "hello world")]
    #[case::diacritics("Crème brûlée ÜBER", "creme brulee uber")]
    #[case::decomposed("cre\u{300}me", "crème")]
    #[case::greek("ΆΛΦΑ", "αλφα")]
    #[case::han("你好，世界", "你 好 世 界")]
    #[case::long_words("ABCDEFGHIJKLMNOPQ", "abcdefghijklmnopq")]
    fn same_words(#[case] left: &str, #[case] right: &str) {
        assert_eq!(words(left), words(right));
    }

    #[rstest]
    #[case("12 apples", "13 apples")]
    #[case("ab c", "a bc")]
    #[case("कि", "की")]
    #[case("abcdefgh", "abcdefgha")]
    #[case("가나", "가다")]
    fn other_words(#[case] left: &str, #[case] right: &str) {
        assert_ne!(words(left), words(right));
    }

    #[rstest]
    #[case("", 0)]
    #[case("… !?", 0)]
    #[case("it's", 2)]
    #[case("ราคา", 4)]
    fn counts(#[case] text: &str, #[case] expected: usize) {
        assert_eq!(words(text).len(), expected);
    }
}
