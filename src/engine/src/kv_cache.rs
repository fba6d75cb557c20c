//! Keys and values of the tokens computed so far, a slot for each sequence.

use tch::{Device, TchError, Tensor};

use crate::{Dtype, ModelConfig};

/// One tensor pair a layer, `[slots, kv_heads, context, head_dim]`. Memory is reserved at once, but
/// the system provides it only as tokens are written.
pub struct KvCache {
    keys: Vec<Tensor>,
    values: Vec<Tensor>,
}

impl KvCache {
    /// Room for `slots` sequences of `context_length` tokens.
    ///
    /// # Errors
    /// When libtorch cannot reserve the memory.
    pub fn new(config: &ModelConfig, slots: usize, context_length: usize, dtype: Dtype) -> Result<Self, TchError> {
        let shape = [slots as i64, config.kv_heads, context_length as i64, config.head_dim];
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

    /// Stores the keys and values of new tokens, `[kv_heads, tokens, head_dim]`, from position
    /// `start` on, and returns those of all tokens so far, `[1, kv_heads, start + tokens, head_dim]`.
    pub(crate) fn extend(
        &self,
        layer: usize,
        slot: usize,
        start: usize,
        keys: &Tensor,
        values: &Tensor,
    ) -> Result<(Tensor, Tensor), TchError> {
        Ok((
            extend(&self.keys[layer], slot, start, keys)?,
            extend(&self.values[layer], slot, start, values)?,
        ))
    }
}

fn extend(cache: &Tensor, slot: usize, start: usize, new: &Tensor) -> Result<Tensor, TchError> {
    let (start, count) = (start as i64, new.size()[1]);
    let slot = cache.f_narrow(0, slot as i64, 1)?;
    slot.f_narrow(2, start, count)?.f_copy_(&new.f_unsqueeze(0)?)?;
    slot.f_narrow(2, 0, start + count)
}
