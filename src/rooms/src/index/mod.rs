//! The chunks of one generation of one Room, as they are searched: vectors, words, and who sees what.
//!
//! Chunks that the same people see make a class and lie in blocks of their own. A search is told by the grant which
//! classes it sees, and touches their blocks alone: what is hidden is not scored, not counted, and not read. Two indexes
//! that differ in hidden chunks only give the same answer from the same work.
//!
//! Vectors are looked at as bytes first, all of them; the best are measured by their halves. With 384 components a chunk
//! takes 1,200 bytes, and two for each of its different words; texts are not kept.

mod block;
mod build;
mod class;
mod dot;
mod embedding;
#[cfg(test)]
mod properties;
mod recall;
mod revise;
mod scan;
#[cfg(test)]
pub(crate) mod testing;
mod top;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use block::Block;
pub use build::{BuildError, Builder};
use class::{Classes, Mark};
pub(crate) use dot::Probe;
pub use embedding::{Embedding, MAX_DIMENSION, VectorError};
pub use recall::recall;
pub use revise::Change;
pub(crate) use scan::{look, measure};
pub(crate) use top::{Candidate, Top};

use crate::document::ChunkId;
use crate::grant::{Clearance, Grant, RoomKey};

/// One generation of one Room. A clone shares its blocks, so one can be revised while searches go on in the other.
#[derive(Clone)]
pub struct Index {
    room: RoomKey,
    generation: i64,
    dimension: usize,
    classes: Classes,
    /// By class.
    blocks: Vec<Vec<Arc<Block>>>,
    chunks: Chunks,
    /// Numbers of chunks by source and document.
    documents: BTreeMap<String, Arc<BTreeMap<String, Vec<u32>>>>,
}

/// What is known of chunks, by their numbers, which are in the order of their names.
#[derive(Clone)]
struct Chunks {
    ids: Vec<ChunkId>,
    tokens: Vec<u32>,
    /// None where a chunk was removed.
    marks: Vec<Option<Mark>>,
}

/// A chunk that passed the second net.
pub(crate) struct Known {
    pub(crate) id: ChunkId,
    pub(crate) tokens: u32,
    pub(crate) clearance: Clearance,
}

impl Index {
    /// Whose chunks these are.
    pub fn room(&self) -> &RoomKey {
        &self.room
    }

    /// Which generation it is.
    pub fn generation(&self) -> i64 {
        self.generation
    }

    /// How many components vectors have.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// About the bytes of memory that it takes. They tell of hidden chunks, too: for caches and operators.
    pub fn bytes(&self) -> usize {
        let blocks: usize = self.blocks.iter().flatten().map(|block| block.bytes()).sum();
        let of_chunk = size_of::<ChunkId>() + size_of::<u32>() + size_of::<Option<Mark>>();
        let documents = self.documents.values().flat_map(|documents| documents.iter());
        let names: usize = documents
            .map(|(name, chunks)| name.len() + size_of_val(chunks.as_slice()) + size_of::<(String, Vec<u32>)>())
            .sum();
        size_of::<Self>() + blocks + self.chunks.ids.len() * of_chunk + names + self.classes.bytes()
    }

    /// How many chunks somebody sees.
    pub fn visible(&self, grant: &Grant) -> usize {
        self.blocks_seen(grant).iter().map(|block| block.len()).sum()
    }

    /// Up to `most` of the chunks that somebody sees, evenly spaced in the order of their names, the first of them by
    /// `offset`.
    pub fn sample(&self, grant: &Grant, most: usize, offset: usize) -> Vec<ChunkId> {
        let blocks = self.blocks_seen(grant);
        let numbers = blocks
            .iter()
            .flat_map(|block| (0..block.len() as u32).map(|row| block.chunk(row)));
        let mut chunks: Vec<u32> = numbers.collect();
        chunks.sort_unstable();
        let step = chunks.len().div_ceil(most.max(1)).max(1);
        let chosen = chunks.into_iter().skip(offset % step).step_by(step);
        chosen
            .filter_map(|chunk| Some(self.check(grant, chunk).ok()?.id))
            .collect()
    }

    /// The first net: the blocks that a grant sees. Whatever scores is given these and nothing else.
    pub(crate) fn blocks_seen(&self, grant: &Grant) -> Vec<&Block> {
        if grant.room() != &self.room {
            return Vec::new();
        }
        let classes = self.classes.visible(grant).into_iter();
        let blocks = classes.filter_map(|class| self.blocks.get(class as usize)).flatten();
        blocks.map(AsRef::as_ref).collect()
    }

    /// The second net: a chunk that was found, unless by its own mark the grant does not see it or it is gone. Then
    /// there is its name, for whoever is alarmed.
    pub(crate) fn check(&self, grant: &Grant, chunk: u32) -> Result<Known, ChunkId> {
        let number = chunk as usize;
        let id = self.chunks.ids[number];
        match self.chunks.marks[number] {
            Some(mark) if self.classes.sees(grant, mark) => Ok(Known {
                id,
                tokens: self.chunks.tokens[number],
                clearance: mark.clearance,
            }),
            _ => Err(id),
        }
    }
}
