//! Keys and values of the tokens computed so far, in pages.

use tch::{Device, Kind, TchError, Tensor};

use crate::{Batch, Dtype, ModelConfig, PAGE};

/// One tensor pair a layer, `[pages, kv_heads, PAGE, head_dim]`. Memory is reserved at once, but the
/// system provides it only as tokens are written.
pub struct KvCache {
    keys: Vec<Tensor>,
    values: Vec<Tensor>,
}

/// Where the tokens of one pass are written and read.
pub(crate) struct Places {
    /// Page and place within it of every new token, `[tokens]` each.
    pages: Tensor,
    offsets: Tensor,
    /// Pages of every segment, as far as its last token.
    tables: Vec<Tensor>,
}

impl Places {
    pub fn new(batch: &Batch) -> Result<Self, TchError> {
        let (mut pages, mut offsets, mut tables) = (Vec::new(), Vec::new(), Vec::new());
        for segment in &batch.segments {
            for position in segment.start..segment.end() {
                pages.push(i64::from(segment.pages[position / PAGE]));
                offsets.push((position % PAGE) as i64);
            }
            let table = &segment.pages[..segment.end().div_ceil(PAGE)];
            let table: Vec<i64> = table.iter().map(|page| i64::from(*page)).collect();
            tables.push(Tensor::f_from_slice(&table)?);
        }
        Ok(Self {
            pages: Tensor::f_from_slice(&pages)?,
            offsets: Tensor::f_from_slice(&offsets)?,
            tables,
        })
    }
}

impl KvCache {
    /// `pages` pages.
    ///
    /// # Errors
    /// When libtorch cannot reserve the memory.
    pub fn new(config: &ModelConfig, pages: usize, dtype: Dtype) -> Result<Self, TchError> {
        let shape = [pages as i64, config.kv_heads, PAGE as i64, config.head_dim];
        let make = || {
            (0..config.layers)
                .map(|_| Tensor::f_empty(shape, (dtype.kind(), Device::Cpu)))
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

    /// Number of pages.
    pub(crate) fn pages(&self) -> usize {
        let first = self.keys.first().and_then(|keys| keys.size().first().copied());
        first.unwrap_or_default().unsigned_abs() as usize
    }

    /// Stores the keys and values of all new tokens, `[tokens, kv_heads, head_dim]` each.
    pub(crate) fn write(&self, layer: usize, places: &Places, keys: &Tensor, values: &Tensor) -> Result<(), TchError> {
        for (cache, new) in [(&self.keys[layer], keys), (&self.values[layer], values)] {
            let index = [Some(&places.pages), None, Some(&places.offsets)];
            let _ = cache.shallow_clone().f_index_put_(&index, new, false)?;
        }
        Ok(())
    }

    /// The keys and values of the first `tokens` tokens of a segment, `[1, kv_heads, tokens, head_dim]` each.
    pub(crate) fn read(
        &self,
        layer: usize,
        places: &Places,
        segment: usize,
        tokens: usize,
    ) -> Result<(Tensor, Tensor), TchError> {
        let gather = |cache: &Tensor| {
            let pages = cache.f_index_select(0, &places.tables[segment])?;
            let joined = pages.f_transpose(0, 1)?.f_flatten(1, 2)?;
            joined.f_narrow(1, 0, tokens as i64)?.f_unsqueeze(0)
        };
        Ok((gather(&self.keys[layer])?, gather(&self.values[layer])?))
    }
}
