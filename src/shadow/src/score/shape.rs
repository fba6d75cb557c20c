//! Answers that have collapsed: empty, cut off, or going round in circles.

use std::collections::HashSet;

use unicode_segmentation::UnicodeSegmentation as _;

use crate::answer::{Answer, Finish, Outcome};

/// What is wrong with the shape of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// It says nothing and calls nothing.
    pub is_empty: bool,
    /// It ended because it was as long as it may be.
    pub is_truncated: bool,
    /// It says the same again and again.
    pub is_repetitive: bool,
}

/// Words that follow each other and are looked at together.
const GRAM: usize = 4;
/// Fewer words are never repetitive: lists and refrains are short.
const LEAST: usize = 32;
/// Words that are looked at, from the end, where a loop is.
const LAST: usize = 512;
/// Share of the sequences of words that must be new.
const NEW: f64 = 0.5;

impl Shape {
    /// The shape of an answer.
    pub fn of(answer: &Answer) -> Self {
        Self {
            is_empty: answer.text.trim().is_empty() && answer.tool_calls.is_empty(),
            is_truncated: answer.outcome == Outcome::Finished(Finish::Length),
            is_repetitive: is_repetitive(&answer.text),
        }
    }
}

/// Whether fewer than half of the sequences of four words among the last 512 words are distinct: seq-rep-4 of Welleck et
/// al. 2019 ("Neural Text Generation with Unlikelihood Training", 6.1) above 0.5. Human texts have less than 0.05.
fn is_repetitive(text: &str) -> bool {
    let mut words: Vec<&str> = text.unicode_words().rev().take(LAST).collect();
    if words.len() < LEAST {
        // One endless word, or nothing but punctuation, has no words to repeat.
        return is_run(text);
    }
    words.reverse();
    let grams = words.len() + 1 - GRAM;
    let distinct: HashSet<&[&str]> = words.windows(GRAM).collect();
    (distinct.len() as f64) < NEW * grams as f64
}

/// Whether a text ends in a long run of one character.
fn is_run(text: &str) -> bool {
    const RUN: usize = 64;
    let mut last = text.trim_end().chars().rev();
    let Some(first) = last.next() else { return false };
    // Rulers of tables and separators are such runs as well.
    let is_ruler = matches!(first, '-' | '=' | '_' | '*' | '─' | '|' | '.');
    let most = if is_ruler { 4 * RUN } else { RUN };
    last.take(most - 1).filter(|c| *c == first).count() == most - 1
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::answer::testing::{called, said};

    const PROSE: &str = "Refunds are paid within fourteen days of the day on which the goods came back to us, by the way \
        in which they were paid for. Sale items are exchanged and not refunded, unless they were damaged when they arrived; \
        write to us within a week if that is so, with a picture of the damage and the number of the order.";

    #[rstest]
    #[case::prose(PROSE.into(), false)]
    #[case::loop_of_words("I am sorry about that. ".repeat(20), true)]
    #[case::loop_at_the_end(format!("{PROSE} {PROSE} {}", "and so on and on ".repeat(120)), true)]
    #[case::short_refrain("no ".repeat(20), false)]
    #[case::endless_word("a".repeat(500), true)]
    #[case::exclamations("!".repeat(100), true)]
    #[case::ruler(format!("Table\n{}", "-".repeat(80)), false)]
    #[case::list((1..40).map(|i| format!("{i}. item number {i}\n")).collect(), false)]
    #[case::ideographs("我不知道".repeat(30), true)]
    fn loops_are_found(#[case] text: String, #[case] expected: bool) {
        assert_eq!(Shape::of(&said(&text)).is_repetitive, expected);
    }

    #[test]
    fn what_calls_a_tool_is_not_empty() {
        assert!(Shape::of(&said(" \n")).is_empty);
        assert!(!Shape::of(&called("f", "{}")).is_empty);
        assert!(!Shape::of(&said("a")).is_empty);
    }

    #[test]
    fn an_answer_that_may_not_go_on_is_truncated() {
        let cut = Answer {
            outcome: Outcome::Finished(Finish::Length),
            ..said("a")
        };
        assert!(Shape::of(&cut).is_truncated && !Shape::of(&said("a")).is_truncated);
    }
}
