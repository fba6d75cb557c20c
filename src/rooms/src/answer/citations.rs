//! Marks of citations in an answer, and what they point at.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::source::Source;
use crate::document::{ChunkId, Place};

/// Longest range of numbers, `[1-4]`, that is taken for what it says.
const MAX_RANGE: usize = 20;

/// A mark in a text: `[1]`, `[1, 2]`, `[1-3]`, `【1】`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The numbers, in the order that they are written in.
    pub numbers: Vec<usize>,
    /// Its place, in bytes.
    pub range: Range<usize>,
}

/// A citation that points at nothing that the model was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer cites [{0}], which there is not")]
pub struct Dangling(pub usize);

/// A chunk that an answer cites.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Citation {
    /// Its number in the answer.
    pub number: usize,
    /// The chunk.
    pub chunk: ChunkId,
    /// The source's name.
    pub source: String,
    /// The document's name.
    pub document: String,
    /// Where in the document it stands.
    pub place: Place,
    /// What of it supports the answer best, as it stands in the document: to be shown as text, never as Markdown or
    /// HTML.
    pub quote: String,
    /// Where the quote is in the chunk's text, in bytes.
    pub range: Range<usize>,
}

/// The marks in `text`, but for those in code, where brackets are brackets.
pub fn marks(text: &str) -> Vec<Mark> {
    let mut found = Vec::new();
    let mut is_code = false;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let next = at + c.len_utf8();
        match c {
            '`' => is_code = !is_code,
            '[' | '【' if !is_code => {
                if let Some(mark) = mark(text, at, if c == '[' { ']' } else { '】' }) {
                    at = mark.range.end;
                    found.push(mark);
                    continue;
                }
            }
            _ => {}
        }
        at = next;
    }
    found
}

fn mark(text: &str, at: usize, close: char) -> Option<Mark> {
    let open = at + text[at..].chars().next()?.len_utf8();
    let length = text[open..].find(close).filter(|length| *length <= 48)?;
    let inside = &text[open..open + length];
    // Some models add where in the document: `【1†L3-L5】`.
    let inside = inside.split('†').next().unwrap_or_default().trim_start_matches('^');
    let mut numbers = Vec::new();
    for part in inside.split([',', ';']) {
        let (from, to) = part.split_once(['-', '–']).unwrap_or((part, part));
        let (from, to): (usize, usize) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
        // A range that makes no sense points at both of its ends, of which one will not be there.
        match from <= to && to - from < MAX_RANGE {
            true => numbers.extend(from..=to),
            false => numbers.extend([from, to]),
        }
    }
    Some(Mark {
        numbers,
        range: at..open + length + close.len_utf8(),
    })
}

/// `text` without its marks and the spaces before them.
pub fn without_marks(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    for mark in marks(text) {
        out.push_str(text[end..mark.range.start].trim_end_matches(' '));
        end = mark.range.end;
    }
    out + &text[end..]
}

/// A sentence with a mark at its end, before what closes it.
pub fn with_mark(sentence: &str, number: usize) -> String {
    let end = sentence.trim_end().trim_end_matches(['.', '!', '?', '…', '。']).len();
    let (body, rest) = sentence.split_at(end);
    format!("{} [{number}]{rest}", body.trim_end())
}

/// The chunks that the sentences of an answer cite, by number, each with its best quote over all that cite it.
///
/// # Errors
/// When a citation points nowhere.
pub fn cited(sentences: &[&str], sources: &[Source<'_>]) -> Result<Vec<Citation>, Dangling> {
    let mut claims: BTreeMap<usize, String> = BTreeMap::new();
    for sentence in sentences {
        for number in marks(sentence).into_iter().flat_map(|mark| mark.numbers) {
            let claim = claims.entry(number).or_default();
            claim.push_str(&without_marks(sentence));
            claim.push(' ');
        }
    }
    let citation = |(number, claim): (usize, String)| {
        let source = number
            .checked_sub(1)
            .and_then(|place| sources.get(place))
            .ok_or(Dangling(number))?;
        let (chunk, range) = (source.chunk(), source.quote(&claim));
        Ok(Citation {
            number,
            chunk: chunk.id,
            source: chunk.source.clone(),
            document: chunk.document.clone(),
            place: chunk.place.clone(),
            quote: chunk.text[range.clone()].to_owned(),
            range,
        })
    };
    claims.into_iter().map(citation).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{super::source::testing::chunk, *};

    #[rstest]
    #[case("It is so [1].", &[1])]
    #[case("So [1][2] and so [3, 5]; [1-3]", &[1, 2, 3, 5, 1, 2, 3])]
    #[case("So 【2】 and 【3†L1-L9】.", &[2, 3])]
    #[case("So [^4].", &[4])]
    #[case("Code `a[1]` and [x] and [] and [1a] and [see 2]", &[])]
    #[case("[9-1] [1-100000]", &[9, 1, 1, 100_000])]
    #[case("[99999999999999999999999]", &[])]
    fn are_found(#[case] text: &str, #[case] expected: &[usize]) {
        let found: Vec<_> = marks(text).into_iter().flat_map(|mark| mark.numbers).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn are_removed() {
        assert_eq!(without_marks("It is so [1][2], and so [3]."), "It is so, and so.");
    }

    #[test]
    fn point_at_chunks_or_are_refused() {
        let chunks = [chunk(7, "Fees are 5 EUR. Cards work."), chunk(8, "Doors open at 9.")];
        let sources: Vec<_> = chunks.iter().map(Source::of).collect();
        let found = cited(&["Doors open at 9 [2].", "You can pay by card [1]."], &sources).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|one| (one.number, one.chunk.0, one.quote.as_str()))
            .collect();
        assert_eq!(found, [(1, 7, "Cards work."), (2, 8, "Doors open at 9.")]);
        assert_eq!(cited(&["So [3]."], &sources), Err(Dangling(3)));
        assert_eq!(cited(&["So [0]."], &sources), Err(Dangling(0)));
    }
}
