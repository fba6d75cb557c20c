//! One transformer block: attention, then the gated feed-forward.

use tch::{Device, Kind, TchError, Tensor};

use crate::{Batch, KvCache, ModelConfig, kv_cache::Places, rope::Angles, weights::LayerWeights};

/// What all blocks of one pass share.
pub(crate) struct Pass<'a> {
    pub config: &'a ModelConfig,
    pub batch: &'a Batch,
    pub cache: &'a KvCache,
    pub angles: Angles,
    pub places: Places,
    /// For each segment of several tokens, what its tokens may not look at.
    pub masks: Vec<Option<Tensor>>,
    /// Rows of the pass, padding included.
    pub rows: i64,
}

impl<'a> Pass<'a> {
    /// Prepares a pass of `rows` rows in the type `kind`.
    pub fn new(
        config: &'a ModelConfig,
        batch: &'a Batch,
        cache: &'a KvCache,
        angles: Angles,
        rows: i64,
        kind: Kind,
    ) -> Result<Self, TchError> {
        let mask = |segment: &crate::Segment| {
            let count = segment.tokens.len();
            (count > 1)
                .then(|| causal_mask(segment.start, count, config.group(), kind))
                .transpose()
        };
        Ok(Self {
            config,
            batch,
            cache,
            angles,
            places: Places::new(batch)?,
            masks: batch.segments.iter().map(mask).collect::<Result<_, _>>()?,
            rows,
        })
    }

    /// Computes block `index` on `hidden`, `[rows, hidden]`.
    pub fn block(&self, index: usize, weights: &LayerWeights, hidden: &Tensor) -> Result<Tensor, TchError> {
        let config = self.config;
        let normed = rms_norm(hidden, &weights.attention_norm, config.norm_epsilon)?;
        let qkv = normed.f_linear(&weights.qkv, weights.qkv_bias.as_ref())?;
        let attended = self.attention(index, &qkv, weights.head_norms.as_ref())?;
        let hidden = hidden.f_add(&attended.f_linear::<Tensor>(&weights.attention_output, None)?)?;

        let normed = rms_norm(&hidden, &weights.feed_forward_norm, config.norm_epsilon)?;
        let gate_up = normed.f_linear::<Tensor>(&weights.gate_up, None)?.f_chunk(2, -1)?;
        let gated = gate_up[0].f_silu()?.f_mul(&gate_up[1])?;
        hidden.f_add(&gated.f_linear::<Tensor>(&weights.down, None)?)
    }

    /// Attention of every segment over its own pages; `qkv` is `[rows, (heads + 2 kv_heads) head_dim]`,
    /// the result `[rows, heads head_dim]`.
    fn attention(&self, layer: usize, qkv: &Tensor, head_norms: Option<&[Tensor; 2]>) -> Result<Tensor, TchError> {
        let ModelConfig {
            heads,
            kv_heads,
            head_dim,
            ..
        } = *self.config;
        let all = qkv.f_view([self.rows, heads + 2 * kv_heads, head_dim])?;
        let to_rotate = match head_norms {
            Some([query, key]) => {
                let norm =
                    |first, count, weight| rms_norm(&all.f_narrow(1, first, count)?, weight, self.config.norm_epsilon);
                Tensor::f_cat(&[norm(0, heads, query)?, norm(heads, kv_heads, key)?], 1)?
            }
            None => all.f_narrow(1, 0, heads + kv_heads)?,
        };
        let rotated = self.angles.rotate(&to_rotate)?;
        let queries = rotated.f_narrow(1, 0, heads)?;
        let keys = rotated.f_narrow(1, heads, kv_heads)?;
        let values = all.f_narrow(1, heads + kv_heads, kv_heads)?;

        let tokens = self.batch.len() as i64;
        let new = |tensor: &Tensor| tensor.f_narrow(0, 0, tokens);
        self.cache.write(layer, &self.places, &new(&keys)?, &new(&values)?)?;

        let mut outputs = Vec::with_capacity(self.batch.segments.len() + 1);
        let mut first = 0;
        for (index, (segment, mask)) in self.batch.segments.iter().zip(&self.masks).enumerate() {
            let count = segment.tokens.len() as i64;
            let (keys, values) = self.cache.read(layer, &self.places, index, segment.end())?;
            // Query heads that share a kv head become rows of one attention: without expanding keys
            // and values, which is many times slower.
            let queries = queries.f_narrow(0, first, count)?.f_transpose(0, 1)?;
            let grouped = queries.f_reshape([1, kv_heads, self.config.group() * count, head_dim])?;
            let attended = Tensor::f_scaled_dot_product_attention(
                &grouped,
                &keys,
                &values,
                mask.as_ref(),
                0.0,
                false,
                None,
                false,
            )?;
            outputs.push(
                attended
                    .f_reshape([heads, count, head_dim])?
                    .f_transpose(0, 1)?
                    .f_reshape([count, heads * head_dim])?,
            );
            first += count;
        }
        if first < self.rows {
            outputs.push(Tensor::f_zeros(
                [self.rows - first, heads * head_dim],
                (qkv.kind(), Device::Cpu),
            )?);
        }
        match outputs.as_slice() {
            [only] => Ok(only.shallow_clone()),
            several => Tensor::f_cat(several, 0),
        }
    }
}

/// Root mean square normalization (Zhang and Sennrich 2019, <https://arxiv.org/abs/1910.07467>).
pub(crate) fn rms_norm(hidden: &Tensor, weight: &Tensor, epsilon: f64) -> Result<Tensor, TchError> {
    hidden.f_rms_norm(weight.size(), Some(weight), epsilon)
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
