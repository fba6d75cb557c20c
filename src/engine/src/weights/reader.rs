//! Finds, checks and converts the tensors of a file.

use checkpoint::Checkpoint;
use engine_sys::{Blocks, Packed, RowOrder, Rows};
use gguf::{GgmlType, TensorInfo};
use tch::{Device, Kind, Tensor};

use super::{ATTENTION_OUTPUT, DOWN, GATE_UP, LayerWeights, QKV, Reading, packed_file::PackedFile};
use crate::{
    Dtype, LoadError, ModelConfig,
    dequantize::{Weight, dequantize},
    ops::Linear,
};

/// Columns that the kernels take a multiple of.
const GROUP: i64 = 32;

/// Rows of a linear layer that are one tensor of the file.
pub(super) struct Part {
    name: String,
    rows: i64,
    order: RowOrder,
}

impl Part {
    pub fn plain(name: &str, rows: i64) -> Self {
        Self {
            name: name.into(),
            rows,
            order: RowOrder::Plain,
        }
    }
}

pub(super) struct Reader<'a> {
    file: &'a Checkpoint,
    reading: Reading<'a>,
    /// Matrices that need not be packed again.
    packed: Option<&'a PackedFile>,
}

/// What a matrix of a layer is called in the file of packed ones.
pub(super) fn name(layer: usize, matrix: &str) -> String {
    format!("{layer}.{matrix}")
}

impl<'a> Reader<'a> {
    pub fn new(file: &'a Checkpoint, reading: Reading<'a>, packed: Option<&'a PackedFile>) -> Self {
        Self { file, reading, packed }
    }

    /// Everything of one layer.
    pub fn layer(&self, index: usize, config: &ModelConfig) -> Result<LayerWeights, LoadError> {
        let ModelConfig {
            architecture,
            hidden_size: hidden,
            feed_forward_size: feed_forward,
            heads,
            kv_heads,
            head_dim,
            ..
        } = *config;
        let own = |name: &str| format!("blk.{index}.{name}");
        let get = |name: &str, shape: &[i64]| self.tensor(&own(name), shape);
        let part = |name: &str, rows: i64| Part::plain(&own(name), rows);
        let rotated = |name: &str, heads: i64| Part {
            order: match self.file.rows_are_permuted() {
                true => RowOrder::Interleaved { heads: heads as usize },
                false => RowOrder::Plain,
            },
            ..part(name, heads * head_dim)
        };
        let bias = || {
            let query = get("attn_q.bias", &[heads * head_dim])?;
            let key = get("attn_k.bias", &[kv_heads * head_dim])?;
            let value = get("attn_v.bias", &[kv_heads * head_dim])?;
            Ok::<_, LoadError>(Tensor::f_cat(&[query, key, value], 0)?)
        };
        let norms = || {
            let query = get("attn_q_norm.weight", &[head_dim])?;
            Ok::<_, LoadError>([query, get("attn_k_norm.weight", &[head_dim])?])
        };
        let qkv = [
            rotated("attn_q.weight", heads),
            rotated("attn_k.weight", kv_heads),
            part("attn_v.weight", kv_heads * head_dim),
        ];
        let gate_up = [
            part("ffn_gate.weight", feed_forward),
            part("ffn_up.weight", feed_forward),
        ];
        Ok(LayerWeights {
            attention_norm: self.norm(&own("attn_norm.weight"), hidden)?,
            qkv: self.linear(&name(index, QKV), hidden, &qkv)?,
            qkv_bias: architecture.qkv_bias.then(bias).transpose()?,
            head_norms: architecture.head_norm.then(norms).transpose()?,
            attention_output: self.linear(
                &name(index, ATTENTION_OUTPUT),
                heads * head_dim,
                &[part("attn_output.weight", hidden)],
            )?,
            feed_forward_norm: self.norm(&own("ffn_norm.weight"), hidden)?,
            gate_up: self.linear(&name(index, GATE_UP), hidden, &gate_up)?,
            down: self.linear(&name(index, DOWN), feed_forward, &[part("ffn_down.weight", hidden)])?,
        })
    }

    /// The matrix `name`, whose rows are those of `parts`, each of `columns` numbers.
    pub fn linear(&self, name: &str, columns: i64, parts: &[Part]) -> Result<Linear, LoadError> {
        if let Some(file) = self.packed {
            let rows = parts.iter().map(|part| part.rows).sum();
            if let Some(packed) = file.matrix(name, rows, columns)? {
                return Ok(Linear::Packed(packed));
            }
        }
        if let Some(packed) = self.pack(columns, parts)? {
            return Ok(Linear::Packed(packed));
        }
        let dense = parts.iter().map(|part| {
            let weight = self.tensor(&part.name, &[part.rows, columns])?;
            match part.order {
                RowOrder::Plain => Ok(weight),
                RowOrder::Interleaved { heads } => unpermute(&weight, heads as i64),
            }
        });
        let mut dense = dense.collect::<Result<Vec<_>, LoadError>>()?;
        match dense.len() {
            1 => Ok(Linear::Dense(dense.remove(0))),
            _ => Ok(Linear::Dense(Tensor::f_cat(&dense, 0)?)),
        }
    }

