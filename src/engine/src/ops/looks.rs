//! What the rows of a pass look at, in the form that the operations take.

use tch::TchError;

use super::{Ops, aten, own};
use crate::{Batch, KvCache, ModelConfig, places::Places, rope::Rope};

/// What the rows of a pass look at: made once, for all layers.
pub(crate) enum Looks {
    Own(own::Looks),
    Aten(aten::Looks),
}

/// What [`Looks`] are made of.
#[derive(Clone, Copy)]
pub(crate) struct LooksPass<'a> {
    pub batch: &'a Batch,
    pub places: &'a Places,
    pub cache: &'a KvCache,
    pub config: &'a ModelConfig,
    pub rope: &'a Rope,
    /// Whether the device has the kernel of [`engine_sys::cuda::FlashAttention`].
    pub flash: bool,
}

impl Looks {
    pub fn new(ops: Ops, pass: LooksPass<'_>) -> Result<Self, TchError> {
        let LooksPass {
            batch,
            places,
            cache,
            config,
            ..
        } = pass;
        Ok(match ops {
            Ops::Own => Self::Own(own::Looks::new(batch, places, cache, config.group())?),
            Ops::Aten => Self::Aten(aten::Looks::new(pass)?),
        })
    }
}
