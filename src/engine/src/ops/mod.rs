//! The operations of a transformer block beside its matrix products: kernels of our own on CPUs,
//! libtorch's operators elsewhere. Both compute the same; `tests.rs` holds them together.

mod aten;
mod linear;
mod self_bench;
#[cfg(test)]
mod tests;

use tch::{TchError, Tensor};

pub(crate) use self::linear::Linear;
pub(crate) use self::self_bench::SelfBench;

use crate::{KvCache, kv_cache::Places, rope::Rope};

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
    pub rope: &'a Rope,
    pub head_norms: Option<&'a HeadNorms>,
    pub norm_epsilon: f64,
}

impl Ops {
    /// `residual += delta`, then its root mean square norm (Zhang and Sennrich 2019,
    /// <https://arxiv.org/abs/1910.07467>) in the type of `weight`.
    pub(crate) fn add_rms_norm(
        self,
        residual: &mut Tensor,
        delta: Option<&Tensor>,
        weight: &Tensor,
        epsilon: f64,
    ) -> Result<Tensor, TchError> {
        match self {
            Self::Own => engine_sys::add_rms_norm(residual, delta, weight, epsilon),
            Self::Aten => aten::add_rms_norm(residual, delta, weight, epsilon),
        }
    }

    /// `silu(gate) * up` of `[rows, 2 width]`, gate first.
    pub(crate) fn silu_mul(self, gate_up: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Own => engine_sys::silu_mul(gate_up),
            Self::Aten => aten::silu_mul(gate_up),
        }
    }

    /// Attention of every row of `qkv`, `[rows, (heads + 2 kv_heads) head_dim]`, over what its sequence
    /// has in the cache, itself included: `[rows, heads head_dim]`. Changes `qkv`.
    pub(crate) fn attention(self, qkv: &mut Tensor, attention: &Attention<'_>) -> Result<Tensor, TchError> {
        match self {
            Self::Own => attention.own(qkv),
            Self::Aten => aten::attention(qkv, attention),
        }
    }
}

impl Attention<'_> {
    fn own(&self, qkv: &mut Tensor) -> Result<Tensor, TchError> {
        let Self {
            layer, places, rope, ..
        } = *self;
        let pages = self.cache.layer(layer);
        let norms = self.head_norms.map(|[query, key]| engine_sys::HeadNorms {
            query,
            key,
            epsilon: self.norm_epsilon,
        });
        engine_sys::rope_and_store(qkv, pages, places.positions(), places.slots(), rope.tables(), norms)?;
        let (_, _, _, head_dim) = pages.keys.size4()?;
        let scale = 1.0 / (head_dim as f64).sqrt();
        let queries = |first, count| qkv.f_narrow(0, first, count)?.f_narrow(1, 0, self.heads * head_dim);

        // Whoever adds one token reads a whole context for it: the kernel reads the pages where they
        // are. A piece of a prompt is computed faster over a copy of them.
        let singles = places.singles();
        let mut parts = Vec::new();
        if singles.rows() > 0 {
            let queries = queries(0, singles.rows() as i64)?;
            parts.push(engine_sys::paged_attention(
                &queries, self.heads, pages, singles, scale,
            )?);
        }
        for piece in places.others() {
            let queries = queries(piece.first, piece.count)?.f_view([piece.count, self.heads, head_dim])?;
            parts.push(aten::attend(&queries, piece, pages)?);
        }
        aten::joined(parts, places.slots().len() as i64)
    }
}
