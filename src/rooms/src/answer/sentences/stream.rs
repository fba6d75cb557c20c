//! Sentences of a text that comes in pieces.

use super::end::first;

/// Gives out sentences as soon as they have ended for certain, the same ones that the whole text has.
#[derive(Clone, Debug, Default)]
pub struct Splitter {
    held: String,
}

impl Splitter {
    /// Takes the next piece and gives out what has ended.
    pub fn push(&mut self, piece: &str) -> Vec<String> {
        self.held.push_str(piece);
        let mut found = Vec::new();
        while let Some(end) = first(&self.held, false) {
            let rest = self.held.split_off(end);
            found.push(std::mem::replace(&mut self.held, rest));
        }
        found
    }

    /// The text ends: gives out the rest.
    pub fn finish(&mut self) -> Vec<String> {
        let held = std::mem::take(&mut self.held);
        let ranges = super::sentences(&held);
        ranges.into_iter().map(|range| held[range].to_owned()).collect()
    }

    /// Bytes that are held back.
    pub fn held(&self) -> usize {
        self.held.len()
    }
}
