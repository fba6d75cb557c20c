//! The operations of a transformer block beside its matrix products: kernels of our own on CPUs,
//! libtorch's operators elsewhere. Both compute the same; `tests.rs` holds them together.

mod aten;
mod linear;
mod looks;
mod own;
mod self_bench;
#[cfg(test)]
mod tests;

use tch::{Kind, TchError, Tensor};

pub(crate) use self::linear::Linear;
pub(crate) use self::looks::{Looks, LooksPass};
pub(crate) use self::self_bench::SelfBench;

use crate::{KvCache, places::Places, rope::Rope};

/// Whose operations are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ops {
    /// Fused kernels of our own, for CPUs.
    Own,
    /// libtorch's operators, for every device.
    Aten,
}

/// Weights of the norms of query and key heads, `[head_dim]` each, which some networks have.
pub(crate) type HeadNorms = [Tensor; 2];

/// What the attention of one layer works with.
pub(crate) struct Attention<'a> {
    pub layer: usize,
    pub heads: i64,
    pub cache: &'a KvCache,
    pub places: &'a Places,
    pub looks: &'a Looks,
    pub rope: &'a Rope,
    pub head_norms: Option<&'a HeadNorms>,
    pub norm_epsilon: f64,
}

impl Ops {
    /// `residual += delta`, then its root mean square norm (Zhang and Sennrich 2019,
    /// <https://arxiv.org/abs/1910.07467>) in the type `kind`.
    pub(crate) fn add_rms_norm(
        self,
        residual: &mut Tensor,
        delta: Option<&Tensor>,
        weight: &Tensor,
        epsilon: f64,
        kind: Kind,
    ) -> Result<Tensor, TchError> {
        match self {
            Self::Own => engine_sys::add_rms_norm(residual, delta, weight, epsilon)?.f_to_kind(kind),
            Self::Aten => aten::add_rms_norm(residual, delta, weight, epsilon)?.f_to_kind(kind),
        }
    }

    /// `silu(gate) * up` of `[rows, 2 width]`, gate first.
    pub(crate) fn silu_mul(self, gate_up: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Own => engine_sys::silu_mul(gate_up),
            Self::Aten => aten::silu_mul(gate_up),
        }
    }
}

impl Attention<'_> {
    /// Attention of every row of `qkv`, `[rows, (heads + 2 kv_heads) head_dim]`, over what its sequence
    /// has in the cache, itself included: `[rows, heads head_dim]`. Changes `qkv`.
    pub(crate) fn compute(&self, qkv: &mut Tensor) -> Result<Tensor, TchError> {
        match self.looks {
            Looks::Own(looks) => own::attention(qkv, self, looks),
            Looks::Aten(looks) => aten::attention(qkv, self, looks),
        }
    }
}

/// The parts one below the other, and zeros below them up to `rows` rows.
fn joined(mut parts: Vec<Tensor>, rows: i64) -> Result<Tensor, TchError> {
    let so_far: i64 = parts.iter().map(|part| part.size()[0]).sum();
    if let (Some(part), true) = (parts.first(), so_far < rows) {
        let options = (part.kind(), part.device());
        parts.push(Tensor::f_zeros([rows - so_far, part.size()[1]], options)?);
    }
    match parts.as_slice() {
        [only] => Ok(only.shallow_clone()),
        several => Tensor::f_cat(several, 0),
    }
}
