//! Choosing the new weights of one block, and their bytes.

mod awq;
mod encode;
mod gptq;
mod grid;
mod nearest;
mod parallel;

use std::collections::BTreeMap;

use engine::{
    ModelConfig,
    blocks::{Block, Layer, widen},
};
use gguf::{GgmlType, TensorInfo};
use tch::Tensor;

pub(crate) use encode::{copy, encode, floats};

use crate::{Error, Method, Options, inputs::Inputs, prune::Kept};
use grid::Grid;

/// What is known about a block whose weights are chosen.
pub(crate) struct Task<'a> {
    pub options: &'a Options,
    pub config: &'a ModelConfig,
    /// The inputs of its layers, where the method asks for them.
    pub inputs: &'a BTreeMap<Layer, Inputs>,
    /// What pruning left.
    pub kept: &'a Kept,
}

impl Task<'_> {
    /// Quantizes every tensor of `block` to the type that `target` gives its name, hands the bytes to
    /// `write`, and puts what the bytes stand for in the tensor's place.
    pub fn run<'t>(
        &self,
        block: &mut Block,
        target: impl Fn(&str) -> Result<&'t TensorInfo, Error>,
        mut write: impl FnMut(&TensorInfo, &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let scales = match self.options.method {
            Some(Method::Awq | Method::Gptq) => awq::scale(block, self.inputs, self.config, self.options.group_size)?,
            _ => BTreeMap::new(),
        };
        let names: Vec<String> = block.tensors().keys().cloned().collect();
        for name in names {
            let info = target(&name)?;
            let weights = block.get(&name)?;
            let bytes = match info.ggml_type {
                GgmlType::Q4_1 => self.four_bits(&name, weights, &scales)?,
                other => encode(&info.name, weights, other)?,
            };
            write(info, &bytes)?;
            block.set(&name, decode(info, &bytes)?);
        }
        Ok(())
    }

    fn four_bits(&self, name: &str, weights: &Tensor, scales: &BTreeMap<Layer, Tensor>) -> Result<Vec<u8>, Error> {
        let group = self.options.group_size;
        let layer = Layer::ALL.into_iter().find(|layer| layer.weights().contains(&name));
        let inputs = layer.and_then(|layer| self.inputs.get(&layer));
        match (self.options.method, inputs) {
            (Some(Method::Gptq), Some(inputs)) => {
                let mut products = inputs.mean_products()?;
                if let Some(scale) = layer.and_then(|layer| scales.get(&layer)) {
                    products = products.f_div(scale)?.f_div(&scale.f_unsqueeze(1)?)?;
                }
                gptq::quantize(name, weights, &products, self.kept.get(name), group)
            }
            (Some(Method::Awq), Some(inputs)) => {
                let mut squares = inputs.mean_squares()?;
                if let Some(scale) = layer.and_then(|layer| scales.get(&layer)) {
                    squares = squares.f_div(&scale.f_square()?)?;
                }
                let importance = floats(&squares)?;
                nearest::round(name, weights, group, |first, weights| {
                    Grid::fit(weights, &importance[first..first + weights.len()])
                })
            }
            (Some(Method::Hqq), _) => {
                nearest::round(name, weights, group, |_, weights| nearest::half_quadratic(weights))
            }
            _ => nearest::round(name, weights, group, |_, weights| Grid::min_max(weights)),
        }
    }
}

/// What the bytes of a tensor stand for.
pub(crate) fn decode(info: &TensorInfo, bytes: &[u8]) -> Result<Tensor, Error> {
    let weights = widen(bytes, info.ggml_type)
        .ok_or_else(|| Error::tensor(&info.name, format!("weights of type {} cannot be read", info.ggml_type)))?;
    let columns = info.shape.last().map_or(1, |columns| *columns as i64);
    let flat = Tensor::f_from_slice(&weights)?;
    Ok(match info.shape.len() {
        1 => flat,
        _ => flat.f_view([-1, columns])?,
    })
}
