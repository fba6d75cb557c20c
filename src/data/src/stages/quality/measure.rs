//! What there is to count in a text, counted in one pass.

use crate::dedup::{hash, stands_alone};

/// Counts of a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measures {
    pub characters: u64,
    /// Characters that are neither letters, digits, marks nor spaces.
    pub symbols: u64,
    pub newlines: u64,
    /// Words as they follow each other: between spaces, and each character of scripts without spaces.
    pub words: Vec<Word>,
    /// Of these: characters of scripts without spaces.
    pub words_alone: u64,
    /// Of these: words with a letter.
    pub words_with_letters: u64,
    /// Of these: words with a letter or digit, and their characters.
    pub plain_words: u64,
    pub plain_characters: u64,
    /// Letters that are Latin, and all.
    pub latin_letters: u64,
    pub letters: u64,
    pub hashes: u64,
    pub ellipses: u64,
    /// Lines that are not empty.
    pub lines: Vec<Line>,
    /// Hash and characters of each paragraph.
    pub paragraphs: Vec<(u64, u64)>,
    pub has_curly_bracket: bool,
    pub has_citation: bool,
    pub has_lorem_ipsum: bool,
    pub has_replacement: bool,
    /// For each language, its stop words that occur, as bits.
    pub stop_words: [u8; super::stop::LANGUAGES],
}

/// A word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    pub hash: u64,
    pub characters: u32,
}

/// A line that is not empty, without spaces at its ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    pub hash: u64,
    pub characters: u64,
    pub words: u64,
    /// Words that end a sentence.
    pub sentence_ends: u64,
    pub is_bullet: bool,
    pub ends_in_ellipsis: bool,
    pub ends_in_punctuation: bool,
    pub has_long_word: bool,
    pub has_javascript: bool,
    pub has_policy: bool,
}

/// Longest word that C4 takes for one.
const LONGEST_WORD: u64 = 1000;
/// Phrases of pages about pages.
const POLICY: [&str; 6] = [
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
];

impl Measures {
    /// Counts what is in `text`.
    pub fn of(text: &str) -> Self {
        let mut measures = Self {
            words: Vec::with_capacity(text.len() / 5),
            ..Self::default()
        };
        let mut paragraph = (0u64, 0);
        for line in text.split('\n') {
            let line = line.trim();
            if line.is_empty() {
                measures.end_paragraph(&mut paragraph);
                continue;
            }
            let line = measures.take_line(line);
            paragraph = (
                hash(&(paragraph.0 ^ line.hash).to_le_bytes()),
                paragraph.1 + line.characters,
            );
            measures.lines.push(line);
        }
        measures.end_paragraph(&mut paragraph);
        measures.characters = count(text);
        measures.newlines = text.bytes().filter(|byte| *byte == b'\n').count() as u64;
        measures
    }

    fn end_paragraph(&mut self, paragraph: &mut (u64, u64)) {
        if paragraph.1 > 0 {
            self.paragraphs.push(*paragraph);
        }
        *paragraph = (0, 0);
    }

    fn take_line(&mut self, text: &str) -> Line {
        let before = self.words.len();
        let mut line = Line {
            hash: hash(text.as_bytes()),
            characters: count(text),
            is_bullet: text.starts_with(['-', '•', '*', '‣', '◦']),
            ends_in_ellipsis: text.ends_with("...") || text.ends_with('…'),
            ends_in_punctuation: text.ends_with(ends_sentence),
            ..Line::default()
        };
        for token in text.split_whitespace() {
            // Both are parts of the same text.
            let rest = &text[token.as_ptr().addr() - text.as_ptr().addr()..];
            self.take_token(token, rest, &mut line);
        }
        line.words = (self.words.len() - before) as u64;
        line
    }

    /// Takes what is between two spaces; `rest` is the line from there on.
    fn take_token(&mut self, token: &str, rest: &str, line: &mut Line) {
        let start = self.words.len();
        if token.is_ascii() {
            self.take_ascii(token);
        } else {
            self.take_any(token);
        }
        let added = self.words[start..].iter().map(|word| u64::from(word.characters));
        line.has_long_word |= added.max().is_some_and(|longest| longest > LONGEST_WORD);
        line.sentence_ends += u64::from(
            token
                .trim_end_matches(['"', '\'', ')', '”', '’', '»'])
                .ends_with(['.', '!', '?']),
        );
        self.take_phrases(token, rest, line);
        super::stop::note(token, &mut self.stop_words);
    }

    fn take_ascii(&mut self, token: &str) {
        let (mut letters, mut digits, mut dots) = (0, 0, 0);
        for byte in token.bytes() {
            letters += u64::from(byte.is_ascii_alphabetic());
            digits += u64::from(byte.is_ascii_digit());
            dots += u64::from(byte == b'.');
        }
        let all = token.len() as u64;
        self.letters += letters;
        self.latin_letters += letters;
        self.symbols += all - letters - digits;
        if letters + digits < all {
            self.hashes += token.bytes().filter(|byte| *byte == b'#').count() as u64;
            self.has_curly_bracket |= token.contains('{');
            if dots >= 3 {
                self.ellipses += token.matches("...").count() as u64;
            }
        }
        self.push(token.as_bytes(), all, letters, digits);
    }

