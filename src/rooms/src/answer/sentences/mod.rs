//! Where sentences end.
//!
//! Sentences are parts of a text that follow each other without a gap: put together they are the text. A sentence ends
//! behind its full stop and behind what belongs to it: closing quotes, and the marks of citations, also where they
//! stand behind the full stop. It does not end behind abbreviations, initials, numbers of lists and ordinal numbers.
//! Items of lists, headings, rows of tables and blocks of code are sentences, too.

mod abbreviations;
mod end;
mod look;
mod stream;

#[cfg(test)]
mod tests;

pub use stream::Splitter;

use std::ops::Range;

/// Longest sentence, in bytes. A longer one is cut at a space.
pub const MAX_SENTENCE: usize = 4096;

/// The sentences of a text, as ranges of bytes.
pub fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let length = end::first(&text[start..], true).unwrap_or(text.len() - start);
        found.push(start..start + length);
        start += length;
    }
    found
}
