//! Whether an answer goes round in circles, as those of small models do.

use std::collections::HashMap;

use super::text::words::words;

/// Words in a row that are the same each time: fewer also repeat in lists.
const ROW: usize = 8;
/// Times that they may be said.
const TIMES: usize = 2;

/// The words of an answer so far.
#[derive(Debug, Default)]
pub struct Repeats {
    words: Vec<String>,
    rows: HashMap<Vec<String>, usize>,
}

impl Repeats {
    /// Adds what comes next, and tells whether it is a repetition.
    pub fn add(&mut self, text: &str) -> bool {
        let mut is_one = false;
        for word in words(text) {
            self.words.push(word.folded);
            if let Some(row) = self.words.last_chunk::<ROW>() {
                let times = self.rows.entry(row.to_vec()).or_default();
                *times += 1;
                is_one |= *times > TIMES;
            }
        }
        is_one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_are_seen_and_lists_are_not() {
        let mut repeats = Repeats::default();
        assert!(!repeats.add("The deposit for a single room is 50 EUR. The deposit for a double room is 80 EUR."));
        assert!(!repeats.add("The deposit for a suite is 120 EUR."));
        assert!(Repeats::default().add(&"So the answer is: ".repeat(6)));
        let circle = "The man who was shot is the person who was shot at the parlour, ";
        let mut repeats = Repeats::default();
        assert!(!repeats.add(circle) && !repeats.add(circle) && repeats.add(circle));
    }
}
