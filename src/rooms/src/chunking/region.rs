//! Parts of a document within which chunks may lie.

use std::ops::Range;

use super::{Block, Kind};

/// Blocks of one page, one section and one right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// The blocks, by their places.
    pub blocks: Range<usize>,
    /// The headings that it stands under, from the outermost; its own are the last ones.
    pub headings: Vec<String>,
}

/// The regions of a document, in order. Headings that follow each other at once begin a section together.
pub fn regions(blocks: &[Block]) -> Vec<Region> {
    let mut regions: Vec<Region> = Vec::new();
    let mut path: Vec<(u8, String)> = Vec::new();
    for (place, block) in blocks.iter().enumerate() {
        if let Kind::Heading { level } = block.kind {
            path.retain(|(other, _)| *other < level);
            path.push((level, one_line(&block.text)));
        }
        let headings: Vec<String> = path.iter().map(|(_, text)| text.clone()).collect();
        let before = place.checked_sub(1).map(|before| &blocks[before]);
        let goes_on = before.is_some_and(|before| {
            let is_heading = |block: &Block| matches!(block.kind, Kind::Heading { .. });
            let is_same = before.page == block.page && before.clearance == block.clearance && before.acl == block.acl;
            is_same && (!is_heading(block) || is_heading(before))
        });
        match regions.last_mut() {
            Some(region) if goes_on => {
                region.blocks.end = place + 1;
                region.headings = headings;
            }
            _ => regions.push(Region {
                blocks: place..place + 1,
                headings,
            }),
        }
    }
    regions
}

/// A heading on one line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
