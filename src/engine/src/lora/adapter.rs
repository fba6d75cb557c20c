//! An adapter in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tch::{Device, TchError, Tensor};

use super::{AdapterConfig, AdapterError, AdapterFiles, Product, Projection, module::ModuleName};
use crate::{Dtype, ModelConfig, dequantize::Weight};

/// Identity of an adapter: the SHA-256 digest of its configuration and its weights. Other files under
/// the same name are another adapter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdapterId(pub(crate) [u8; 32]);

impl fmt::Display for AdapterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl AdapterId {
    /// As reports have it: `sha256:` and 64 hex digits.
    pub fn prefixed(&self) -> String {
        format!("sha256:{self}")
    }
}

impl fmt::Debug for AdapterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A loaded adapter. Requests share it; it is freed when the last one lets go.
pub struct Adapter {
    id: AdapterId,
    config: AdapterConfig,
    bytes: u64,
    rank: usize,
    targets: BTreeSet<Projection>,
    /// Tensors may change threads but not be shared by them; only the engine thread ever waits here.
    weights: Mutex<Weights>,
}

/// What an adapter adds, by layer and [`Product`].
pub(crate) struct Weights(Vec<[Option<Delta>; Product::ALL.len()]>);

/// What an adapter adds to the outputs of one linear layer of the engine.
pub(crate) struct Delta {
    /// `[ranks of all parts, in]`: the first factors of the parts, one after the other.
    pub down: Tensor,
    pub parts: Vec<Part>,
}

/// The factors of one part of the outputs.
pub(crate) struct Part {
    /// Its first rank among those of all parts.
    pub first_rank: i64,
    pub rank: i64,
    /// Its first output.
    pub first_output: i64,
    pub outputs: i64,
    /// `[rank, in]`: its rows of `Delta::down`.
    pub down: Tensor,
    /// `[rank, outputs]`, scaled.
    pub up: Tensor,
}

/// The two factors of a module: `[rank, in]`, and `[out, rank]`, scaled.
pub(crate) struct Matrices<W> {
    pub rank: usize,
    pub a: Vec<W>,
    pub b: Vec<W>,
}

impl Adapter {
    /// Reads the adapter in `directory` and checks that it fits `model`.
    ///
    /// # Errors
    /// When it is damaged, of another base model, or of a kind that is not supported.
    pub fn load(directory: &Path, model: &ModelConfig, dtype: Dtype) -> Result<Self, AdapterError> {
        AdapterFiles::open(directory, model)?.read(model, dtype)
    }

    pub(crate) fn new<W: Weight>(
        id: AdapterId,
        config: AdapterConfig,
        bytes: u64,
        mut modules: BTreeMap<ModuleName, Matrices<W>>,
        model: &ModelConfig,
    ) -> Result<Self, AdapterError> {
        let rank = modules.values().map(|matrices| matrices.rank).max().unwrap_or_default();
        let targets = modules.keys().map(|module| module.projection).collect();
        let layer = |layer| {
            let mut deltas = [const { None }; Product::ALL.len()];
            for (delta, product) in deltas.iter_mut().zip(Product::ALL) {
                *delta = Delta::new(layer, product, &mut modules, model)?;
            }
            Ok(deltas)
        };
        let weights = (0..model.layers).map(layer).collect::<Result<_, TchError>>()?;
        Ok(Self {
            id,
            config,
            bytes,
            rank,
            targets,
            weights: Mutex::new(Weights(weights)),
        })
    }

    /// Its identity, which follows from its files.
    pub fn id(&self) -> AdapterId {
        self.id
    }

    /// The base model that it was made for, as it says.
    pub fn base(&self) -> Option<&str> {
        self.config.base()
    }

    /// Memory that it takes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The highest rank among its modules.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The projections that it changes in some layer.
    pub fn targets(&self) -> impl Iterator<Item = Projection> {
        self.targets.iter().copied()
    }

    /// Its tensors, for this thread alone while the guard lives.
    pub(crate) fn weights(&self) -> MutexGuard<'_, Weights> {
        // What is changed under the lock is whole at every moment.
        self.weights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adapter").field("id", &self.id).finish_non_exhaustive()
    }
}

impl PartialEq for Adapter {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Adapter {}

impl Weights {
    /// Puts them where they are computed with. Adapters wait in the processor's memory until a request first
    /// asks for them.
    pub fn move_to(&mut self, device: Device) -> Result<(), TchError> {
        let mut deltas = self.0.iter_mut().flatten().flatten().peekable();
        match deltas.peek() {
            Some(first) if first.down.device() != device => deltas.try_for_each(|delta| delta.move_to(device)),
            _ => Ok(()),
        }
    }

    /// What is added to the outputs of a linear layer, if anything.
    pub fn delta(&self, layer: usize, product: Product) -> Option<&Delta> {
        self.0.get(layer)?[product as usize].as_ref()
    }
}

impl Delta {
    fn new<W: Weight>(
        layer: usize,
        product: Product,
        modules: &mut BTreeMap<ModuleName, Matrices<W>>,
        model: &ModelConfig,
    ) -> Result<Option<Self>, TchError> {
        let mut present = Vec::new();
        let mut first_output = 0;
        for projection in product.parts() {
            let outputs = projection.outputs(model);
            let name = ModuleName {
                layer,
                projection: *projection,
            };
            if let Some(matrices) = modules.remove(&name) {
                present.push((matrices, first_output, outputs));
            }
            first_output += outputs;
        }
        if present.is_empty() {
            return Ok(None);
        }
        let ranks: usize = present.iter().map(|(matrices, ..)| matrices.rank).sum();
        let all: Vec<W> = present
            .iter_mut()
            .flat_map(|(matrices, ..)| std::mem::take(&mut matrices.a))
            .collect();
        let down = tensor(&all, [ranks as i64, product.inputs(model)])?;
        let mut parts = Vec::with_capacity(present.len());
        let mut first_rank = 0;
        for (Matrices { rank, b, .. }, first_output, outputs) in present {
            let up: Vec<W> = (0..rank)
                .flat_map(|r| b.iter().skip(r).step_by(rank).copied())
                .collect();
            let rank = rank as i64;
            parts.push(Part {
                first_rank,
                rank,
                first_output,
                outputs,
                down: down.f_narrow(0, first_rank, rank)?,
                up: tensor(&up, [rank, outputs])?,
            });
            first_rank += rank;
        }
        Ok(Some(Self { down, parts }))
    }

    fn move_to(&mut self, device: Device) -> Result<(), TchError> {
        let down = self.down.f_to_device(device)?;
        for part in &mut self.parts {
            part.down = down.f_narrow(0, part.first_rank, part.rank)?;
            part.up = part.up.f_to_device(device)?;
        }
        // The last one: as long as it is not there, all are moved again.
        self.down = down;
        Ok(())
    }

    /// The part of the outputs that begins at `first_output`.
    pub fn part(&self, first_output: i64) -> Option<&Part> {
        self.parts.iter().find(|part| part.first_output == first_output)
    }
}

fn tensor<W: Weight>(values: &[W], shape: [i64; 2]) -> Result<Tensor, TchError> {
    Tensor::f_from_slice(values)?.f_view_dtype(W::BITS)?.f_view(shape)
}
