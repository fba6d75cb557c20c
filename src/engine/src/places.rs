//! Where the tokens of one pass are written, and what they look at.

use tch::{Device, Kind, TchError, Tensor};

use crate::{Batch, KvCache, PAGE, Segment};

/// Where the tokens of one pass are written.
pub(crate) struct Places {
    /// Rows without padding.
    tokens: usize,
    /// Position in its sequence and place in the cache of every row; padding has place -1.
    positions: Vec<i64>,
    slots: Vec<i64>,
    /// How many segments, from the first on, are one token each.
    singles: usize,
}

impl Places {
    /// The places of `batch`, padded to `rows`.
    pub fn new(batch: &Batch, rows: usize) -> Self {
        let (mut positions, mut slots) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        for segment in &batch.segments {
            for position in segment.start..segment.end() {
                positions.push(position as i64);
                slots.push(i64::from(segment.pages[position / PAGE]) * PAGE as i64 + (position % PAGE) as i64);
            }
        }
        let tokens = slots.len();
        positions.resize(rows, 0);
        slots.resize(rows, -1);
        let single = |segment: &&Segment| segment.tokens.len() == 1;
        Self {
            tokens,
            positions,
            slots,
            singles: batch.segments.iter().take_while(single).count(),
        }
    }

    /// Number of rows without padding.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Position of every row in its sequence.
    pub fn positions(&self) -> &[i64] {
        &self.positions
    }

    /// Place of every row in the cache: page times [`PAGE`] plus offset, or -1 for padding.
    pub fn slots(&self) -> &[i64] {
        &self.slots
    }

    /// How many segments, from the first on, are one token each.
    pub fn singles(&self) -> usize {
        self.singles
    }
}

/// The pages that a segment's tokens look at, in order.
pub(crate) fn own_pages(segment: &Segment) -> &[u32] {
    &segment.pages[..segment.end().div_ceil(PAGE)]
}

/// The rows of one segment and what they look at.
pub(crate) struct Piece {
    /// First row.
    pub first: i64,
    /// Number of rows.
    pub count: i64,
    /// Tokens to look at.
    pub tokens: i64,
    /// The pages that hold them.
    pub pages: Tensor,
    /// What its tokens may not look at; `None` if that is nothing.
    pub mask: Option<Tensor>,
}

impl Piece {
    /// The pieces of all but the first `singles` segments, which are one row each, for a network whose
    /// queries come in groups of `group`.
    pub fn after(singles: usize, batch: &Batch, cache: &KvCache, group: i64) -> Result<Vec<Self>, TchError> {
        let mut first = singles;
        let of_segment = |segment: &Segment| {
            let piece = Self::new(segment, first, cache, group);
            first += segment.tokens.len();
            piece
        };
        batch.segments[singles..].iter().map(of_segment).collect()
    }

    fn new(segment: &Segment, first: usize, cache: &KvCache, group: i64) -> Result<Self, TchError> {
        let (kind, device) = (cache.kind(), cache.device());
        let count = segment.tokens.len();
        let mask = (count > 1).then(|| causal_mask(segment.start, count, group, (kind, device)));
        let own: Vec<i64> = own_pages(segment).iter().map(|page| i64::from(*page)).collect();
        Ok(Self {
            first: first as i64,
            count: count as i64,
            tokens: segment.end() as i64,
            pages: Tensor::f_from_slice(&own)?.f_to_device(device)?,
            mask: mask.transpose()?,
        })
    }

    /// Attention of its queries, `[count, heads, head_dim]`, over keys and values of its sequence,
    /// `[1, kv_heads, tokens, head_dim]` each: `[count, heads head_dim]`.
    pub fn attend(&self, queries: &Tensor, keys: &Tensor, values: &Tensor) -> Result<Tensor, TchError> {
        let (count, heads, head_dim) = queries.size3()?;
        let kv_heads = keys.size()[1];
        // Query heads that share a kv head become rows of one attention: without expanding keys and
        // values, which is many times slower.
        let grouped = [1, kv_heads, heads / kv_heads * count, head_dim];
        let grouped = queries.f_transpose(0, 1)?.f_reshape(grouped)?;
        let mask = self.mask.as_ref();
        let attended = Tensor::f_scaled_dot_product_attention(&grouped, keys, values, mask, 0.0, false, None, false)?;
        attended
            .f_reshape([heads, count, head_dim])?
            .f_transpose(0, 1)?
            .f_reshape([count, heads * head_dim])
    }
}

/// Zero where a token may look, minus infinity where it may not: `[group count, start + count]`.
/// Explicit, because libtorch's own causal flag counts from the top left corner, which is wrong as
/// soon as the cache holds earlier tokens.
fn causal_mask(start: usize, count: usize, group: i64, options: (Kind, Device)) -> Result<Tensor, TchError> {
    let shape = [count as i64, (start + count) as i64];
    let blocked = Tensor::f_full(shape, f64::NEG_INFINITY, options)?;
    blocked.f_triu(start as i64 + 1)?.f_repeat([group, 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_look_back_over_the_cache_and_never_ahead() {
        let mask = causal_mask(2, 2, 2, (Kind::Float, Device::Cpu)).unwrap();
        assert_eq!(mask.size(), [4, 4]);
        let open: Vec<bool> = mask.isfinite().view([-1]).try_into().unwrap();
        let first = [true, true, true, false];
        let second = [true, true, true, true];
        assert_eq!(open, [first, second, first, second].concat());
    }
}
