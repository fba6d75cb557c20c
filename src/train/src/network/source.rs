//! Where the values of a network come from: the files of a model, or a seed.

use checkpoint::Checkpoint;
use engine::{
    LoadError, ModelConfig,
    blocks::{unpermuted, widen},
};
use gguf::Architecture;
use tch::{Device, Kind, Tensor};

use crate::{Error, random::Random};

/// Numbers that are widened at once.
const PIECE: usize = 1 << 20;
/// Standard deviation of the matrices of a new model (Radford et al. 2019).
const DEVIATION: f64 = 0.02;

/// Values by the names of GGUF files, rows of query and key in the order of the network.
pub(crate) enum Source<'a> {
    /// A model that there is.
    Files(&'a Checkpoint),
    /// A new one.
    Seed(u64),
}

/// What a new model has beside its shape.
pub(crate) fn config_of(architecture: &protocol::tune::Architecture, vocabulary: i64) -> Result<ModelConfig, Error> {
    let refuse = |why: String| Err(Error::plan("architecture", why));
    let sizes = [
        ("layers", architecture.layers),
        ("hiddenSize", architecture.hidden_size),
        ("feedForwardSize", architecture.feed_forward_size),
        ("heads", architecture.heads),
        ("kvHeads", architecture.kv_heads),
        ("contextLength", architecture.context_length),
    ];
    for (name, size) in sizes {
        if !(1..=1 << 24).contains(&size) {
            return refuse(format!("{name} is {size}, expected 1 to {}", 1 << 24));
        }
    }
    let [hidden, heads, kv_heads] = [architecture.hidden_size, architecture.heads, architecture.kv_heads];
    if !hidden.is_multiple_of(heads) || !(hidden / heads).is_multiple_of(2) {
        return refuse(format!(
            "hiddenSize {hidden} divided by {heads} heads must give an even number"
        ));
    }
    if !heads.is_multiple_of(kv_heads) {
        return refuse(format!("{heads} heads do not share {kv_heads} kvHeads evenly"));
    }
    Ok(ModelConfig {
        architecture: Architecture::named("llama").expect("the family is in the table"),
        layers: architecture.layers as usize,
        hidden_size: hidden as i64,
        feed_forward_size: architecture.feed_forward_size as i64,
        heads: heads as i64,
        kv_heads: kv_heads as i64,
        head_dim: (hidden / heads) as i64,
        rope_base: 10_000.0,
        norm_epsilon: 1e-5,
        context_length: architecture.context_length as usize,
        vocabulary_size: vocabulary,
    })
}

impl Source<'_> {
    /// The tensor of that name in `kind`.
    pub fn tensor(&self, config: &ModelConfig, name: &str, shape: &[i64], kind: Kind) -> Result<Tensor, Error> {
        match self {
            Self::Files(files) => read(files, config, name, shape, kind),
            Self::Seed(seed) => Ok(initial(*seed, config, name, shape)?.f_to_kind(kind)?),
        }
    }
}

fn read(files: &Checkpoint, config: &ModelConfig, name: &str, shape: &[i64], kind: Kind) -> Result<Tensor, Error> {
    let info = files.header().tensor(name).map_err(LoadError::from)?;
    let expected: Vec<u64> = shape.iter().map(|size| *size as u64).collect();
    if info.shape != expected {
        return Err(Error::Model(LoadError::Shape {
            tensor: name.into(),
            found: info.shape.clone(),
            expected,
        }));
    }
    let bytes = files.read_tensor(info)?;
    // Rows are whole blocks in every format.
    let rows = if shape.len() > 1 { shape[0] as usize } else { 1 };
    let columns = shape.iter().product::<i64>() as usize / rows.max(1);
    let row_bytes = bytes.len() / rows.max(1);
    let at_once = (PIECE / columns.max(1)).clamp(1, rows.max(1));
    let mut tensor = Tensor::f_empty([rows as i64, columns as i64], (kind, Device::Cpu))?;
    for first in (0..rows).step_by(at_once) {
        let count = at_once.min(rows - first);
        let part = &bytes[first * row_bytes..(first + count) * row_bytes];
        let values = widen(part, info.ggml_type).ok_or_else(|| LoadError::TensorType {
            tensor: name.into(),
            found: info.ggml_type,
        })?;
        let values = Tensor::f_from_slice(&values)?.f_view([count as i64, columns as i64])?;
        tensor.f_narrow(0, first as i64, count as i64)?.f_copy_(&values)?;
    }
    tensor = tensor.f_view(shape)?;
    if shape.len() < 2 || !files.rows_are_permuted() {
        return Ok(tensor);
    }
    Ok(match name.rsplit('.').nth(1) {
        Some("attn_q") => unpermuted(&tensor, config.heads)?,
        Some("attn_k") => unpermuted(&tensor, config.kv_heads)?,
        _ => tensor,
    })
}

fn initial(seed: u64, config: &ModelConfig, name: &str, shape: &[i64]) -> Result<Tensor, Error> {
    if shape.len() < 2 {
        return Ok(Tensor::f_ones(shape, (Kind::Float, Device::Cpu))?);
    }
    // What is added to the residual stream: the more blocks, the less each.
    let residual = name.ends_with("attn_output.weight") || name.ends_with("ffn_down.weight");
    let deviation = match residual {
        true => DEVIATION / (2.0 * config.layers as f64).sqrt(),
        false => DEVIATION,
    };
    Ok(Random::named(seed, name).normal(shape, deviation)?)
}
