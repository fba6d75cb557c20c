//! Rotary position embedding (Su et al. 2021, <https://arxiv.org/abs/2104.09864>), pairing the halves of each head.

use engine::ModelConfig;
use tch::{Kind, TchError, Tensor};

/// Cosines and sines of the rows of a batch, `[rows, head_dim / 2]` each, in single precision.
pub(crate) struct Angles {
    pub cosines: Tensor,
    pub sines: Tensor,
}

impl Angles {
    /// For rows at `positions`, all of them `offset` later.
    pub fn new(config: &ModelConfig, positions: &Tensor, offset: i64) -> Result<Self, TchError> {
        let frequencies: Vec<f32> = (0..config.head_dim / 2)
            .map(|i| config.rope_base.powf(-2.0 * i as f64 / config.head_dim as f64) as f32)
            .collect();
        let positions = positions.f_add_scalar(offset)?.f_to_kind(Kind::Float)?;
        let angles = positions.f_outer(&Tensor::f_from_slice(&frequencies)?)?;
        Ok(Self {
            cosines: angles.f_cos()?,
            sines: angles.f_sin()?,
        })
    }
}