    /// The parts packed, as many matrices as they have formats; `None` if one of them does not fit the
    /// kernels.
    fn pack(&self, columns: i64, parts: &[Part]) -> Result<Option<Vec<Packed>>, LoadError> {
        if !self.reading.pack {
            return Ok(None);
        }
        let mut read = Vec::with_capacity(parts.len());
        for part in parts {
            let info = self.info(&part.name, &[part.rows, columns])?;
            match blocks(info.ggml_type) {
                Some(blocks) if columns % GROUP == 0 => read.push((self.file.read_tensor(info)?, blocks, part)),
                _ => return Ok(None),
            }
        }
        let packed = read.chunk_by(|a, b| a.1.format() == b.1.format()).map(|same| {
            let rows: Vec<Rows<'_>> = same
                .iter()
                .map(|(bytes, blocks, part)| Rows {
                    bytes,
                    blocks: *blocks,
                    count: part.rows as usize,
                    order: part.order,
                })
                .collect();
            // Blocks of the network are read in parallel already.
            Packed::pack(columns as usize, &rows, 1)
        });
        Ok(Some(packed.collect::<Result<_, _>>()?))
    }

    fn info(&self, name: &str, shape: &[i64]) -> Result<&TensorInfo, LoadError> {
        let info = self.file.header().tensor(name)?;
        let expected: Vec<u64> = shape.iter().map(|size| size.unsigned_abs()).collect();
        if info.shape == expected {
            return Ok(info);
        }
        Err(LoadError::Shape {
            tensor: name.into(),
            found: info.shape.clone(),
            expected,
        })
    }

    /// The weights of a norm of the residual stream: on a GPU in the stream's type, so that no pass has to
    /// convert them.
    pub fn norm(&self, name: &str, width: i64) -> Result<Tensor, LoadError> {
        let weight = self.tensor(name, &[width])?;
        match self.reading.device {
            Device::Cpu => Ok(weight),
            _ => Ok(weight.f_to_kind(Kind::Float)?),
        }
    }

    /// A plain tensor.
    pub fn tensor(&self, name: &str, shape: &[i64]) -> Result<Tensor, LoadError> {
        let info = self.info(name, shape)?;
        let flat = match self.reading.dtype {
            Dtype::Bf16 => self.widen::<i16>(info)?,
            Dtype::Fp32 => self.widen::<f32>(info)?,
        };
        Ok(flat.f_view(shape)?.f_to_device(self.reading.device)?)
    }

    fn widen<W: Weight>(&self, info: &TensorInfo) -> Result<Tensor, LoadError> {
        let bytes = self.file.read_tensor(info)?;
        // What is of the type already is taken as it is.
        if matches!(
            (info.ggml_type, W::BITS),
            (GgmlType::BF16, Kind::BFloat16) | (GgmlType::F32, Kind::Float)
        ) {
            let count = bytes.len() / W::BITS.elt_size_in_bytes();
            return Ok(Tensor::f_from_data_size(&bytes, &[count as i64], W::BITS)?);
        }
        let weights = dequantize::<W>(&bytes, info.ggml_type).ok_or_else(|| LoadError::TensorType {
            tensor: info.name.clone(),
            found: info.ggml_type,
        })?;
        Ok(Tensor::f_from_slice(&weights)?.f_view_dtype(W::BITS)?)
    }
}

/// What the kernels call a type; `None` for one that they do not know.
fn blocks(ggml_type: GgmlType) -> Option<Blocks> {
    Some(match ggml_type {
        GgmlType::Q4_0 => Blocks::Q4_0,
        GgmlType::Q4_1 => Blocks::Q4_1,
        GgmlType::Q5_0 => Blocks::Q5_0,
        GgmlType::Q5_1 => Blocks::Q5_1,
        GgmlType::Q8_0 => Blocks::Q8_0,
        GgmlType::Q4_K => Blocks::Q4_K,
        GgmlType::Q5_K => Blocks::Q5_K,
        GgmlType::Q6_K => Blocks::Q6_K,
        GgmlType::F32 => Blocks::F32,
        GgmlType::F16 => Blocks::F16,
        GgmlType::BF16 => Blocks::BF16,
        _ => return None,
    })
}

/// Undoes the row order of GGUF files of this architecture, which pair neighbouring rows for the
/// rotary embedding; ours pairs the halves of a head.
fn unpermute(weight: &Tensor, heads: i64) -> Result<Tensor, LoadError> {
    let (rows, columns) = weight.size2()?;
    let grouped = weight.f_view([heads, rows / heads / 2, 2, columns])?;
    Ok(grouped.f_transpose(1, 2)?.f_reshape([rows, columns])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_head_are_put_back_in_halves() {
        // One head of width 4: stored 0 2 1 3 by the converter's permutation of 0 1 2 3.
        let stored = Tensor::from_slice(&[0i64, 2, 1, 3]).view([4, 1]);
        let rows: Vec<i64> = unpermute(&stored, 1).unwrap().view([-1]).try_into().unwrap();
        assert_eq!(rows, [0, 1, 2, 3]);
    }
}
