//! Whether a text is JSON (RFC 8259), told as soon as it cannot be any more.

/// Reads one JSON text byte by byte. It needs no more memory than the nesting is deep.
#[derive(Clone, Debug, Default)]
pub struct Validator {
    /// Whether each open bracket is an object's.
    open: Vec<bool>,
    expects: Expects,
    has_failed: bool,
}

/// Deeper nesting counts as none: parsers give up there.
const MAX_DEPTH: usize = 128;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expects {
    #[default]
    Value,
    ValueOrEnd,
    KeyOrEnd,
    Key,
    Colon,
    CommaOrEnd,
    /// Inside a string; of a key if so.
    Text(bool),
    Escaped(bool),
    Hex(bool, u8),
    /// The rest of a literal.
    Word(&'static [u8]),
    Number(Number),
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Minus,
    Zero,
    Digits,
    Dot,
    Fraction,
    E,
    Sign,
    Exponent,
}

impl Number {
    fn next(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus, b'1'..=b'9') | (Self::Digits, b'0'..=b'9') => Self::Digits,
            (Self::Zero | Self::Digits, b'.') => Self::Dot,
            (Self::Dot | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Digits | Self::Fraction, b'e' | b'E') => Self::E,
            (Self::E, b'+' | b'-') => Self::Sign,
            (Self::E | Self::Sign | Self::Exponent, b'0'..=b'9') => Self::Exponent,
            _ => return None,
        })
    }

    fn may_end(self) -> bool {
        matches!(self, Self::Zero | Self::Digits | Self::Fraction | Self::Exponent)
    }
}

impl Validator {
    /// Takes the next byte; `false`, once, if the text cannot be JSON any more.
    pub fn push(&mut self, byte: u8) -> bool {
        if self.has_failed {
            return true;
        }
        self.has_failed = self.next(byte).is_none();
        !self.has_failed
    }

    /// Whether the text may end here. One that has failed was told of before.
    pub fn is_complete(&self) -> bool {
        let ends = match self.expects {
            Expects::Nothing => true,
            Expects::Number(number) => self.open.is_empty() && number.may_end(),
            _ => false,
        };
        ends || self.has_failed
    }

    fn next(&mut self, byte: u8) -> Option<()> {
        let is_blank = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        self.expects = match self.expects {
            Expects::Text(is_key) => match byte {
                b'"' if is_key => Expects::Colon,
                b'"' => self.after_value(),
                b'\\' => Expects::Escaped(is_key),
                0..0x20 => return None,
                _ => Expects::Text(is_key),
            },
            Expects::Escaped(is_key) => match byte {
                b'u' => Expects::Hex(is_key, 4),
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Expects::Text(is_key),
                _ => return None,
            },
            Expects::Hex(is_key, left) if byte.is_ascii_hexdigit() => match left {
                1 => Expects::Text(is_key),
                left => Expects::Hex(is_key, left - 1),
            },
            Expects::Word([next, rest @ ..]) if *next == byte => match rest {
                [] => self.after_value(),
                rest => Expects::Word(rest),
            },
            Expects::Number(number) => match number.next(byte) {
                Some(number) => Expects::Number(number),
                None if number.may_end() => {
                    self.expects = self.after_value();
                    return self.next(byte);
                }
                None => return None,
            },
            expects if is_blank && !matches!(expects, Expects::Hex(..) | Expects::Word(_)) => expects,
            Expects::ValueOrEnd if byte == b']' => self.close(false)?,
            Expects::Value | Expects::ValueOrEnd => self.value(byte)?,
            Expects::KeyOrEnd if byte == b'}' => self.close(true)?,
            Expects::Key | Expects::KeyOrEnd if byte == b'"' => Expects::Text(true),
            Expects::Colon if byte == b':' => Expects::Value,
            Expects::CommaOrEnd => match (byte, self.open.last()?) {
                (b',', true) => Expects::Key,
                (b',', false) => Expects::Value,
                (b'}', true) => self.close(true)?,
                (b']', false) => self.close(false)?,
                _ => return None,
            },
            _ => return None,
        };
        Some(())
    }

    fn value(&mut self, byte: u8) -> Option<Expects> {
        Some(match byte {
            b'{' => self.open(true)?,
            b'[' => self.open(false)?,
            b'"' => Expects::Text(false),
            b't' => Expects::Word(b"rue"),
            b'f' => Expects::Word(b"alse"),
            b'n' => Expects::Word(b"ull"),
            b'-' => Expects::Number(Number::Minus),
            b'0' => Expects::Number(Number::Zero),
            b'1'..=b'9' => Expects::Number(Number::Digits),
            _ => return None,
        })
    }

    fn open(&mut self, is_object: bool) -> Option<Expects> {
        if self.open.len() == MAX_DEPTH {
            return None;
        }
        self.open.push(is_object);
        Some(match is_object {
            true => Expects::KeyOrEnd,
            false => Expects::ValueOrEnd,
        })
    }

    fn close(&mut self, is_object: bool) -> Option<Expects> {
        self.open.pop().filter(|open| *open == is_object)?;
        Some(self.after_value())
    }

    fn after_value(&self) -> Expects {
        match self.open.is_empty() {
            true => Expects::Nothing,
            false => Expects::CommaOrEnd,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn is_json(text: &str) -> bool {
        let mut validator = Validator::default();
        let fails = text.bytes().any(|byte| !validator.push(byte));
        !fails && validator.is_complete()
    }

    #[rstest]
    #[case(r#" {"a": [1, -0.5e+3, "x\u00e9\n", true, null, {}, []]} "#, true)]
    #[case("0", true)]
    #[case("01", false)]
    #[case("[1,]", false)]
    #[case(r#"{"a":1,}"#, false)]
    #[case(r#"{"a" 1}"#, false)]
    #[case("\"a\tb\"", false)]
    #[case(r#""\x""#, false)]
    #[case("tru", false)]
    #[case("t rue", false)]
    #[case("1 2", false)]
    #[case("[}", false)]
    #[case("```json\n{}\n```", false)]
    #[case("", false)]
    fn json_is_told_from_the_rest(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(is_json(text), expected);
    }

    #[test]
    fn nesting_has_an_end() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(is_json(&nested(MAX_DEPTH)));
        assert!(!is_json(&nested(MAX_DEPTH + 1)));
    }

    proptest! {
        #[test]
        fn we_agree_with_another_parser(text in r#"[\[\]{}:,"\\ute0-9.+-]{0,12}"#) {
            let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(is_json(&text), theirs, "{}", text);
        }
    }
}
