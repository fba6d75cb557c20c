//! Text of strangers, so that what is there is what is seen.

/// Writes what has no picture of its own, or changes the order of what is around it, as `\u{202e}`: a model's answer must
/// not look like another one, nor command a terminal. New lines and tabs stay.
pub fn visible(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => seen.push(c),
            c if c.is_control() || is_unseen(c) => seen.extend(c.escape_unicode()),
            c => seen.push(c),
        }
    }
    seen
}

/// The same on one line.
pub fn line(text: &str) -> String {
    visible(text).replace(['\n', '\t'], " ")
}

/// Marks of direction, characters without width, separators of lines, private and ignorable ones. Joiners are left: emoji
/// and words of some scripts are made with them.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{e000}'..='\u{f8ff}'
        | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_hidden_is_seen() {
        assert_eq!(
            visible("a\u{202e}b\u{0}\u{1b}[31m\u{200b}\u{feff}"),
            "a\\u{202e}b\\u{0}\\u{1b}[31m\\u{200b}\\u{feff}"
        );
        assert_eq!(visible("tag\u{e0041}"), "tag\\u{e0041}");
        assert_eq!(visible("Zażółć\n\t👨‍👩‍👧 עברית"), "Zażółć\n\t👨‍👩‍👧 עברית");
        assert_eq!(line("a\nb\tc"), "a b c");
    }

    proptest! {
        #[test]
        fn no_control_character_is_left(text in any::<String>()) {
            prop_assert!(line(&text).chars().all(|c| !c.is_control() && !is_unseen(c)));
        }
    }
}
