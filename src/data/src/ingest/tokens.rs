//! How many tokens a text has, estimated without the model's tokenizer.
//!
//! The gateway has no way to count them, so this counts rather more than vocabularies of some ten thousand pieces do: a
//! word of Latin letters is a piece for each four letters, letters of other scripts and marks are pieces of their own. A
//! chunk that is too long for its model all the same is embedded by its beginning, and cited as a whole.

/// Pieces of a text, estimated.
pub fn tokens(text: &str) -> usize {
    let mut count = 0;
    let mut chars = text.chars().peekable();
    while let Some(first) = chars.next() {
        if first.is_whitespace() {
            continue;
        }
        let class = class(first);
        let mut length = 1_usize;
        while class != Class::Alone && chars.peek().is_some_and(|next| self::class(*next) == class) {
            chars.next();
            length += 1;
        }
        count += match class {
            Class::Plain => length.div_ceil(4),
            Class::Accented | Class::Digit => length.div_ceil(2),
            Class::Alone => 1,
        };
    }
    count
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Plain,
    Accented,
    Digit,
    Alone,
}

fn class(c: char) -> Class {
    match c {
        'a'..='z' | 'A'..='Z' => Class::Plain,
        '0'..='9' => Class::Digit,
        // Latin, Greek, Cyrillic, Hebrew, Arabic: letters that make words.
        '\u{c0}'..='\u{8ff}' if c.is_alphabetic() => Class::Accented,
        _ => Class::Alone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rather_more_than_fewer() {
        // By the vocabulary of BERT: 10, 13, 6, 7.
        assert!(tokens("The harbour master counts the ships at dawn.") >= 10);
        assert!(tokens("Internationalization of telecommunication standards, 2024-11-23") >= 13);
        assert!(tokens("委員会は春に") >= 6);
        assert_eq!(tokens(""), 0);
        assert_eq!(tokens(" \n\t"), 0);
        assert_eq!(tokens("a b, c"), 4);
    }
}
