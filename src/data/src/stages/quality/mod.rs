//! How good a text is: limits that the user sets, and the rules of known recipes.

mod limits;
mod measure;
mod recipes;
mod repetition;
mod stop;

pub use limits::{check, exceeded};
pub use measure::Measures;
pub use recipes::flags;

impl Measures {
    /// ISO 639-1 of the language that the most frequent words are of, if they leave no doubt.
    pub fn evident_language(&self) -> Option<&'static str> {
        stop::language(&self.stop_words)
    }

    /// Lines that occurred before: how many, and their characters.
    fn repeated_lines(&self) -> (u64, u64) {
        repetition::repeated(self.lines.iter().map(|line| (line.hash, line.characters)))
    }
}
