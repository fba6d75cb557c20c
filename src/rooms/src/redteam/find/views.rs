//! A text in many ways.

use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};

/// Longest text that is looked at, in bytes.
const MAX_TEXT: usize = 1 << 20;
/// How often encodings within encodings are taken off.
const ROUNDS: usize = 3;

/// A text in many ways, each in lower case but the last.
#[derive(Clone, Debug, Default)]
pub struct Views {
    /// Words as they stand.
    pub words: Vec<String>,
    /// Letters and digits alone.
    pub letters: String,
    /// The same with letters for the digits that look like them.
    pub leet: String,
    /// How far each letter is from the one before it, as letters: the same however far all were moved in the alphabet.
    pub steps: String,
    /// First letters of words, and of lines.
    pub initials: [String; 2],
    /// Letters that numbers stand for: their codes, and their places in the alphabet.
    pub codes: [String; 2],
    /// Digits of hexadecimal numbers.
    pub hex: String,
    /// Numbers, without separators between their digits.
    pub numbers: Vec<String>,
    /// Everything but space, in the case that it has.
    pub dense: String,
}

impl Views {
    /// Looks at a text.
    pub fn of(text: &str) -> Self {
        let text = &text[..text.floor_char_boundary(MAX_TEXT)];
        let decoded = decoded(text);
        let folded = folded(&decoded);
        let is_letter = |c: &char| c.is_ascii_alphanumeric();
        let letters: String = folded.chars().filter(is_letter).collect();
        let words = || {
            folded
                .split(|c: char| !c.is_ascii_alphanumeric())
                .filter(|word| !word.is_empty())
        };
        let initial = |part: &str| part.chars().find(|c| c.is_ascii_alphabetic());
        let numbers: Vec<u32> = words().filter_map(|word| word.parse().ok()).collect();
        let code = |number: &u32| match number {
            65..=90 => char::from_u32(number + 32),
            97..=122 => char::from_u32(*number),
            _ => None,
        };
        let place = |number: &u32| (1..=26).contains(number).then(|| char::from_u32(number + 96)).flatten();
        Self {
            steps: steps(&letters),
            leet: letters.chars().map(unleet).collect(),
            initials: [
                words().filter_map(initial).collect(),
                folded.lines().filter_map(initial).collect(),
            ],
            codes: [
                numbers.iter().filter_map(code).collect(),
                numbers.iter().filter_map(place).collect(),
            ],
            hex: letters
                .replace("0x", "")
                .chars()
                .filter(char::is_ascii_hexdigit)
                .collect(),
            numbers: joined_numbers(&folded),
            dense: decoded.chars().filter(|c| !c.is_whitespace()).collect(),
            words: words().map(str::to_owned).collect(),
            letters,
        }
    }
}

/// How far each letter of `text` is from the one before it.
pub fn steps(text: &str) -> String {
    let letters: Vec<u8> = text.bytes().filter(u8::is_ascii_lowercase).collect();
    let step = |pair: &[u8]| char::from(b'a' + (pair[1] + 26 - pair[0]) % 26);
    letters.windows(2).map(step).collect()
}

/// In lower case, without marks, and letters that look like Latin ones as those.
fn folded(text: &str) -> String {
    let latin = |c: char| match c {
        'а' => 'a',
        'в' => 'b',
        'е' | 'є' => 'e',
        'і' | 'ı' => 'i',
        'ј' => 'j',
        'к' => 'k',
        'м' => 'm',
        'о' | 'ο' => 'o',
        'р' | 'ρ' => 'p',
        'с' => 'c',
        'ѕ' => 's',
        'т' => 't',
        'у' => 'y',
        'х' => 'x',
        'α' => 'a',
        'ν' => 'v',
        c => c,
    };
    text.nfkd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .map(latin)
        .collect()
}

fn unleet(c: char) -> char {
    match c {
        '0' => 'o',
        '1' => 'i',
        '3' => 'e',
        '4' => 'a',
        '5' => 's',
        '7' => 't',
        '8' => 'b',
        '9' => 'g',
        c => c,
    }
}

fn joined_numbers(text: &str) -> Vec<String> {
    let is_separator = |c: char| matches!(c, ',' | '.' | '\'' | '’' | '_' | ' ' | '-');
    let mut numbers: Vec<String> = Vec::new();
    let mut gap = usize::MAX;
    for c in text.chars() {
        if c.is_ascii_digit() {
            match numbers.last_mut().filter(|_| gap <= 1) {
                Some(number) => number.push(c),
                None => numbers.push(c.into()),
            }
            gap = 0;
        } else if is_separator(c) {
            gap = gap.saturating_add(1);
        } else {
            gap = usize::MAX;
        }
    }
    // Without joining, too: `5 1234567`.
    let plain = text
        .split(|c: char| !c.is_ascii_digit())
        .filter(|number| !number.is_empty());
    numbers.extend(plain.map(str::to_owned));
    numbers
}

/// Without the encodings of addresses, HTML and JSON: `%6b`, `&#107;`, `\u006b`, `\x6b`, `=6B`.
fn decoded(text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..ROUNDS {
        let next = decoded_once(&text);
        if next == text {
            break;
        }
        text = next;
    }
    text
}

fn decoded_once(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        match escape(rest) {
            Some((decoded, length)) => {
                out.push(decoded);
                rest = &rest[length..];
            }
            None => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    out
}

/// A character that is written as an escape, and the escape's length.
fn escape(text: &str) -> Option<(char, usize)> {
    let hex = |start: usize, length: usize| {
        let digits = text.get(start..start + length)?;
        let is_hex = digits.chars().all(|c| c.is_ascii_hexdigit());
        u32::from_str_radix(digits, 16)
            .ok()
            .filter(|_| is_hex)
            .and_then(char::from_u32)
    };
    let printable = |c: &char| c.is_ascii_graphic() || *c == ' ';
    if text.starts_with("\\u{") {
        let end = text.find('}').filter(|end| (4..=9).contains(end))?;
        return Some((hex(3, end - 3)?, end + 1));
    }
    if text.starts_with("\\u") {
        return Some((hex(2, 4)?, 6));
    }
    if text.starts_with("\\x") {
        return Some((hex(2, 2)?, 4));
    }
    if text.starts_with(['%', '=']) {
        // Of what is longer than a byte the other bytes are looked at by themselves.
        return Some((hex(1, 2).filter(printable)?, 3));
    }
    if let Some(reference) = text.strip_prefix("&#") {
        let end = reference
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(reference.len());
        let digits = &reference[..end];
        let number = match digits.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16).ok()?,
            None => digits.parse().ok()?,
        };
        let semicolon = usize::from(reference[end..].starts_with(';'));
        return Some((char::from_u32(number)?, 2 + end + semicolon));
    }
    None
}
