//! Rotary position embedding (Su et al. 2021, <https://arxiv.org/abs/2104.09864>), pairing the two
//! halves of each head.

use tch::{Device, Kind, TchError, Tensor};

use crate::ModelConfig;

/// Cosines and sines of all positions in single precision, `[context, head_dim / 2]` each.
pub(crate) struct Rope {
    cosines: Tensor,
    sines: Tensor,
}

impl Rope {
    pub fn new(config: &ModelConfig, context_length: usize, device: Device) -> Result<Self, TchError> {
        let half = config.head_dim / 2;
        let frequencies: Vec<f32> = (0..half)
            .map(|i| config.rope_base.powf(-2.0 * i as f64 / config.head_dim as f64) as f32)
            .collect();
        let positions = Tensor::f_arange(context_length as i64, (Kind::Float, Device::Cpu))?;
        let angles = positions.f_outer(&Tensor::f_from_slice(&frequencies)?)?;
        Ok(Self {
            cosines: angles.f_cos()?.f_to_device(device)?,
            sines: angles.f_sin()?.f_to_device(device)?,
        })
    }

    /// The tables as kernels take them.
    pub fn tables(&self) -> engine_sys::RopeTables<'_> {
        engine_sys::RopeTables {
            cosines: &self.cosines,
            sines: &self.sines,
        }
    }

    /// Rotates `heads`, `[rows, heads, head_dim]`, by the angles of the rows' positions.
    pub fn rotate(&self, heads: &Tensor, positions: &[i64]) -> Result<Tensor, TchError> {
        let positions = Tensor::f_from_slice(positions)?.f_to_device(heads.device())?;
        self.angles(&positions)?.rotate(heads)
    }

    /// What rows at `positions` are rotated by.
    pub fn angles(&self, positions: &Tensor) -> Result<Angles, TchError> {
        let of_rows = |table: &Tensor| table.f_index_select(0, positions)?.f_unsqueeze(1);
        let (cosines, sines) = (of_rows(&self.cosines)?, of_rows(&self.sines)?);
        Ok(Angles {
            cosines: Tensor::f_cat(&[&cosines, &cosines], -1)?,
            sines: Tensor::f_cat(&[&sines.f_neg()?, &sines], -1)?,
        })
    }
}

/// Cosines and sines of some rows, `[rows, 1, head_dim]` each, the sines of the first half negative.
pub(crate) struct Angles {
    cosines: Tensor,
    sines: Tensor,
}

impl Angles {
    /// Rotates `heads`, `[rows, heads, head_dim]`.
    pub fn rotate(&self, heads: &Tensor) -> Result<Tensor, TchError> {
        let half = self.cosines.size()[2] / 2;
        let exchanged = heads.f_roll(half, -1)?;
        let mut rotated = heads.f_mul(&self.cosines)?;
        rotated.f_addcmul_(&exchanged, &self.sines)?.f_to_kind(heads.kind())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::tests::tiny_file;

    #[test]
    fn scores_depend_on_the_distance_only() {
        let config = ModelConfig::from_header(tiny_file(&[]).header()).unwrap();
        let rope = Rope::new(&config, 32, Device::Cpu).unwrap();
        let query = Tensor::arange(8, (Kind::Float, Device::Cpu)).view([1, 1, 8]);
        let key = Tensor::ones([1, 1, 8], (Kind::Float, Device::Cpu));
        let score = |q: i64, k: i64| {
            let q = rope.rotate(&query, &[q]).unwrap().view([-1]);
            let k = rope.rotate(&key, &[k]).unwrap().view([-1]);
            q.dot(&k).double_value(&[])
        };
        assert!((score(9, 4) - score(25, 20)).abs() < 1e-3);
        assert!((score(9, 4) - score(9, 5)).abs() > 1e-3);
    }
}
