//! Documents as chunks: parts that are found, cited and given to a model.
//!
//! A chunk has at most so many tokens, and never parts of two pages, two sections or two rights: what is cited has one
//! place, and what is seen needs one right. It ends at the end of a sentence, of a table's row or of a line of code,
//! wherever one of them is short enough. What is turned into a vector is more than what is cited: before the text stand
//! the description of its source, its headings, and in a long table the row with the names of the columns.

mod pack;
mod region;
mod unit;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::{
    document::{Acl, Chunk, ChunkId, Place},
    grant::Clearance,
};

/// What a block of a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A heading; 1 is the outermost level.
    Heading {
        /// The level.
        level: u8,
    },
    /// Sentences.
    Paragraph,
    /// Rows, a line each; the first one has the names of the columns.
    Table,
    /// An item of a list.
    ListItem,
    /// Lines of code.
    Code,
}

/// A block of a document, in reading order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// What it is.
    pub kind: Kind,
    /// Its text.
    pub text: String,
    /// Its page, from 1.
    pub page: Option<u32>,
    /// Where on its page it is: left, top, right and bottom as shares of the page's width and height.
    pub area: Option<[f32; 4]>,
    /// Clearance that it needs.
    pub clearance: Clearance,
    /// Who may see it.
    pub acl: Acl,
}

/// How large chunks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Most tokens of a chunk, with what stands before its text. At least [`MIN_TOKENS`] are taken.
    pub tokens: usize,
    /// Most tokens that it shares with the one before it in its section. Whole sentences are shared, or none.
    pub overlap: usize,
}

/// Fewer tokens than these say nothing.
pub const MIN_TOKENS: usize = 16;

impl Default for Settings {
    fn default() -> Self {
        Self {
            tokens: 512,
            overlap: 64,
        }
    }
}

/// A part of a block's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The block's place in the document, from 0.
    pub block: usize,
    /// Where it begins in the block's text, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// A chunk that has no name yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// Its text, as it is cited: the spans, with line breaks between blocks.
    pub text: String,
    /// What is turned into a vector.
    pub embedded: String,
    /// Where it stands.
    pub place: Place,
    /// What it is made of.
    pub spans: Vec<Span>,
    /// Clearance that it needs.
    pub clearance: Clearance,
    /// Who may see it.
    pub acl: Acl,
}

impl Piece {
    /// The chunk.
    pub fn into_chunk(self, id: ChunkId, document: &str, source: &str) -> Chunk {
        Chunk {
            id,
            document: document.to_owned(),
            source: source.to_owned(),
            place: self.place,
            text: self.text,
            clearance: self.clearance,
            acl: self.acl,
        }
    }
}

/// Cuts a document into chunks. `description` is what its source is about, or nothing; `count` counts the tokens of a
/// text as the embedding model does. Everything but space between sentences is in some chunk. Where a single character
/// has more tokens than there is room for, it is a chunk all the same.
pub fn pieces(blocks: &[Block], description: &str, settings: Settings, count: &dyn Fn(&str) -> usize) -> Vec<Piece> {
    let settings = Settings {
        tokens: settings.tokens.max(MIN_TOKENS),
        ..settings
    };
    let mut pieces = Vec::new();
    for region in region::regions(blocks) {
        pieces.extend(pack::pack(blocks, &region, description, settings, count));
    }
    pieces
}
