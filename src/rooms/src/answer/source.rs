//! A chunk that an answer may cite, looked at once for all sentences.

use std::ops::Range;

use super::{
    sentences::sentences,
    text::{
        dates::{Dated, dates},
        language::{Language, language},
        negation,
        numbers::{Number, numbers},
        words::{Word, share, words},
    },
};
use crate::document::Chunk;

/// Longest quote, in bytes.
const MAX_QUOTE: usize = 400;

/// A chunk that an answer may cite, by its place in the list of hits.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    chunk: &'a Chunk,
    parts: Vec<Part>,
    /// Words of its headings and of the names of its document and source, which its sentences are about.
    about: Vec<Word>,
    is_rows: bool,
    is_english: bool,
}

/// A sentence of a chunk.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub range: Range<usize>,
    pub text: String,
    pub words: Vec<Word>,
    pub numbers: Vec<Number>,
    pub dates: Vec<Dated>,
}

impl Part {
    pub fn of(text: &str, at: usize) -> Self {
        let words = words(text);
        Self {
            range: at..at + text.len(),
            numbers: numbers(text, &words),
            dates: dates(text, &words),
            text: text.to_owned(),
            words,
        }
    }

    pub fn clauses(&self) -> Vec<Vec<&Word>> {
        negation::clauses(&self.text, &self.words)
    }
}

impl<'a> Source<'a> {
    /// Looks at a chunk.
    pub fn of(chunk: &'a Chunk) -> Self {
        let parts = sentences(&chunk.text);
        let about = format!(
            "{}\n{}\n{}",
            chunk.place.headings.join("\n"),
            chunk.document,
            chunk.source
        );
        let parts: Vec<Part> = parts
            .into_iter()
            .map(|range| Part::of(&chunk.text[range.clone()], range.start))
            .collect();
        let folded = parts.iter().flat_map(|part| &part.words).map(|word| &*word.folded);
        Self {
            about: words(&about),
            is_rows: false,
            is_english: language(folded) == Language::English,
            parts,
            chunk,
        }
    }

    /// The same for rows that a database answered: they are no sentences, and say what they are about in the question that
    /// the database was asked.
    pub fn of_rows(chunk: &'a Chunk) -> Self {
        Self {
            is_rows: true,
            ..Self::of(chunk)
        }
    }

    /// Whether its sentences may be looked at for what they tell: they are sentences, and in English.
    pub(super) fn is_prose(&self) -> bool {
        !self.is_rows && self.is_english
    }

    /// The chunk.
    pub fn chunk(&self) -> &'a Chunk {
        self.chunk
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(super) fn about(&self) -> &[Word] {
        &self.about
    }

    /// All its words.
    pub(super) fn words(&self) -> impl Iterator<Item = &Word> + Clone {
        self.parts.iter().flat_map(|part| &part.words).chain(&self.about)
    }

    /// The sentences of the chunk, one or two, that say most of `claim`: as a range of bytes of its text.
    pub fn quote(&self, claim: &str) -> Range<usize> {
        let claim = words(claim);
        let wanted: Vec<&Word> = claim
            .iter()
            .filter(|word| word.is_telling || word.text.contains(char::is_numeric))
            .collect();
        let score = |parts: &[Part]| share(&wanted, parts.iter().flat_map(|part| &part.words));
        let one = self.parts.windows(1).map(|parts| (score(parts), parts));
        let two = self.parts.windows(2).map(|parts| (score(parts) - 0.1, parts));
        let best = one
            .chain(two)
            .reduce(|best, other| if other.0 > best.0 { other } else { best });
        let Some((_, [first, ..])) = best else {
            return 0..0;
        };
        let last = best.and_then(|(_, parts)| parts.last()).unwrap_or(first);
        let text = &self.chunk.text;
        let end = text.floor_char_boundary(last.range.end.min(first.range.start + MAX_QUOTE));
        let quote = &text[first.range.start..end];
        let start = first.range.start + (quote.len() - quote.trim_start().len());
        start..start + quote.trim().len()
    }
}

#[cfg(test)]
pub(super) mod testing {
    use crate::document::{Acl, Chunk, ChunkId, Place};
    use crate::grant::Clearance;

    /// A chunk of a text.
    pub fn chunk(id: i64, text: &str) -> Chunk {
        Chunk {
            id: ChunkId(id),
            document: format!("document-{id}.txt"),
            source: "docs".into(),
            place: Place::default(),
            text: text.into(),
            clearance: Clearance(0),
            acl: Acl::everyone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{testing::chunk, *};

    #[test]
    fn the_sentence_that_says_most_is_quoted() {
        let chunk = chunk(
            1,
            "Rooms are clean. The deposit is 50 EUR. It is paid back after 14 days.\n\nPets may stay.",
        );
        let source = Source::of(&chunk);
        let quote = |claim: &str| &chunk.text[source.quote(claim)];
        assert_eq!(quote("A deposit of 50 EUR is due"), "The deposit is 50 EUR.");
        assert_eq!(
            quote("The deposit is paid back after 14 days"),
            "The deposit is 50 EUR. It is paid back after 14 days."
        );
        assert_eq!(quote("pets"), "Pets may stay.");
        let empty = super::testing::chunk(2, "");
        assert_eq!(Source::of(&empty).quote("x"), 0..0);
    }
}
