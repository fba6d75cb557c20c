//! One transformer block: attention, then the gated feed-forward.

use tch::{TchError, Tensor};

use crate::{
    KvCache, ModelConfig,
    kv_cache::Places,
    ops::{Attention, Ops},
    rope::Rope,
    weights::LayerWeights,
};

/// What all blocks of one pass share.
pub(crate) struct Pass<'a> {
    pub ops: Ops,
    pub config: &'a ModelConfig,
    pub cache: &'a KvCache,
    pub rope: &'a Rope,
    pub places: Places,
}

/// What goes from block to block. The sum is made when the next norm reads it anyway.
pub(crate) struct Stream {
    /// `[rows, hidden]`, in single precision: small terms of late blocks count, too.
    pub residual: Tensor,
    /// What the last layer adds to it.
    pub delta: Option<Tensor>,
}

impl Pass<'_> {
    /// Computes block `index`.
    pub fn block(&self, index: usize, weights: &LayerWeights, stream: &mut Stream) -> Result<(), TchError> {
        let normed = self.norm(stream, &weights.attention_norm)?;
        let mut qkv = weights.qkv.forward(&normed, weights.qkv_bias.as_ref())?;
        let attention = Attention {
            layer: index,
            heads: self.config.heads,
            cache: self.cache,
            places: &self.places,
            rope: self.rope,
            head_norms: weights.head_norms.as_ref(),
            norm_epsilon: self.config.norm_epsilon,
        };
        let attended = self.ops.attention(&mut qkv, &attention)?;
        stream.delta = Some(weights.attention_output.forward(&attended, None)?);

        let normed = self.norm(stream, &weights.feed_forward_norm)?;
        let gated = self.ops.silu_mul(&weights.gate_up.forward(&normed, None)?)?;
        stream.delta = Some(weights.down.forward(&gated, None)?);
        Ok(())
    }

    fn norm(&self, stream: &mut Stream, weight: &Tensor) -> Result<Tensor, TchError> {
        let delta = stream.delta.take();
        self.ops
            .add_rms_norm(&mut stream.residual, delta.as_ref(), weight, self.config.norm_epsilon)
    }
}
