//! Fills an index.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::block::{Block, Row};
use super::class::{Classes, Mark};
use super::{Chunks, Embedding, Index, MAX_DIMENSION, VectorError};
use crate::document::{Chunk, ChunkId};
use crate::grant::RoomKey;
use crate::lexical::{Posting, Words};

/// So many words may wait to be put into postings, at 16 bytes each.
const WAITING: usize = 4 << 20;

/// Why chunks make no index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A vector that does not belong.
    #[error("chunk {}: {error}", chunk.0)]
    Vector {
        /// Whose.
        chunk: ChunkId,
        /// Why.
        error: VectorError,
    },
    /// A chunk came twice.
    #[error("chunk {} is there twice", .0.0)]
    Twice(ChunkId),
    /// More chunks than an index can number.
    #[error("too many chunks")]
    TooMany,
}

/// An index that is being filled, in any order of the chunks.
pub struct Builder {
    room: RoomKey,
    generation: i64,
    dimension: usize,
    classes: Classes,
    /// By class: blocks, the last of which is being filled, and the words of the last that wait.
    blocks: Vec<(Vec<Block>, Vec<Posting>)>,
    ids: Vec<ChunkId>,
    tokens: Vec<u32>,
    marks: Vec<Mark>,
    documents: BTreeMap<String, BTreeMap<String, Vec<u32>>>,
    waiting: usize,
}

impl Builder {
    /// For vectors of a dimension, up to [`MAX_DIMENSION`].
    pub fn new(room: RoomKey, generation: i64, dimension: usize) -> Self {
        Self {
            room,
            generation,
            dimension,
            classes: Classes::default(),
            blocks: Vec::new(),
            ids: Vec::new(),
            tokens: Vec::new(),
            marks: Vec::new(),
            documents: BTreeMap::new(),
            waiting: 0,
        }
    }

    /// Adds a chunk of so many tokens, as the embedding model or the answering one counts them: they are what
    /// [`crate::search::Options::max_context_tokens`] is held against.
    ///
    /// # Errors
    /// A vector of another dimension.
    pub fn push(&mut self, chunk: &Chunk, tokens: u32, embedding: Embedding) -> Result<(), BuildError> {
        let (expected, found) = (self.dimension, embedding.dimension());
        if expected != found || expected > MAX_DIMENSION {
            let error = VectorError::Dimension { expected, found };
            return Err(BuildError::Vector { chunk: chunk.id, error });
        }
        let number = u32::try_from(self.ids.len()).map_err(|_| BuildError::TooMany)?;
        self.ids.push(chunk.id);
        self.tokens.push(tokens);
        let mark = self.classes.mark(chunk.clearance, &chunk.acl);
        self.marks.push(mark);
        self.name(chunk, number);
        let class = self.classes.class(mark) as usize;
        self.blocks.resize_with(self.classes.len(), Default::default);
        let (blocks, fresh) = &mut self.blocks[class];
        if blocks.last().is_none_or(Block::is_full) {
            if let Some(full) = blocks.last_mut() {
                self.waiting -= fresh.len();
                full.postings.extend(std::mem::take(fresh));
                full.shrink();
            }
            blocks.push(Block::new(self.dimension));
        }
        let words = Words::of(&chunk.text);
        let row = Row {
            chunk: number,
            embedding,
            words,
        };
        if let Some(block) = blocks.last_mut() {
            let before = fresh.len();
            block.push(row, fresh);
            self.waiting += fresh.len() - before;
        }
        if self.waiting > WAITING {
            self.settle();
        }
        Ok(())
    }

    /// Remembers the chunk by its document.
    fn name(&mut self, chunk: &Chunk, number: u32) {
        if !self.documents.contains_key(&chunk.source) {
            self.documents.insert(chunk.source.clone(), BTreeMap::new());
        }
        let Some(documents) = self.documents.get_mut(&chunk.source) else {
            return;
        };
        match documents.get_mut(&chunk.document) {
            Some(chunks) => chunks.push(number),
            None => drop(documents.insert(chunk.document.clone(), vec![number])),
        }
    }

    /// Puts all words that wait into postings.
    fn settle(&mut self) {
        for (blocks, fresh) in &mut self.blocks {
            if let Some(block) = blocks.last_mut() {
                block.postings.extend(std::mem::take(fresh));
            }
        }
        self.waiting = 0;
    }

