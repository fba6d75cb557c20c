//! Texts of others, as a terminal may be given them.

use std::io::Write as _;

use anyhow::{Context as _, Result};

/// Columns of a terminal that does not tell.
const WIDTH: usize = 80;

/// Prints a text at once.
///
/// # Errors
/// When nobody reads it.
pub fn print(text: &str) -> Result<()> {
    let mut output = std::io::stdout();
    let printed = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    printed.context("failed to write to standard output")
}

/// Columns and rows of the terminal.
pub fn size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(std::io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => (WIDTH, usize::MAX),
    }
}

/// A line without what a terminal would obey, and without what turns the order of its letters around.
pub fn clean(text: &str) -> String {
    text.chars().map(visible).collect()
}

/// The same, with its own lines.
pub fn clean_lines(text: &str) -> String {
    let keep = |letter| if letter == '\n' { letter } else { visible(letter) };
    text.chars().map(keep).collect()
}

fn visible(letter: char) -> char {
    // Unicode's bidirectional controls, UAX #9.
    let turns =
        matches!(letter, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if letter.is_control() || turns { ' ' } else { letter }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_obeyed_and_nothing_is_turned_around() {
        assert_eq!(clean("a\u{1b}[2Jb\nc"), "a [2Jb c");
        assert_eq!(clean("invoice\u{202e}fdp.exe"), "invoice fdp.exe");
        assert_eq!(clean_lines("ä\r\nb\u{7}"), "ä \nb ");
    }
}
