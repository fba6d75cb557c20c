//! Keys and values of the tokens computed so far, in pages.

use tch::{Device, Kind, TchError, Tensor};

use crate::{Dtype, ModelConfig, Ops, PAGE};

/// One tensor pair a layer. Memory is reserved at once; the processor's, unlike a GPU's, the system provides
/// only as tokens are written.
///
/// Our kernels read `[pages, kv_heads, PAGE, head_dim]`. libtorch's operators write and read whole tokens:
/// `[pages, PAGE, kv_heads, head_dim]`.
pub struct KvCache {
    keys: Vec<Tensor>,
    values: Vec<Tensor>,
}

impl KvCache {
    /// `pages` pages, as `ops` take them.
    ///
    /// # Errors
    /// When libtorch cannot reserve the memory.
    pub(crate) fn new(
        config: &ModelConfig,
        pages: usize,
        dtype: Dtype,
        device: Device,
        ops: Ops,
    ) -> Result<Self, TchError> {
        let (pages, page) = (pages as i64, PAGE as i64);
        let shape = match ops {
            Ops::Own => [pages, config.kv_heads, page, config.head_dim],
            Ops::Aten => [pages, page, config.kv_heads, config.head_dim],
        };
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

    pub(crate) fn kind(&self) -> Kind {
        self.keys.first().map_or(Kind::Float, Tensor::kind)
    }

    pub(crate) fn device(&self) -> Device {
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

    /// Stores keys and values, `[tokens, kv_heads, head_dim]` each, at the places `slots`; of the layout by
    /// tokens.
    pub(crate) fn write(&self, layer: usize, slots: &Tensor, keys: &Tensor, values: &Tensor) -> Result<(), TchError> {
        for (cache, new) in [(&self.keys[layer], keys), (&self.values[layer], values)] {
            let _ = cache.f_flatten(0, 1)?.f_index_copy_(0, slots, new)?;
        }
        Ok(())
    }

    /// A copy of the keys and values of the listed pages, `[tokens, kv_heads, head_dim]` each; of the layout
    /// by tokens.
    pub(crate) fn read(&self, layer: usize, pages: &Tensor) -> Result<[Tensor; 2], TchError> {
        let read = |cache: &Tensor| cache.f_index_select(0, pages)?.f_flatten(0, 1);
        Ok([read(&self.keys[layer])?, read(&self.values[layer])?])
    }
}
