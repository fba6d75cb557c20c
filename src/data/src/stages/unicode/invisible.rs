//! Characters that nobody sees, and line ends.
//!
//! Out go tags, bidirectional and other controls, zero-width characters, variation selectors, soft hyphens, fillers and
//! noncharacters. What belongs to writing stays: joiners after letters of scripts that need them (Arabic, those of India
//! and its neighbours, Mongolian) and between emoji, and the selector after emoji that asks for colours. Flags of regions
//! are made of tags, and become black flags. Every kind of line end becomes `\n`.

/// What becomes of a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Stays,
    Goes,
    BreaksLine,
    /// Stays where it joins something.
    Joins,
    /// Stays after an emoji.
    Selects,
}

/// `text` without them; nothing if there are none.
pub fn remove(text: &str) -> Option<String> {
    let start = first(text)?;
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..start]);
    let mut before = out.chars().next_back();
    let mut chars = text[start..].chars().peekable();
    while let Some(c) = chars.next() {
        let after = chars.peek().copied();
        let kept = match fate(c) {
            Fate::Stays => Some(c),
            Fate::Goes => None,
            Fate::BreaksLine => (c != '\r' || after != Some('\n')).then_some('\n'),
            Fate::Joins => is_joined(c, before, after).then_some(c),
            Fate::Selects => is_selected(before, after).then_some(c),
        };
        if let Some(kept) = kept {
            out.push(kept);
            before = Some(kept);
        }
    }
    (out.len() != text.len() || out != text).then_some(out)
}

/// Where the first character is that may have to go.
fn first(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        let byte = *bytes.get(at)?;
        if matches!(byte, b' '..=b'~' | b'\n' | b'\t') {
            at += 1;
            continue;
        }
        let c = text[at..].chars().next()?;
        if fate(c) != Fate::Stays {
            return Some(at);
        }
        at += c.len_utf8();
    }
}

fn fate(c: char) -> Fate {
    match c {
        '\t' | '\n' | ' '..='~' => Fate::Stays,
        '\r' | '\u{B}' | '\u{C}' | '\u{85}' | '\u{2028}' | '\u{2029}' => Fate::BreaksLine,
        '\0'..='\u{9F}' | '\u{AD}' => Fate::Goes,
        '\u{A0}'..='\u{34E}' => Fate::Stays,
        '\u{200C}' | '\u{200D}' => Fate::Joins,
        '\u{FE0F}' => Fate::Selects,
        // Combining grapheme joiner, Arabic letter mark, fillers of Hangul, Khmer vowels that have no form.
        '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}' | '\u{17B4}' | '\u{17B5}' => {
            Fate::Goes
        }
        // Selectors and separator of Mongolian, zero width, directions, invisible operators.
        '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' => {
            Fate::Goes
        }
        // Selectors, byte order mark, annotations, noncharacters.
        '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFF0}'..='\u{FFFC}' | '\u{FDD0}'..='\u{FDEF}' => Fate::Goes,
        // Controls of shorthand and music, tags and selectors.
        '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}' => Fate::Goes,
        c if u32::from(c) & 0xFFFE == 0xFFFE => Fate::Goes,
        _ => Fate::Stays,
    }
}

fn is_joined(joiner: char, before: Option<char>, after: Option<char>) -> bool {
    let Some(before) = before else {
        return false;
    };
    let is_emoji = joiner == '\u{200D}' && (before == '\u{FE0F}' || is_pictograph(before));
    needs_joiners(before) || is_emoji && after.is_some_and(is_pictograph)
}

/// Also between a digit and the frame that makes a key of it.
fn is_selected(before: Option<char>, after: Option<char>) -> bool {
    let is_key = |c: char| matches!(c, '0'..='9' | '#' | '*') && after == Some('\u{20E3}');
    before.is_some_and(|c| is_pictograph(c) || is_key(c))
}

/// Letters and marks of scripts where a joiner changes what is read.
fn needs_joiners(c: char) -> bool {
    matches!(c, '\u{620}'..='\u{8FF}' | '\u{900}'..='\u{DFF}' | '\u{F00}'..='\u{109F}' | '\u{1780}'..='\u{17FF}'
        | '\u{1820}'..='\u{18AF}' | '\u{1A00}'..='\u{1CFF}' | '\u{A800}'..='\u{ABFF}' | '\u{FB50}'..='\u{FDCF}'
        | '\u{FDF0}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFC}' | '\u{11000}'..='\u{11FFF}')
}

/// Blocks with characters that have a form as emoji (UTS 51, Emoji and Extended_Pictographic).
fn is_pictograph(c: char) -> bool {
    matches!(c, '©' | '®' | '‼' | '⁉' | '™' | 'ℹ' | '〰' | '〽' | '㊗' | '㊙' | '\u{2190}'..='\u{21FF}'
        | '\u{2300}'..='\u{23FF}' | '\u{2460}'..='\u{24FF}' | '\u{25A0}'..='\u{27BF}' | '\u{2900}'..='\u{297F}'
        | '\u{2B00}'..='\u{2BFF}' | '\u{1F000}'..='\u{1FAFF}')
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::tags("a\u{E0041}\u{E0042}b", "ab")]
    #[case::directions("x\u{202E}y\u{202C}\u{2066}z\u{2069}\u{200F}", "xyz")]
    #[case::zero_width("ig\u{200B}no\u{200D}re\u{FEFF}\u{2060}", "ignore")]
    #[case::selectors("\u{1F600}\u{FE01}\u{E0100}a\u{FE0F}", "\u{1F600}a")]
    #[case::many_selectors("\u{2764}\u{FE0F}\u{FE0F}\u{FE0F}", "\u{2764}\u{FE0F}")]
    #[case::soft_hyphen("Donau\u{AD}dampfer", "Donaudampfer")]
    #[case::controls("a\0b\u{1B}c\u{7F}d\u{81}e", "abcde")]
    #[case::line_ends("a\r\nb\rc\u{B}d\u{C}e\u{85}f\u{2028}g\u{2029}h", "a\nb\nc\nd\ne\nf\ng\nh")]
    #[case::fillers("\u{3164}\u{115F}\u{1160}\u{FFA0}x", "x")]
    #[case::noncharacters("\u{FFFE}\u{FDD0}\u{1FFFF}x", "x")]
    #[case::joiner_in_latin("a\u{200C}b", "ab")]
    #[case::many_joiners("می\u{200C}\u{200C}خواهم", "می\u{200C}خواهم")]
    #[case::region("\u{1F3F4}\u{E0067}\u{E0062}\u{E007F}", "\u{1F3F4}")]
    fn goes(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(remove(text).as_deref(), Some(expected));
        assert_eq!(remove(expected), None);
    }

    #[rstest]
    #[case::family("\u{1F468}\u{200D}\u{1F469}\u{1F3FD}\u{200D}\u{1F467}")]
    #[case::heart("\u{2764}\u{FE0F}\u{200D}\u{1F525}")]
    #[case::key("1\u{FE0F}\u{20E3}")]
    #[case::persian("می\u{200C}خواهم")]
    #[case::indic("क\u{94D}\u{200D}ष क\u{94D}\u{200D}")]
    #[case::lines("a\n\tb")]
    #[case::private_use("\u{E000}")]
    #[case::replacement("\u{FFFD}")]
    fn stays(#[case] text: &str) {
        assert_eq!(remove(text), None);
    }
}
