//! What chunks are put together from.

use std::ops::Range;

use super::{Block, Kind, region::Region};
use crate::answer::sentences::{MAX_SENTENCE, sentences};

/// A sentence, a row, a line or a heading: it is in one chunk as a whole if it fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The block's place.
    pub block: usize,
    /// Its part of the block's text, without space around it.
    pub range: Range<usize>,
    /// Its tokens.
    pub tokens: usize,
}

/// The units of a region, none of them longer than some 4 KiB or than `room` tokens.
pub fn units(blocks: &[Block], region: &Region, room: usize, count: &dyn Fn(&str) -> usize) -> Vec<Unit> {
    let mut units = Vec::new();
    for place in region.blocks.clone() {
        let Some(block) = blocks.get(place) else { continue };
        let text = block.text.as_str();
        let ranges = match block.kind {
            Kind::Paragraph | Kind::ListItem => sentences(text),
            Kind::Table | Kind::Code => lines(text),
            Kind::Heading { .. } => std::iter::once(0..text.len()).collect(),
        };
        for range in ranges.into_iter().flat_map(|range| short(text, range)) {
            split(text, range, room, count, |range, tokens| {
                units.push(Unit {
                    block: place,
                    range,
                    tokens,
                });
            });
        }
    }
    units
}

fn lines(text: &str) -> Vec<Range<usize>> {
    let mut start = 0;
    text.split_inclusive('\n')
        .map(|line| {
            start += line.len();
            start - line.len()..start
        })
        .collect()
}

/// Parts of a length that can be counted again and again.
fn short(text: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut start = range.start;
    while start < range.end {
        let end = text
            .floor_char_boundary(range.end.min(start + MAX_SENTENCE))
            .max(start + 1);
        let end = text.ceil_char_boundary(end);
        parts.push(start..end);
        start = end;
    }
    parts
}

/// Gives `text[range]` as a whole if it has at most `room` tokens, otherwise in parts that have, cut at spaces if there
/// are any.
fn split(
    text: &str,
    range: Range<usize>,
    room: usize,
    count: &dyn Fn(&str) -> usize,
    mut give: impl FnMut(Range<usize>, usize),
) {
    let mut rest = trimmed(text, range);
    while !rest.is_empty() {
        let tokens = count(&text[rest.clone()]);
        if tokens <= room {
            give(rest, tokens);
            return;
        }
        let end = longest(text, &rest, room, count);
        let part = trimmed(text, rest.start..end);
        if !part.is_empty() {
            give(part.clone(), count(&text[part]));
        }
        rest = trimmed(text, end..rest.end);
    }
}

/// The end of the longest beginning that has at most `room` tokens, behind a word if possible; of one character at
/// least.
fn longest(text: &str, range: &Range<usize>, room: usize, count: &dyn Fn(&str) -> usize) -> usize {
    let part = &text[range.clone()];
    let fits = |end: usize| count(&part[..end]) <= room;
    let ends: Vec<usize> = part.char_indices().map(|(at, c)| at + c.len_utf8()).collect();
    let spaces: Vec<usize> = part
        .char_indices()
        .filter(|(_, c)| c.is_whitespace())
        .map(|(at, _)| at)
        .collect();
    for candidates in [&spaces, &ends] {
        // Tokens grow with the text, but not strictly: what is found is checked.
        let place = candidates.partition_point(|end| fits(*end));
        let found = candidates[..place].iter().rev().find(|end| **end > 0 && fits(**end));
        if let Some(end) = found {
            return range.start + end;
        }
    }
    range.start + ends.first().copied().unwrap_or(part.len())
}

fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + (part.len() - part.trim_start().len());
    start..start + part.trim().len()
}
