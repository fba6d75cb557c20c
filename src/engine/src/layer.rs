//! One transformer block: attention, then the gated feed-forward.

use tch::{TchError, Tensor};

use crate::{
    KvCache, ModelConfig,
    lora::{PassAdapters, Product},
    ops::{Attention, Linear, Looks, Ops},
    places::Places,
    rope::Rope,
    weights::LayerWeights,
};

/// What all blocks of one pass share.
pub(crate) struct Pass<'a> {
    pub ops: Ops,
    pub config: &'a ModelConfig,
    pub cache: &'a KvCache,
    pub rope: &'a Rope,
    pub places: &'a Places,
    pub looks: Looks,
    pub adapters: PassAdapters<'a>,
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
        let linear = |product, weights: &Linear, bias, input: &Tensor| {
            let output = weights.forward(input, bias)?;
            self.adapters.apply(index, product, input, &output)?;
            Ok::<_, TchError>(output)
        };
        let bias = weights.qkv_bias.as_ref();
        let mut qkv = linear(Product::QueryKeyValue, &weights.qkv, bias, &normed)?;
        let attention = Attention {
            layer: index,
            heads: self.config.heads,
            cache: self.cache,
            places: self.places,
            looks: &self.looks,
            rope: self.rope,
            head_norms: weights.head_norms.as_ref(),
            norm_epsilon: self.config.norm_epsilon,
        };
        let attended = attention.compute(&mut qkv)?;
        let output = linear(Product::AttentionOutput, &weights.attention_output, None, &attended)?;
        stream.delta = Some(output);

        let normed = self.norm(stream, &weights.feed_forward_norm)?;
        let gate_up = linear(Product::GateUp, &weights.gate_up, None, &normed)?;
        let gated = self.ops.silu_mul(&gate_up)?;
        stream.delta = Some(linear(Product::Down, &weights.down, None, &gated)?);
        Ok(())
    }

    fn norm(&self, stream: &mut Stream, weight: &Tensor) -> Result<Tensor, TchError> {
        let delta = stream.delta.take();
        let (residual, epsilon) = (&mut stream.residual, self.config.norm_epsilon);
        self.ops
            .add_rms_norm(residual, delta.as_ref(), weight, epsilon, self.cache.kind())
    }
}