    fn take_any(&mut self, token: &str) {
        let (mut start, mut all, mut letters, mut digits) = (0, 0, 0, 0);
        for (at, c) in token.char_indices() {
            let is_letter = c.is_alphabetic() || unicode_normalization::char::is_combining_mark(c);
            let is_digit = !is_letter && c.is_numeric();
            self.letters += u64::from(is_letter);
            self.latin_letters += u64::from(is_letter && c < '\u{250}');
            self.symbols += u64::from(!is_letter && !is_digit);
            self.hashes += u64::from(c == '#');
            self.ellipses += u64::from(c == '…');
            self.has_curly_bracket |= c == '{';
            self.has_replacement |= c == '\u{FFFD}';
            if stands_alone(c) {
                self.push(&token.as_bytes()[start..at], all, letters, digits);
                self.push(
                    c.encode_utf8(&mut [0; 4]).as_bytes(),
                    1,
                    u64::from(is_letter),
                    u64::from(is_digit),
                );
                self.words_alone += 1;
                (start, all, letters, digits) = (at + c.len_utf8(), 0, 0, 0);
                continue;
            }
            all += 1;
            letters += u64::from(is_letter);
            digits += u64::from(is_digit);
        }
        self.push(&token.as_bytes()[start..], all, letters, digits);
        self.ellipses += token.matches("...").count() as u64;
    }

    fn push(&mut self, bytes: &[u8], characters: u64, letters: u64, digits: u64) {
        if bytes.is_empty() {
            return;
        }
        self.words_with_letters += u64::from(letters > 0);
        if letters + digits > 0 {
            self.plain_words += 1;
            self.plain_characters += characters;
        }
        self.words.push(Word {
            hash: hash(bytes),
            characters: u32::try_from(characters).unwrap_or(u32::MAX),
        });
    }

    /// Looks for phrases that begin in `token`.
    fn take_phrases(&mut self, token: &str, rest: &str, line: &mut Line) {
        if token.len() >= 10 && contains_ignoring_case(token, b"javascript") {
            line.has_javascript = true;
        }
        if let Some(at) = token.find('[') {
            self.has_citation |= is_citation(&rest[at..]);
        }
        let word = rest.trim_start_matches(|c: char| c.is_ascii_punctuation());
        match word.as_bytes().first() {
            Some(b'l' | b'L') => self.has_lorem_ipsum |= starts_ignoring_case(word, "lorem ipsum"),
            Some(b't' | b'T' | b'p' | b'P' | b'c' | b'C' | b'u' | b'U') => {
                line.has_policy |= POLICY.iter().any(|phrase| starts_ignoring_case(word, phrase));
            }
            _ => {}
        }
    }
}

/// Characters of `text`.
fn count(text: &str) -> u64 {
    text.chars().count() as u64
}

/// Whether sentences end in `c`, or what is quoted.
fn ends_sentence(c: char) -> bool {
    matches!(
        c,
        '.' | '!'
            | '?'
            | '…'
            | '"'
            | '\''
            | '”'
            | '’'
            | '»'
            | '。'
            | '！'
            | '？'
            | '．'
            | '।'
            | '॥'
            | '؟'
            | '۔'
            | '።'
            | '။'
            | '។'
    )
}

fn starts_ignoring_case(text: &str, phrase: &str) -> bool {
    let start = text.as_bytes().get(..phrase.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(phrase.as_bytes()))
}

fn contains_ignoring_case(text: &str, phrase: &[u8]) -> bool {
    let mut places = text.as_bytes().windows(phrase.len());
    places.any(|place| place[0] | 0x20 == phrase[0] && place.eq_ignore_ascii_case(phrase))
}

/// Whether `text` begins with a note as in an encyclopedia: `[1]`, `[edit]`, `[citation needed]`.
fn is_citation(text: &str) -> bool {
    let Some((note, _)) = text[1..].split_once(']') else {
        return false;
    };
    note.bytes().all(|byte| byte.is_ascii_digit()) || note == "edit" || note == "citation needed"
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn words_and_lines_are_counted() {
        let text = "Hello, big world!\n\n - #1: 25 % …\n再见 {ok}\u{FFFD}\n";
        let measures = Measures::of(text);
        assert_eq!(measures.characters, text.chars().count() as u64);
        assert_eq!(measures.words.len(), 3 + 5 + 3);
        assert_eq!(measures.words_alone, 2);
        assert_eq!(measures.words_with_letters, 3 + 2 + 1);
        assert_eq!(measures.plain_words, 3 + 2 + 3);
        // , ! - # : % … { } and the replacement.
        assert_eq!(measures.symbols, 10);
        assert_eq!((measures.hashes, measures.ellipses, measures.newlines), (1, 1, 4));
        assert_eq!((measures.lines.len(), measures.paragraphs.len()), (3, 2));
        assert!(measures.lines[0].ends_in_punctuation && !measures.lines[0].is_bullet);
        assert!(measures.lines[1].ends_in_ellipsis && measures.lines[1].is_bullet);
        assert!(measures.has_curly_bracket && measures.has_replacement);
    }

    #[rstest]
    #[case::citation("as said [12].", |it: &Measures| it.has_citation)]
    #[case::edit("History [edit]", |it: &Measures| it.has_citation)]
    #[case::lorem_ipsum("(Lorem Ipsum dolor", |it: &Measures| it.has_lorem_ipsum)]
    #[case::javascript("enable-JavaScript!", |it: &Measures| it.lines[0].has_javascript)]
    #[case::policy("our Privacy Policy.", |it: &Measures| it.lines[0].has_policy)]
    #[case::long_word(&"x".repeat(1001), |it: &Measures| it.lines[0].has_long_word)]
    fn phrases_are_found(#[case] text: &str, #[case] is_found: fn(&Measures) -> bool) {
        assert!(is_found(&Measures::of(text)), "{text}");
        assert!(!is_found(&Measures::of(
            "as said [x] lorem java script private policies"
        )));
    }

    #[test]
    fn a_note_without_an_end_is_none() {
        assert!(!Measures::of("[[ [1 [é").has_citation);
    }
}
