//! Equal texts.
//!
//! Two are equal that have the same SHA-256 after this: lower case, and one space instead of any run of spaces, control
//! characters and punctuation. Signs that calculate, compare or name something (`+ - * / = < > % & @ # $ ^ ~ | \ _`),
//! digits and diacritics stay: "2+3" and "2-3" are not the same question, and neither are "schon" and "schön".

use std::{io, path::Path};

use sha2::{Digest, Sha256};

use super::{bits::Bits, spill::Sorter};

/// Looks for equal texts.
#[derive(Debug)]
pub struct Exact {
    /// The first half of a digest, and who has it.
    digests: Sorter<3>,
    normal: Vec<u8>,
}

impl Exact {
    /// Holds `memory` bytes at most; the rest goes to files in `scratch`.
    pub fn new(scratch: &Path, memory: usize) -> Self {
        Self {
            digests: Sorter::new(scratch, memory),
            normal: Vec::new(),
        }
    }

    /// Takes the text of `document`.
    ///
    /// # Errors
    /// When something cannot be written.
    pub fn add(&mut self, document: u64, text: &str) -> io::Result<()> {
        normalize(text, &mut self.normal);
        // Texts of nothing but punctuation are not all the same.
        let bytes = if self.normal.is_empty() {
            text.as_bytes()
        } else {
            &self.normal
        };
        let digest = Sha256::digest(bytes);
        let half = |from: usize| {
            let bytes = digest[from..from + 8].try_into();
            u64::from_be_bytes(bytes.expect("a half has 8 bytes"))
        };
        self.digests.push([half(0), half(8), document])
    }

    /// All that are equal to one before.
    ///
    /// # Errors
    /// When something cannot be written or read.
    pub fn finish(self) -> io::Result<Bits> {
        let mut duplicates = Bits::default();
        let mut before = None;
        for record in self.digests.finish()? {
            let [high, low, document] = record?;
            if before == Some([high, low]) {
                duplicates.insert(document);
            }
            before = Some([high, low]);
        }
        Ok(duplicates)
    }
}

/// What stays of a byte of ASCII; 0 where a space is put.
const KEPT: [u8; 128] = {
    let mut table = [0; 128];
    let mut byte = b'!';
    while byte < 127 {
        let is_left_out = matches!(
            byte,
            b'.' | b',' | b';' | b':' | b'!' | b'?' | b'"' | b'\'' | b'`' | b'(' | b')' | b'[' | b']' | b'{' | b'}'
        );
        if !is_left_out {
            table[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    table
};

fn normalize(text: &str, normal: &mut Vec<u8>) {
    normal.clear();
    normal.reserve(text.len() + 4);
    let mut is_apart = false;
    let mut push = |bytes: &[u8], is_apart: &mut bool| {
        if std::mem::take(is_apart) && !normal.is_empty() {
            normal.push(b' ');
        }
        normal.extend_from_slice(bytes);
    };
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if let Some(kept) = KEPT.get(usize::from(*byte)) {
            match kept {
                0 => is_apart = true,
                kept => push(&[*kept], &mut is_apart),
            }
            at += 1;
            continue;
        }
        let c = text[at..].chars().next().expect("a character begins here");
        at += c.len_utf8();
        if is_left_out(c) {
            is_apart = true;
            continue;
        }
        for lower in c.to_lowercase() {
            push(lower.encode_utf8(&mut [0; 4]).as_bytes(), &mut is_apart);
        }
    }
}

/// Spaces, control characters and punctuation beyond ASCII: of all scripts, of Latin-1, and of East Asia.
fn is_left_out(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205E}' | '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}'
            | '¡' | '¿' | '«' | '»' | '·' | '！' | '，' | '．' | '：' | '；' | '？' | '（' | '）')
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn normal(text: &str) -> String {
        let mut normal = Vec::new();
        normalize(text, &mut normal);
        String::from_utf8(normal).unwrap()
    }

    #[rstest]
    #[case::case("Hello WORLD", "hello world")]
    #[case::spaces("  a \t\n\n b\u{A0}c ", "a b c")]
    #[case::punctuation("«Hello», world!", "hello world")]
    #[case::east_asia("你好，世界！", "你好 世界")]
    #[case::calculation("2+3 = 5.", "2+3 = 5")]
    #[case::diacritics("SCHÖN", "schön")]
    #[case::digits("1,000", "1 000")]
    #[case::nothing(" ...!", "")]
    fn texts_are_normalized(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(normal(text), expected);
    }
}
