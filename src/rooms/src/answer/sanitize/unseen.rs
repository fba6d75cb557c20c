//! Characters that nobody sees, and sequences that terminals obey.
//!
//! What is removed from documents when they are read is told in `data`'s stage for Unicode; a model may write it again.

/// Longest control sequence that is looked for, in characters. Of a longer one only the beginning is removed.
const MAX_SEQUENCE: usize = 2048;

/// Takes characters one by one and lets those through that a reader sees.
#[derive(Clone, Debug, Default)]
pub struct Unseen {
    state: State,
    /// Text of a sequence that has not ended, to be given out if it never does.
    inside: String,
    /// The last character that was let through.
    last: Option<char>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum State {
    #[default]
    Text,
    /// Behind an escape character.
    Escape,
    /// Parameters, until a letter: colours and positions (ECMA-48, CSI).
    Control,
    /// A string, until its end: titles and links (OSC and its like).
    String,
    /// A string in which an escape character was: perhaps its end.
    StringEscape,
}

impl Unseen {
    /// Takes a character and adds to `out` what is seen.
    pub fn push(&mut self, c: char, out: &mut String) {
        self.state = match (self.state, c) {
            (State::String, '\u{1B}') => State::StringEscape,
            (_, '\u{1B}') => State::Escape,
            (_, '\u{9B}') => State::Control,
            (_, '\u{90}' | '\u{98}' | '\u{9D}'..='\u{9F}') => State::String,
            (State::Text, c) => {
                self.text(c, out);
                State::Text
            }
            (State::Escape, '[') => State::Control,
            (State::Escape, ']' | 'P' | 'X' | '^' | '_') => State::String,
            (State::Escape, ' '..='/') => State::Escape,
            (State::Escape, _) => State::Text,
            (State::Control, '\u{20}'..='\u{3F}') => State::Control,
            (State::Control, '\u{40}'..='\u{7E}') => State::Text,
            // No sequence goes on like that: it ends here.
            (State::Control, c) => {
                self.text(c, out);
                State::Text
            }
            (State::String, '\u{7}' | '\u{9C}') | (State::StringEscape, '\\') => {
                self.inside.clear();
                State::Text
            }
            (State::String | State::StringEscape, c) => {
                self.inside.push(c);
                // A new line ends it as well, for a text that begins one by accident has more lines.
                if c == '\n' || self.inside.chars().count() >= MAX_SEQUENCE {
                    for c in std::mem::take(&mut self.inside).chars() {
                        self.text(c, out);
                    }
                    State::Text
                } else {
                    State::String
                }
            }
        };
    }

    fn text(&mut self, c: char, out: &mut String) {
        let is_seen = match c {
            '\u{2028}' | '\u{2029}' | '\u{85}' => {
                self.last = Some('\n');
                out.push('\n');
                return;
            }
            '\n' | '\t' => true,
            c if c.is_control() => false,
            // One joiner or selector behind a character that may have one.
            '\u{200C}' | '\u{200D}' => self
                .last
                .is_some_and(|last| joins(last) || is_picture(last) || last == '\u{FE0F}'),
            '\u{FE0E}' | '\u{FE0F}' => self.last.is_some_and(is_picture),
            c => !is_unseen(c),
        };
        if is_seen {
            self.last = Some(c);
            out.push(c);
        }
    }
}

/// Characters without a picture of their own (Unicode, Default_Ignorable_Code_Point), controls of direction,
/// annotations and tags.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}'
        | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{E0FFF}')
}

/// Letters of scripts where a joiner changes what is read.
fn joins(c: char) -> bool {
    matches!(c, '\u{620}'..='\u{8FF}' | '\u{900}'..='\u{DFF}' | '\u{F00}'..='\u{109F}' | '\u{1780}'..='\u{17FF}'
        | '\u{1A00}'..='\u{1CFF}' | '\u{A800}'..='\u{ABFF}' | '\u{11000}'..='\u{11FFF}')
}

/// Characters that may be pictures.
fn is_picture(c: char) -> bool {
    matches!(c, '©' | '®' | '\u{203C}'..='\u{2049}' | '\u{2100}'..='\u{2BFF}' | '\u{3030}' | '\u{303D}' | '\u{3297}' | '\u{3299}'
        | '\u{1F000}'..='\u{1FAFF}')
}
