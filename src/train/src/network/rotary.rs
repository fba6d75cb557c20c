//! Rotary position embedding (Su et al. 2021, <https://arxiv.org/abs/2104.09864>), pairing the halves of each head.

use engine::ModelConfig;
use tch::{Kind, TchError, Tensor};

/// Cosines and sines of the rows of a batch, `[rows, 1, head_dim]` each, the sines of the first half negative.
pub(crate) struct Angles {
    cosines: Tensor,
    sines: Tensor,
    half: i64,
}

impl Angles {
    /// For rows at `positions`, all of them `offset` later.
    pub fn new(config: &ModelConfig, positions: &Tensor, offset: i64, kind: Kind) -> Result<Self, TchError> {
        let half = config.head_dim / 2;
        let frequencies: Vec<f32> = (0..half)
            .map(|i| config.rope_base.powf(-2.0 * i as f64 / config.head_dim as f64) as f32)
            .collect();
        let positions = positions.f_add_scalar(offset)?.f_to_kind(Kind::Float)?;
        let angles = positions
            .f_outer(&Tensor::f_from_slice(&frequencies)?)?
            .f_unsqueeze(1)?;
        let (cosines, sines) = (angles.f_cos()?, angles.f_sin()?);
        Ok(Self {
            cosines: Tensor::f_cat(&[&cosines, &cosines], -1)?.f_to_kind(kind)?,
            sines: Tensor::f_cat(&[&sines.f_neg()?, &sines], -1)?.f_to_kind(kind)?,
            half,
        })
    }

    /// Rotates `[rows, heads, head_dim]`.
    pub fn rotate(&self, heads: &Tensor) -> Result<Tensor, TchError> {
        let exchanged = heads.f_roll(self.half, -1)?;
        heads.f_mul(&self.cosines)?.f_addcmul(&exchanged, &self.sines)
    }
}
