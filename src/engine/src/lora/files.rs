//! An adapter on disk: checked against the base model before anything large is read.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use half::{bf16, f16};
use safetensors::tensor::Dtype as FileType;

use super::{
    Adapter, AdapterConfig, AdapterError, AdapterId, Projection,
    adapter::Matrices,
    file::{WeightsFile, read_config},
    module::{self, ModuleName, Side},
};
use crate::{Dtype, ModelConfig, dequantize::Weight};

/// Name of the configuration in an adapter's directory.
pub(crate) const CONFIG: &str = "adapter_config.json";
/// Name of the weights in an adapter's directory.
pub(crate) const WEIGHTS: &str = "adapter_model.safetensors";

/// The files of an adapter that fits the base model. Only their headers are read so far.
pub struct AdapterFiles {
    config: AdapterConfig,
    weights: WeightsFile,
    /// What each tensor of the weights file is, in its order.
    tensors: Vec<Tensor>,
}

struct Tensor {
    module: ModuleName,
    side: Side,
    shape: [usize; 2],
    file_type: FileType,
}

impl AdapterFiles {
    /// Reads configuration and header in `directory` and checks them against `model`.
    ///
    /// # Errors
    /// When they are damaged, of another base model, or of a kind that is not supported.
    pub fn open(directory: &Path, model: &ModelConfig) -> Result<Self, AdapterError> {
        let config_bytes = read_config(&directory.join(CONFIG))?;
        let config = AdapterConfig::parse(&config_bytes)?;
        let weights = WeightsFile::open(&directory.join(WEIGHTS), &config_bytes)?;
        let mut tensors = Vec::with_capacity(weights.tensors().len());
        for (name, info) in weights.tensors() {
            let (module, side) = module::parse(name)?;
            tensors.push(Tensor {
                module,
                side,
                shape: check_shape(name, module, side, &info.shape, &config, model)?,
                file_type: check_type(name, info.dtype)?,
            });
        }
        check_whole(&tensors, &config, model)?;
        Ok(Self {
            config,
            weights,
            tensors,
        })
    }

    /// Memory that the adapter takes, computed in `dtype`.
    pub fn bytes(&self, dtype: Dtype) -> u64 {
        let elements: usize = self
            .tensors
            .iter()
            .map(|tensor| tensor.shape.iter().product::<usize>())
            .sum();
        (elements * dtype.kind().elt_size_in_bytes()) as u64
    }

    /// The identity of the adapter, without keeping it in memory.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn id(self) -> Result<AdapterId, AdapterError> {
        self.weights.digest_ahead().map(AdapterId)
    }

    /// Reads the weights.
    ///
    /// # Errors
    /// When the file changed meanwhile, has values that are no numbers, or libtorch fails.
    pub fn read(self, model: &ModelConfig, dtype: Dtype) -> Result<Adapter, AdapterError> {
        match dtype {
            Dtype::Bf16 => self.read_as::<i16>(model, dtype),
            Dtype::Fp32 => self.read_as::<f32>(model, dtype),
        }
    }

    fn read_as<W: Weight>(mut self, model: &ModelConfig, dtype: Dtype) -> Result<Adapter, AdapterError> {
        let bytes = self.bytes(dtype);
        let mut modules: BTreeMap<ModuleName, Matrices<W>> = BTreeMap::new();
        for tensor in &self.tensors {
            let path = tensor.module.path();
            let content = self.weights.next(tensor.bytes())?;
            // In single precision, so that weights are rounded once.
            let factor = match tensor.side {
                Side::A => 1.0,
                Side::B => self.config.scale(&path) as f32,
            };
            let values = tensor.values(&content, factor)?;
            let matrices = modules.entry(tensor.module).or_insert_with(|| Matrices {
                rank: self.config.rank(&path),
                a: Vec::new(),
                b: Vec::new(),
            });
            match tensor.side {
                Side::A => matrices.a = values,
                Side::B => matrices.b = values,
            }
        }
        let id = AdapterId(self.weights.digest());
        Adapter::new(id, self.config, bytes, modules, model)
    }
}

impl Tensor {
    fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * (self.file_type.bitsize() / 8)
    }

    fn values<W: Weight>(&self, content: &[u8], factor: f32) -> Result<Vec<W>, AdapterError> {
        let pairs = content.as_chunks::<2>().0.iter().copied();
        let read = |values: &mut dyn Iterator<Item = f32>| {
            let values = values.map(|value| value * factor);
            let finite = |value: f32| value.is_finite().then(|| W::from_f32(value));
            values.map(finite).collect::<Option<Vec<W>>>()
        };
        let values = match self.file_type {
            FileType::F16 => read(&mut pairs.map(|pair| f16::from_le_bytes(pair).to_f32())),
            FileType::BF16 => read(&mut pairs.map(|pair| bf16::from_le_bytes(pair).to_f32())),
            _ => read(&mut content.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four))),
        };
        values.ok_or_else(|| AdapterError::NotFinite {
            tensor: self.module.tensor(self.side),
        })
    }
}

fn check_type(name: &str, found: FileType) -> Result<FileType, AdapterError> {
    match found {
        FileType::F32 | FileType::F16 | FileType::BF16 => Ok(found),
        other => Err(AdapterError::Type {
            tensor: name.into(),
            found: format!("{other:?}"),
        }),
    }
}

fn check_shape(
    name: &str,
    module: ModuleName,
    side: Side,
    found: &[usize],
    config: &AdapterConfig,
    model: &ModelConfig,
) -> Result<[usize; 2], AdapterError> {
    if module.layer >= model.layers {
        return Err(AdapterError::Layer {
            tensor: name.into(),
            layer: module.layer,
            layers: model.layers,
            base: config.base().map(Into::into),
        });
    }
    let rank = config.rank(&module.path());
    let expected = match side {
        Side::A => [rank, module.projection.inputs(model) as usize],
        Side::B => [module.projection.outputs(model) as usize, rank],
    };
    match found == expected {
        true => Ok(expected),
        false => Err(AdapterError::Shape {
            tensor: name.into(),
            found: found.into(),
            expected,
            rank,
            base: config.base().map(Into::into),
        }),
    }
}

/// Checks that the file has both matrices of every module that the configuration targets, and no others.
fn check_whole(tensors: &[Tensor], config: &AdapterConfig, model: &ModelConfig) -> Result<(), AdapterError> {
    let present: BTreeSet<(ModuleName, Side)> = tensors.iter().map(|tensor| (tensor.module, tensor.side)).collect();
    if present.is_empty() {
        return Err(AdapterError::Weights("it has no tensors".into()));
    }
    for layer in 0..model.layers {
        for projection in Projection::ALL {
            let module = ModuleName { layer, projection };
            let has = |side| present.contains(&(module, side));
            let wanted = config.targets(module).unwrap_or(has(Side::A) || has(Side::B));
            for side in [Side::A, Side::B] {
                match (wanted, has(side)) {
                    (true, false) => {
                        return Err(AdapterError::Missing {
                            tensor: module.tensor(side),
                            base: config.base().map(Into::into),
                        });
                    }
                    (false, true) => {
                        return Err(AdapterError::Untargeted {
                            tensor: module.tensor(side),
                        });
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(())
}
