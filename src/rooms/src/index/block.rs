//! Chunks of one class, side by side: their vectors and their words.

use half::f16;

use super::dot::{biased, stride};
use super::embedding::Embedding;
use crate::lexical::{MAX_ROWS, Posting, Postings, Words};

/// The most chunks of a block: so many are written anew when one of them goes. Tests want many blocks of few chunks.
pub(super) const ROWS: usize = if cfg!(test) { 16 } else { MAX_ROWS };

/// A chunk on its way into a block, or out of one.
pub(super) struct Row {
    /// The chunk's number.
    pub(super) chunk: u32,
    pub(super) embedding: Embedding,
    pub(super) words: Words,
}

/// At most [`ROWS`] chunks of one class.
#[derive(Clone)]
pub(crate) struct Block {
    dimension: usize,
    /// The chunks' numbers, row by row.
    pub(super) chunks: Vec<u32>,
    scales: Vec<f32>,
    /// Rows of `stride(dimension)`, biased.
    codes: Vec<u8>,
    /// Rows of `dimension`.
    halves: Vec<f16>,
    /// Words of its chunks, by their rows.
    pub(crate) postings: Postings,
}

impl Block {
    pub(super) fn new(dimension: usize) -> Self {
        Self {
            dimension,
            chunks: Vec::new(),
            scales: Vec::new(),
            codes: Vec::new(),
            halves: Vec::new(),
            postings: Postings::default(),
        }
    }

    /// How many chunks it has.
    pub(crate) fn len(&self) -> usize {
        self.chunks.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() >= ROWS
    }

    /// The number of the chunk in a row.
    pub(crate) fn chunk(&self, row: u32) -> u32 {
        self.chunks[row as usize]
    }

    /// Adds a chunk. Its words go to `fresh`, for many of them are put into the postings at once.
    pub(super) fn push(&mut self, row: Row, fresh: &mut Vec<Posting>) {
        let place = self.len() as u32;
        self.chunks.push(row.chunk);
        self.scales.push(row.embedding.scale());
        self.codes.extend(row.embedding.codes().iter().copied().map(biased));
        self.codes.resize(self.chunks.len() * stride(self.dimension), 0);
        self.halves.extend_from_slice(row.embedding.halves());
        self.postings.push_row(row.words.total());
        fresh.extend(row.words.postings(place));
    }

    /// The bytes of all rows, and their scales.
    pub(super) fn codes(&self) -> (&[u8], &[f32]) {
        (&self.codes, &self.scales)
    }

    /// The halves of a row.
    pub(super) fn halves(&self, row: usize) -> &[f16] {
        &self.halves[row * self.dimension..(row + 1) * self.dimension]
    }

    /// Takes chunks out, and gives back those that are wanted.
    pub(super) fn take(&mut self, is_gone: impl Fn(u32) -> bool, is_wanted: impl Fn(u32) -> bool) -> Vec<Row> {
        let stays: Vec<bool> = self.chunks.iter().map(|chunk| !is_gone(*chunk)).collect();
        let words = self.postings.take(&stays, |row| is_wanted(self.chunks[row as usize]));
        let row = |(row, words): (u32, Words)| Row {
            chunk: self.chunks[row as usize],
            embedding: Embedding::of_halves(self.halves(row as usize).to_vec()),
            words,
        };
        let taken = words.into_iter().map(row).collect();
        keep(&mut self.chunks, &stays, 1);
        keep(&mut self.scales, &stays, 1);
        keep(&mut self.codes, &stays, stride(self.dimension));
        keep(&mut self.halves, &stays, self.dimension);
        taken
    }

    /// Gives back the memory that it grew into and does not use.
    pub(super) fn shrink(&mut self) {
        self.chunks.shrink_to_fit();
        self.scales.shrink_to_fit();
        self.codes.shrink_to_fit();
        self.halves.shrink_to_fit();
        self.postings.shrink();
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.chunks.capacity() * size_of::<u32>()
            + self.scales.capacity() * size_of::<f32>()
            + self.codes.capacity()
            + self.halves.capacity() * size_of::<f16>()
            + self.postings.bytes()
    }
}

/// Closes the gaps in rows of a length.
fn keep<T: Copy>(rows: &mut Vec<T>, stays: &[bool], length: usize) {
    let mut end = 0;
    for row in (0..stays.len()).filter(|row| stays[*row]) {
        rows.copy_within(row * length..(row + 1) * length, end);
        end += length;
    }
    rows.truncate(end);
}
