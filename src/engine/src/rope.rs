//! Rotary position embedding (Su et al. 2021, <https://arxiv.org/abs/2104.09864>), pairing the two
//! halves of each head.

use tch::{Device, Kind, TchError, Tensor};

use crate::{Dtype, ModelConfig};

/// Cosines and sines of all positions, `[context, 1, head_dim / 2]`.
pub(crate) struct Rope {
    cos: Tensor,
    sin: Tensor,
}

/// Cosines and sines of the tokens of one pass, `[tokens, 1, head_dim / 2]`.
pub(crate) struct Angles {
    cos: Tensor,
    sin: Tensor,
}

impl Rope {
    /// Computes the angles in single precision, then rounds.
    pub fn new(config: &ModelConfig, context_length: usize, dtype: Dtype) -> Result<Self, TchError> {
        let half = config.head_dim / 2;
        let frequencies: Vec<f32> = (0..half)
            .map(|i| config.rope_base.powf(-2.0 * i as f64 / config.head_dim as f64) as f32)
            .collect();
        let positions = Tensor::f_arange(context_length as i64, (Kind::Float, Device::Cpu))?;
        let angles = positions
            .f_outer(&Tensor::f_from_slice(&frequencies)?)?
            .f_unsqueeze(1)?;
        Ok(Self {
            cos: angles.f_cos()?.f_to_kind(dtype.kind())?,
            sin: angles.f_sin()?.f_to_kind(dtype.kind())?,
        })
    }

    /// The angles of `positions`, `[tokens]`.
    pub fn at(&self, positions: &Tensor) -> Result<Angles, TchError> {
        Ok(Angles {
            cos: self.cos.f_index_select(0, positions)?,
            sin: self.sin.f_index_select(0, positions)?,
        })
    }
}

impl Angles {
    /// Rotates `heads`, `[tokens, heads, head_dim]`.
    pub fn rotate(&self, heads: &Tensor) -> Result<Tensor, TchError> {
        let halves = heads.f_chunk(2, -1)?;
        let (first, second) = (&halves[0], &halves[1]);
        let rotated_first = first.f_mul(&self.cos)?.f_sub(&second.f_mul(&self.sin)?)?;
        let rotated_second = second.f_mul(&self.cos)?.f_add(&first.f_mul(&self.sin)?)?;
        Tensor::f_cat(&[rotated_first, rotated_second], -1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::tests::tiny_file;

    #[test]
    fn scores_depend_on_the_distance_only() {
        let config = ModelConfig::from_header(tiny_file(&[]).header()).unwrap();
        let rope = Rope::new(&config, 32, Dtype::Fp32).unwrap();
        let query = Tensor::arange(8, (Kind::Float, Device::Cpu)).view([1, 1, 8]);
        let key = Tensor::ones([1, 1, 8], (Kind::Float, Device::Cpu));
        let score = |q: i64, k: i64| {
            let q = rope
                .at(&Tensor::from_slice(&[q]))
                .unwrap()
                .rotate(&query)
                .unwrap()
                .view([-1]);
            let k = rope
                .at(&Tensor::from_slice(&[k]))
                .unwrap()
                .rotate(&key)
                .unwrap()
                .view([-1]);
            q.dot(&k).double_value(&[])
        };
        assert!((score(9, 4) - score(25, 20)).abs() < 1e-3);
        assert!((score(9, 4) - score(9, 5)).abs() > 1e-3);
    }
}
