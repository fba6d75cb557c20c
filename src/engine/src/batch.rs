//! What one forward pass computes.

use std::sync::Arc;

use crate::lora::Adapter;

/// New tokens of one sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Pages of the cache with room for all its tokens, in order.
    pub pages: Vec<u32>,
    /// Position of the first new token: how many tokens the pages hold already.
    pub start: usize,
    /// The new tokens.
    pub tokens: Vec<u32>,
    /// The tokens whose logits are wanted.
    pub logits: LogitRows,
    /// What is added to the base model for it.
    pub adapter: Option<Arc<Adapter>>,
}

impl Segment {
    /// Position after its last token.
    pub fn end(&self) -> usize {
        self.start + self.tokens.len()
    }

    /// How many rows of logits are wanted.
    pub(crate) fn logit_rows(&self) -> usize {
        match self.logits {
            LogitRows::None => 0,
            LogitRows::Last => 1,
            LogitRows::All => self.tokens.len(),
        }
    }
}

/// Tokens of a segment whose logits are wanted: those of the token that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogitRows {
    /// None: the prompt goes on in a later pass.
    None,
    /// The last one's.
    Last,
    /// All, in order.
    All,
}

/// Segments of different sequences that are computed together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// In any order; at most one of each sequence.
    pub segments: Vec<Segment>,
}

impl Batch {
    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.segments.iter().map(|segment| segment.tokens.len()).sum()
    }

    /// Whether there is nothing to compute.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows of the pass whose logits are wanted, in order of segments.
    pub(crate) fn logit_rows(&self) -> Vec<i64> {
        let mut rows = Vec::new();
        let mut first = 0;
        for segment in &self.segments {
            let end = first + segment.tokens.len() as i64;
            match segment.logits {
                LogitRows::None => {}
                LogitRows::Last => rows.push(end - 1),
                LogitRows::All => rows.extend(first..end),
            }
            first = end;
        }
        rows
    }
}

/// Rows that a pass over `tokens` tokens is padded to: each new number of rows makes the matrix
/// library prepare its kernels anew, which costs more than the padding.
pub(crate) fn bucket(tokens: usize) -> usize {
    match tokens {
        0..=8 => tokens.max(1),
        _ => tokens.next_multiple_of(tokens.next_power_of_two() / 4),
    }
}

/// All buckets up to the one that holds `most` tokens.
pub(crate) fn buckets(most: usize) -> Vec<usize> {
    let mut buckets: Vec<usize> = (1..=most).map(bucket).collect();
    buckets.dedup();
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_over_segments() {
        let segment = |tokens: &[u32], logits| Segment {
            pages: vec![0],
            start: 0,
            tokens: tokens.into(),
            logits,
            adapter: None,
        };
        let batch = Batch {
            segments: vec![
                segment(&[1, 2], LogitRows::None),
                segment(&[3], LogitRows::Last),
                segment(&[4, 5], LogitRows::All),
                segment(&[6, 7, 8], LogitRows::Last),
            ],
        };
        assert_eq!((batch.len(), batch.logit_rows()), (8, vec![2, 3, 4, 7]));
    }

    #[test]
    fn buckets_are_few_and_close() {
        assert_eq!(buckets(8), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(buckets(512)[8..], [12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512]);
        for tokens in 1..2048 {
            let padded = bucket(tokens);
            assert!(
                tokens <= padded && padded <= tokens + tokens / 2 + 1,
                "{tokens} -> {padded}"
            );
        }
    }
}
