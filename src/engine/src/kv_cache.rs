//! Keys and values of the tokens computed so far, in pages.

use tch::{Device, Kind, TchError, Tensor};

use crate::{Batch, Dtype, ModelConfig, PAGE, Segment};

/// One tensor pair a layer, `[pages, kv_heads, PAGE, head_dim]`. Memory is reserved at once, but the
/// system provides it only as tokens are written.
pub struct KvCache {
    keys: Vec<Tensor>,
    values: Vec<Tensor>,
}

impl KvCache {
    /// `pages` pages.
    ///
    /// # Errors
    /// When libtorch cannot reserve the memory.
    pub fn new(config: &ModelConfig, pages: usize, dtype: Dtype, device: Device) -> Result<Self, TchError> {
        let shape = [pages as i64, config.kv_heads, PAGE as i64, config.head_dim];
        let make = || {
            (0..config.layers)
                .map(|_| Tensor::f_empty(shape, (dtype.kind(), device)))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            keys: make()?,
            values: make()?,
        })
    }

    /// Bytes of one page over all layers.
    pub(crate) fn page_bytes(config: &ModelConfig, dtype: Dtype) -> u64 {
        let element = match dtype.kind() {
            Kind::Float => 4,
            _ => 2,
        };
        let width = (config.kv_heads * config.head_dim).unsigned_abs();
        2 * config.layers as u64 * width * PAGE as u64 * element
    }

    fn kind(&self) -> Kind {
        self.keys.first().map_or(Kind::Float, Tensor::kind)
    }

    fn device(&self) -> Device {
        self.keys.first().map_or(Device::Cpu, Tensor::device)
    }

    /// Number of pages.
    pub(crate) fn pages(&self) -> usize {
        let first = self.keys.first().and_then(|keys| keys.size().first().copied());
        first.unwrap_or_default().unsigned_abs() as usize
    }

    /// The pages of one layer.
    pub(crate) fn layer(&self, layer: usize) -> engine_sys::Pages<'_> {
        engine_sys::Pages {
            keys: &self.keys[layer],
            values: &self.values[layer],
        }
    }

    /// Stores the keys and values of all new tokens, `[tokens, kv_heads, head_dim]` each.
    pub(crate) fn write(&self, layer: usize, places: &Places, keys: &Tensor, values: &Tensor) -> Result<(), TchError> {
        let slots = &places.slots[..places.tokens];
        let index = |of: fn(i64) -> i64| {
            let index: Vec<i64> = slots.iter().map(|slot| of(*slot)).collect();
            Tensor::f_from_slice(&index)?.f_to_device(keys.device())
        };
        let (pages, offsets) = (index(|slot| slot / PAGE as i64)?, index(|slot| slot % PAGE as i64)?);
        for (cache, new) in [(&self.keys[layer], keys), (&self.values[layer], values)] {
            let index = [Some(&pages), None, Some(&offsets)];
            let _ = cache.shallow_clone().f_index_put_(&index, new, false)?;
        }
        Ok(())
    }
}

/// Where the tokens of one pass are written and read.
pub(crate) struct Places {
    /// Rows without padding.
    tokens: usize,
    /// Position in its sequence and place in the cache of every row; padding has place -1.
    positions: Vec<i64>,
    slots: Vec<i64>,
    pieces: Vec<Piece>,
    /// How many pieces, from the first on, are one token each.
    singles: usize,
    /// What the rows of those look at, and padding if no other pieces follow.
    table: engine_sys::PageTable,
}

/// The rows of one segment and what they look at.
pub(crate) struct Piece {
    /// First row.
    pub first: i64,
    /// Number of rows.
    pub count: i64,
    /// What its tokens may not look at; `None` if that is nothing.
    pub mask: Option<Tensor>,
    pages: Tensor,
    tokens: i64,
}

