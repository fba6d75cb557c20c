//! One form each of quotation marks, apostrophes, dashes, ellipses and spaces, as in the normalizer of Moses.
//!
//! Only what is not ASCII is changed, so code and markup stay as they are but for the typographic signs in them. Commas and
//! full stops of other scripts stay, too.

use std::borrow::Cow;

/// What a character is written as.
#[derive(Clone, Copy, Debug)]
enum Form {
    Text(&'static str),
    /// A dash with a space on both sides.
    Apart,
}

/// `text` with one form of everything.
pub fn normalize(text: &str) -> Cow<'_, str> {
    let Some(start) = first(text) else {
        return text.into();
    };
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..start]);
    let mut chars = text[start..].chars().peekable();
    while let Some(c) = chars.next() {
        match form(c) {
            None => out.push(c),
            Some(Form::Text(text)) => out.push_str(text),
            Some(Form::Apart) => {
                if out.chars().next_back().is_some_and(|before| !before.is_whitespace()) {
                    out.push(' ');
                }
                out.push('-');
                if chars.peek().is_some_and(|after| !after.is_whitespace()) {
                    out.push(' ');
                }
            }
        }
    }
    out.into()
}

/// Where the first character is that has another form.
fn first(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        if bytes.get(at)?.is_ascii() {
            at += 1;
            continue;
        }
        let c = text[at..].chars().next()?;
        if form(c).is_some() {
            return Some(at);
        }
        at += c.len_utf8();
    }
}

fn form(c: char) -> Option<Form> {
    let text = match c {
        '“' | '”' | '„' | '‟' | '«' | '»' | '〝' | '〞' | '〟' => "\"",
        '‘' | '’' | '‚' | '‛' | '‹' | '›' | '´' => "'",
        '\u{2010}'..='\u{2013}' | '−' => "-",
        '—' | '―' | '⸺' | '⸻' => return Some(Form::Apart),
        '…' => "...",
        '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}' => " ",
        _ => return None,
    };
    Some(Form::Text(text))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::double_quotes("“a” „b“ «c»", "\"a\" \"b\" \"c\"")]
    #[case::single_quotes("it’s ‘a’ ‚b‘ ‹c›", "it's 'a' 'b' 'c'")]
    #[case::dashes("1–2, re‑use, −5", "1-2, re-use, -5")]
    #[case::long_dashes("a—b — c\u{A0}—\u{A0}d", "a - b - c - d")]
    #[case::a_dash_at_the_ends("—a\n—b—", "- a\n- b -")]
    #[case::ellipsis("well…", "well...")]
    #[case::spaces("5\u{A0}kg\u{202F}!\u{3000}x", "5 kg ! x")]
    #[case::code("f(``x'', '--y', \"...\")  # z", "f(``x'', '--y', \"...\")  # z")]
    #[case::other_scripts("你好，世界。", "你好，世界。")]
    fn has_one_form(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(normalize(text), expected);
        assert!(matches!(normalize(expected), Cow::Borrowed(_)));
    }
}
