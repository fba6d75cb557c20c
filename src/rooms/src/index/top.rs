//! The best of many.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// A row among visible blocks, and what it is worth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// The higher, the better.
    pub score: f32,
    /// The chunk's number in the index; numbers are in the order of the chunks' names.
    pub chunk: u32,
    /// Which one of the visible blocks.
    pub block: u32,
    /// Which row of it.
    pub row: u32,
}

impl Ord for Candidate {
    /// The better one is greater. Of equals it is the one of the smaller name, whatever else there is in the index.
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.chunk.cmp(&self.chunk))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate {}

/// Keeps the best.
pub(crate) struct Top {
    heap: BinaryHeap<Reverse<Candidate>>,
    keep: usize,
    /// Below this nothing gets in.
    bar: f32,
}

impl Top {
    pub(crate) fn new(keep: usize) -> Self {
        Self {
            heap: BinaryHeap::with_capacity(keep.min(4096) + 1),
            keep,
            bar: f32::NEG_INFINITY,
        }
    }

    /// Whether something of this score may get in: to be asked before a candidate is made.
    #[inline]
    pub(crate) fn may_take(&self, score: f32) -> bool {
        score >= self.bar
    }

    pub(crate) fn offer(&mut self, candidate: Candidate) {
        self.heap.push(Reverse(candidate));
        if self.heap.len() > self.keep {
            self.heap.pop();
        }
        if self.heap.len() == self.keep {
            self.bar = self.heap.peek().map_or(f32::INFINITY, |worst| worst.0.score);
        }
    }

    /// From the best to the worst.
    pub(crate) fn into_sorted(self) -> Vec<Candidate> {
        let reversed = self.heap.into_sorted_vec();
        reversed.into_iter().map(|Reverse(candidate)| candidate).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_kept_and_equals_are_in_order() {
        let mut top = Top::new(3);
        for (score, chunk) in [(0.5, 9), (0.1, 1), (0.5, 3), (0.9, 7), (0.5, 4), (0.2, 2)] {
            if top.may_take(score) {
                let (block, row) = (0, 0);
                top.offer(Candidate {
                    score,
                    chunk,
                    block,
                    row,
                });
            }
        }
        let chunks: Vec<_> = top.into_sorted().iter().map(|candidate| candidate.chunk).collect();
        assert_eq!(chunks, [7, 3, 4]);
        let mut none = Top::new(0);
        none.offer(Candidate {
            score: 1.0,
            chunk: 1,
            block: 0,
            row: 0,
        });
        assert!(none.into_sorted().is_empty());
    }
}