impl Places {
    /// The places of `batch` in a cache whose queries come in groups of `group`, padded to `rows`.
    pub fn new(batch: &Batch, cache: &KvCache, group: i64, rows: usize) -> Result<Self, TchError> {
        let (mut positions, mut slots) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        let mut pieces = Vec::with_capacity(batch.segments.len());
        for segment in &batch.segments {
            pieces.push(Piece::new(segment, slots.len(), cache, group)?);
            for position in segment.start..segment.end() {
                positions.push(position as i64);
                slots.push(i64::from(segment.pages[position / PAGE]) * PAGE as i64 + (position % PAGE) as i64);
            }
        }
        let tokens = slots.len();
        positions.resize(rows, 0);
        slots.resize(rows, -1);
        let singles = pieces.iter().take_while(|piece| piece.count == 1).count();
        let padding = if singles == pieces.len() { rows - tokens } else { 0 };
        Ok(Self {
            tokens,
            positions,
            slots,
            pieces,
            singles,
            table: table(&batch.segments[..singles], padding, cache)?,
        })
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

    /// What the leading rows of single tokens look at.
    pub fn singles(&self) -> &engine_sys::PageTable {
        &self.table
    }

    /// The pieces after those.
    pub fn others(&self) -> &[Piece] {
        &self.pieces[self.singles..]
    }

    /// All pieces.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }
}

/// The pages of segments of one token each, and of `padding` rows that look at nothing.
fn table(segments: &[Segment], padding: usize, cache: &KvCache) -> Result<engine_sys::PageTable, TchError> {
    let (mut pages, mut first, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
    for segment in segments {
        first.push(pages.len() as i64);
        lengths.push(segment.end() as i64);
        let own = &segment.pages[..segment.end().div_ceil(PAGE)];
        pages.extend(own.iter().map(|page| page.cast_signed()));
    }
    first.resize(first.len() + padding, 0);
    lengths.resize(lengths.len() + padding, 0);
    engine_sys::PageTable::new(pages, first, lengths, cache.pages() as i64, PAGE as i64)
}

impl Piece {
    fn new(segment: &Segment, first: usize, cache: &KvCache, group: i64) -> Result<Self, TchError> {
        let kind = cache.kind();
        let count = segment.tokens.len();
        let mask = (count > 1).then(|| causal_mask(segment.start, count, group, kind));
        let own = &segment.pages[..segment.end().div_ceil(PAGE)];
        let own: Vec<i64> = own.iter().map(|page| i64::from(*page)).collect();
        Ok(Self {
            first: first as i64,
            count: count as i64,
            mask: mask
                .transpose()?
                .map(|mask| mask.f_to_device(cache.device()))
                .transpose()?,
            pages: Tensor::f_from_slice(&own)?.f_to_device(cache.device())?,
            tokens: segment.end() as i64,
        })
    }

    /// The keys or values of its sequence as far as its last token, `[1, kv_heads, tokens, head_dim]`.
    pub fn read(&self, pages: &Tensor) -> Result<Tensor, TchError> {
        let own = pages.f_index_select(0, &self.pages)?;
        let joined = own.f_transpose(0, 1)?.f_flatten(1, 2)?;
        joined.f_narrow(1, 0, self.tokens)?.f_unsqueeze(0)
    }
}

/// Zero where a token may look, minus infinity where it may not: `[group count, start + count]`.
/// Explicit, because libtorch's own causal flag counts from the top left corner, which is wrong as
/// soon as the cache holds earlier tokens.
fn causal_mask(start: usize, count: usize, group: i64, kind: Kind) -> Result<Tensor, TchError> {
    let shape = [count as i64, (start + count) as i64];
    let blocked = Tensor::f_full(shape, f64::NEG_INFINITY, (kind, Device::Cpu))?;
    blocked.f_triu(start as i64 + 1)?.f_repeat([group, 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_look_back_over_the_cache_and_never_ahead() {
        let mask = causal_mask(2, 2, 2, Kind::Float).unwrap();
        assert_eq!(mask.size(), [4, 4]);
        let open: Vec<bool> = mask.isfinite().view([-1]).try_into().unwrap();
        let first = [true, true, true, false];
        let second = [true, true, true, true];
        assert_eq!(open, [first, second, first, second].concat());
    }
}
