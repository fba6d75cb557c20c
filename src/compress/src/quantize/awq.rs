//! AWQ (Lin et al. 2023, <https://arxiv.org/abs/2306.00978>): a few channels carry most of a layer's
//! input. Multiplied before rounding, their weights get finer steps; the layer before divides.

use std::collections::BTreeMap;

use engine::{
    ModelConfig,
    blocks::{Block, Layer, widen},
};
use gguf::GgmlType;
use tch::{Kind, Tensor};

use super::{grid::Grid, nearest};
use crate::{Error, inputs::Inputs};

/// Powers of the channels' magnitudes that are tried: 0 (no scaling) up to 1.
const POWERS: usize = 20;
/// Smallest magnitude that counts as one: channels that the text never used are not special.
const SMALLEST: f64 = 1e-4;

/// Scales the inputs of every layer of `block`, each by the power of its magnitudes that brings the
/// layer's output nearest after rounding, and folds the inverse into what makes the input. Returns
/// what each layer's channels are multiplied by.
pub(super) fn scale(
    block: &mut Block,
    inputs: &BTreeMap<Layer, Inputs>,
    config: &ModelConfig,
    group: usize,
) -> Result<BTreeMap<Layer, Tensor>, Error> {
    let mut scales = BTreeMap::new();
    for layer in Layer::ALL {
        let Some(inputs) = inputs.get(&layer) else { continue };
        let mut magnitudes = inputs.mean_magnitudes()?;
        if layer == Layer::AttentionOutput {
            magnitudes = shared_by_heads(&magnitudes, config)?;
        }
        let weights: Vec<_> = layer
            .weights()
            .iter()
            .map(|name| block.get(name))
            .collect::<Result<_, _>>()?;
        let weights = Tensor::f_cat(&weights, 0)?;
        let scale = best(&weights, &inputs.sample()?, &magnitudes, group)?;
        fold(block, layer, &scale, config)?;
        scales.insert(layer, scale);
    }
    Ok(scales)
}

/// The scale that loses least.
fn best(weights: &Tensor, sample: &Tensor, magnitudes: &Tensor, group: usize) -> Result<Tensor, Error> {
    let magnitudes = magnitudes.f_clamp_min(SMALLEST)?;
    let mut best: Option<(f64, Tensor)> = None;
    for power in 0..POWERS {
        let scale = magnitudes.f_pow_tensor_scalar(power as f64 / POWERS as f64)?;
        let middle = (scale.f_max()?.f_mul(&scale.f_min()?)?).f_sqrt()?;
        let scale = scale.f_div(&middle)?;
        let scaled = weights.f_mul(&scale)?;
        let blocks = nearest::round("", &scaled, group, |_, group| Grid::min_max(group))?;
        let rounded = widen(&blocks, GgmlType::Q4_1).unwrap_or_default();
        let rounded = Tensor::f_from_slice(&rounded)?.f_view_as(weights)?.f_div(&scale)?;
        let lost = sample.f_matmul(&weights.f_sub(&rounded)?.f_tr()?)?;
        let lost = lost.f_square()?.f_mean(Kind::Double)?.f_double_value(&[])?;
        if best.as_ref().is_none_or(|(least, _)| lost < *least) {
            best = Some((lost, scale));
        }
    }
    best.map(|(_, scale)| scale)
        .ok_or_else(|| Error::Calibration("it makes activations that are not finite".into()))
}

/// Under grouped-query attention several query heads read one value row, which can have one scale
/// only: that of their mean magnitude.
fn shared_by_heads(magnitudes: &Tensor, config: &ModelConfig) -> Result<Tensor, Error> {
    let shape = [config.kv_heads, config.group(), config.head_dim];
    let mean = magnitudes
        .f_view(shape)?
        .f_mean_dim([1i64].as_slice(), true, Kind::Float)?;
    Ok(mean.f_expand(shape, false)?.f_reshape([-1])?)
}

/// Multiplies the columns of the layer's weights, and divides what its input is multiplied with last.
fn fold(block: &mut Block, layer: Layer, scale: &Tensor, config: &ModelConfig) -> Result<(), Error> {
    for name in layer.weights() {
        let scaled = block.get(name)?.f_mul(scale)?;
        block.set(name, scaled);
    }
    let (before, scale) = match layer {
        Layer::Qkv => ("attn_norm", scale.shallow_clone()),
        Layer::GateUp => ("ffn_norm", scale.shallow_clone()),
        Layer::Down => ("ffn_up", scale.f_unsqueeze(1)?),
        Layer::AttentionOutput => {
            let shape = [config.kv_heads, config.group(), config.head_dim];
            let first = scale.f_view(shape)?.f_select(1, 0)?.f_reshape([-1, 1])?;
            ("attn_v", first)
        }
    };
    let name = format!("{before}.weight");
    let divided = block.get(&name)?.f_div(&scale)?;
    block.set(&name, divided);
    let name = format!("{before}.bias");
    if block.tensors().contains_key(&name) {
        let divided = block.get(&name)?.f_div(&scale.f_reshape([-1])?)?;
        block.set(&name, divided);
    }
    Ok(())
}