    /// The index.
    ///
    /// # Errors
    /// A chunk that came twice.
    pub fn finish(mut self) -> Result<Index, BuildError> {
        self.settle();
        // Numbers in the order of names: equals are then in an order that no other chunk has a part in.
        let mut order: Vec<u32> = (0..self.ids.len() as u32).collect();
        order.sort_unstable_by_key(|number| self.ids[*number as usize]);
        let chunks = Chunks {
            ids: order.iter().map(|number| self.ids[*number as usize]).collect(),
            tokens: order.iter().map(|number| self.tokens[*number as usize]).collect(),
            marks: order.iter().map(|number| Some(self.marks[*number as usize])).collect(),
        };
        if let Some(twice) = chunks.ids.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(BuildError::Twice(twice[0]));
        }
        let mut places = vec![0; order.len()];
        for (place, number) in order.iter().enumerate() {
            places[*number as usize] = place as u32;
        }
        let renumber = |numbers: &mut Vec<u32>| {
            for number in numbers {
                *number = places[*number as usize];
            }
        };
        let documents = self.documents.into_iter().map(|(source, mut documents)| {
            documents.values_mut().for_each(renumber);
            (source, Arc::new(documents))
        });
        let blocks = self.blocks.into_iter().map(|(blocks, _)| {
            let finished = |mut block: Block| {
                renumber(&mut block.chunks);
                block.shrink();
                Arc::new(block)
            };
            blocks.into_iter().map(finished).collect()
        });
        Ok(Index {
            room: self.room,
            generation: self.generation,
            dimension: self.dimension,
            documents: documents.collect(),
            blocks: blocks.collect(),
            classes: self.classes,
            chunks,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::document::Acl;
    use crate::index::Change;
    use crate::index::testing::{DIMENSION, acl, chunk, grant, index, room, vector};
    use crate::search::{Options, Query, search};

    /// Chunks of two classes, most of them with an equal among the others.
    fn chunks() -> Vec<Chunk> {
        let acl = |id: i64| if id % 3 == 0 { Acl::everyone() } else { acl(2) };
        let text = |id: i64| ["pump", "valve of the pump", "sea"][id as usize % 7 % 3];
        (0..90).map(|id| chunk(id, text(id), 0, acl(id))).collect()
    }

    #[test]
    fn chunks_may_come_in_any_order() {
        let found = |chunks: &[Chunk]| {
            let (vector, options) = (
                vector("pump"),
                Options {
                    top_k: 30,
                    ..Options::default()
                },
            );
            let query = Query {
                vector: &vector,
                text: "pump",
            };
            search(&index(chunks), &grant(0, 0, 0), query, &options, Instant::now()).unwrap()
        };
        let mut chunks = chunks();
        let expected = found(&chunks);
        assert_eq!(expected.hits.len(), 30);
        chunks.reverse();
        assert_eq!(found(&chunks), expected);
        chunks.sort_by_key(|chunk| chunk.id.0 * 37 % 90);
        assert_eq!(found(&chunks), expected);
    }

    #[test]
    fn what_does_not_belong_is_refused() {
        let mut builder = Builder::new(room(), 1, DIMENSION);
        let embedding = |length: usize| Embedding::new(&vec![1.0; length]).unwrap();
        for id in [7, 1, 7] {
            builder
                .push(&chunk(id, "", 0, acl(0)), 1, embedding(DIMENSION))
                .unwrap();
        }
        let refused = builder.push(&chunk(9, "", 0, acl(0)), 1, embedding(3));
        let error = VectorError::Dimension {
            expected: DIMENSION,
            found: 3,
        };
        assert_eq!(
            refused,
            Err(BuildError::Vector {
                chunk: ChunkId(9),
                error
            })
        );
        assert_eq!(builder.finish().err(), Some(BuildError::Twice(ChunkId(7))));
    }

    #[test]
    fn memory_is_counted_and_given_back() {
        let mut index = index(&chunks());
        let whole = index.bytes();
        // A vector alone takes three bytes for each component.
        assert!(
            whole > 90 * 3 * DIMENSION && whole < 90 * (3 * DIMENSION + 300),
            "{whole}"
        );
        index.revise(&[Change::RemoveSource {
            source: "source 0".into(),
        }]);
        // What is left are the places of the chunks' names.
        assert!(index.bytes() < whole / 4, "{} of {whole}", index.bytes());
    }
}
