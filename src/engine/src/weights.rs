//! Reads the tensors of a file in the form that the network computes with.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use checkpoint::Checkpoint;
use engine_sys::{Blocks, Packed, RowOrder, Rows};
use gguf::{GgmlType, TensorInfo};
use tch::Tensor;

use crate::{
    Dtype, LoadError, ModelConfig,
    dequantize::{Weight, dequantize},
    ops::{HeadNorms, Linear},
};

/// Columns that the kernels take a multiple of.
const GROUP: i64 = 32;

/// All weights.
pub(crate) struct Weights {
    /// `[vocabulary, hidden]`
    pub embedding: Linear,
    pub layers: Vec<LayerWeights>,
    /// `[hidden]`
    pub output_norm: Tensor,
    /// `[vocabulary, hidden]`; `None` where the file ties it to the embedding.
    pub head: Option<Linear>,
}

/// The weights of one transformer block. What reads the same input is one matrix: fewer, larger
/// products.
pub(crate) struct LayerWeights {
    /// `[hidden]`
    pub attention_norm: Tensor,
    /// `[(heads + 2 kv_heads) head_dim, hidden]`: query, key, value
    pub qkv: Linear,
    /// `[(heads + 2 kv_heads) head_dim]`
    pub qkv_bias: Option<Tensor>,
    /// `[head_dim]` each: of query heads, of key heads
    pub head_norms: Option<HeadNorms>,
    /// `[hidden, heads head_dim]`
    pub attention_output: Linear,
    /// `[hidden]`
    pub feed_forward_norm: Tensor,
    /// `[2 feed_forward, hidden]`: gate, up
    pub gate_up: Linear,
    /// `[hidden, feed_forward]`
    pub down: Linear,
}

impl Weights {
    /// Reads every tensor on `threads` threads. With `pack`, quantized matrices stay as small as they are.
    ///
    /// # Errors
    /// When a tensor is missing, has another shape than the configuration calls for, or a type that
    /// is not supported.
    pub fn load(
        file: &Checkpoint,
        config: &ModelConfig,
        dtype: Dtype,
        pack: bool,
        threads: usize,
    ) -> Result<Self, LoadError> {
        let reader = Reader { file, dtype, pack };
        let vocabulary = |name: &str| Part::plain(name, config.vocabulary_size);
        let head = match file.header().tensor("output.weight") {
            Ok(_) => Some(reader.linear(config.hidden_size, &[vocabulary("output.weight")])?),
            Err(_) => None,
        };
        Ok(Self {
            embedding: reader.linear(config.hidden_size, &[vocabulary("token_embd.weight")])?,
            layers: in_parallel(config.layers, threads, |index| reader.layer(index, config))?,
            output_norm: reader.tensor("output_norm.weight", &[config.hidden_size])?,
            head,
        })
    }

    /// What makes logits.
    pub fn head(&self) -> &Linear {
        self.head.as_ref().unwrap_or(&self.embedding)
    }
}

/// Rows of a linear layer that are one tensor of the file.
struct Part {
    name: String,
    rows: i64,
    order: RowOrder,
}

impl Part {
    fn plain(name: &str, rows: i64) -> Self {
        Self {
            name: name.into(),
            rows,
            order: RowOrder::Plain,
        }
    }
}

struct Reader<'a> {
    file: &'a Checkpoint,
    dtype: Dtype,
    pack: bool,
}

impl Reader<'_> {
    fn layer(&self, index: usize, config: &ModelConfig) -> Result<LayerWeights, LoadError> {
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
            attention_norm: get("attn_norm.weight", &[hidden])?,
            qkv: self.linear(hidden, &qkv)?,
            qkv_bias: architecture.qkv_bias.then(bias).transpose()?,
            head_norms: architecture.head_norm.then(norms).transpose()?,
            attention_output: self.linear(heads * head_dim, &[part("attn_output.weight", hidden)])?,
            feed_forward_norm: get("ffn_norm.weight", &[hidden])?,
            gate_up: self.linear(hidden, &gate_up)?,
            down: self.linear(feed_forward, &[part("ffn_down.weight", hidden)])?,
        })
    }

    /// A layer whose rows are those of `parts`, each of `columns` numbers.
    fn linear(&self, columns: i64, parts: &[Part]) -> Result<Linear, LoadError> {
        if let Some(packed) = self.packed(columns, parts)? {
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
    fn packed(&self, columns: i64, parts: &[Part]) -> Result<Option<Vec<Packed>>, LoadError> {
        if !self.pack {
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

    fn tensor(&self, name: &str, shape: &[i64]) -> Result<Tensor, LoadError> {
        let info = self.info(name, shape)?;
        let flat = match self.dtype {
            Dtype::Bf16 => self.widen::<i16>(info)?,
            Dtype::Fp32 => self.widen::<f32>(info)?,
        };
        Ok(flat.f_view(shape)?)
    }

    fn widen<W: Weight>(&self, info: &TensorInfo) -> Result<Tensor, LoadError> {
        let bytes = self.file.read_tensor(info)?;
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

/// Calls `make` for 0..count on several threads and returns the results in order.
fn in_parallel<T: Send, E: Send>(
    count: usize,
    threads: usize,
    make: impl Fn(usize) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let next = AtomicUsize::new(0);
    let made = Mutex::new(Vec::with_capacity(count));
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, count.max(1)) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        return;
                    }
                    let result = make(index);
                    let failed = result.is_err();
                    made.lock()
                        .expect("no thread panics with the lock")
                        .push((index, result));
                    if failed {
                        return;
                    }
                }
            });
        }
    });
    let mut made = made.into_inner().expect("no thread panics with the lock");
    made.sort_by_key(|(index, _)| *index);
    made.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use gguf::{GgmlType, GgufFile, Value, write};

    use super::*;

    /// A Llama file, see [`file_of`].
    pub(crate) fn tiny_file(changes: &[(&str, Value)]) -> Checkpoint {
        file_of("llama", changes)
    }

    /// A file of a tiny network (2 layers, 4 heads of 8 or, in Qwen 3, 12, 2 kv heads, 64 tokens) with
    /// small weights that differ from place to place. `changes` replace or add metadata.
    pub(crate) fn file_of(architecture: &str, changes: &[(&str, Value)]) -> Checkpoint {
        let family = gguf::Architecture::named(architecture).unwrap();
        let head_dim = if family.head_norm { 12 } else { 8 };
        let numbers = [
            ("block_count", Value::Unsigned(2)),
            ("embedding_length", Value::Unsigned(32)),
            ("feed_forward_length", Value::Unsigned(48)),
            ("attention.head_count", Value::Unsigned(4)),
            ("attention.head_count_kv", Value::Unsigned(2)),
            ("attention.key_length", Value::Unsigned(head_dim)),
            ("attention.layer_norm_rms_epsilon", Value::Float(1e-5)),
            ("context_length", Value::Unsigned(128)),
        ];
        let name = ("general.architecture".to_owned(), Value::String(architecture.into()));
        let numbers = numbers.map(|(key, value)| (format!("{architecture}.{key}"), value));
        let all = [name].into_iter().chain(numbers);
        let mut metadata: Vec<_> = all
            .filter(|(key, _)| changes.iter().all(|(changed, _)| changed != key))
            .collect();
        metadata.extend(changes.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        let metadata: Vec<_> = metadata
            .iter()
            .map(|(key, value)| (key.as_str(), value.clone()))
            .collect();

        let (queries, keys) = (4 * head_dim, 2 * head_dim);
        let mut tensors = vec![
            tensor("token_embd.weight", &[64, 32]),
            tensor("output_norm.weight", &[32]),
        ];
        for layer in 0..2 {
            let mut add = |name: &str, shape: &[u64]| tensors.push(tensor(&format!("blk.{layer}.{name}"), shape));
            add("attn_norm.weight", &[32]);
            add("attn_q.weight", &[queries, 32]);
            add("attn_k.weight", &[keys, 32]);
            add("attn_v.weight", &[keys, 32]);
            add("attn_output.weight", &[32, queries]);
            add("ffn_norm.weight", &[32]);
            add("ffn_gate.weight", &[48, 32]);
            add("ffn_up.weight", &[48, 32]);
            add("ffn_down.weight", &[32, 48]);
            if family.qkv_bias {
                add("attn_q.bias", &[queries]);
                add("attn_k.bias", &[keys]);
                add("attn_v.bias", &[keys]);
            }
            if family.head_norm {
                add("attn_q_norm.weight", &[head_dim]);
                add("attn_k_norm.weight", &[head_dim]);
            }
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&write::to_bytes(&metadata, &tensors)).unwrap();
        GgufFile::from_file(file).unwrap().into()
    }

    fn tensor(name: &str, shape: &[u64]) -> write::Tensor {
        let count = shape.iter().product::<u64>();
        let seed = name.bytes().map(u64::from).sum::<u64>();
        let norm = shape.len() == 1 && name.ends_with("weight");
        let bytes = (0..count)
            .flat_map(|i| {
                let wave = ((i * 37 + seed * 101) % 97) as f32 / 97.0 - 0.5;
                // Norms are near one, matrices and biases small.
                let value = if norm { 1.0 + wave / 4.0 } else { wave / 2.0 };
                value.to_le_bytes()
            })
            .collect();
        write::Tensor {
            name: name.into(),
            shape: shape.into(),
            ggml_type: GgmlType::F32,
            bytes,
        }
    }

    #[test]
    fn rows_of_a_head_are_put_back_in_halves() {
        // One head of width 4: stored 0 2 1 3 by the converter's permutation of 0 1 2 3.
        let stored = Tensor::from_slice(&[0i64, 2, 1, 3]).view([4, 1]);
        let rows: Vec<i64> = unpermute(&stored, 1).unwrap().view([-1]).try_into().unwrap();
        assert_eq!(rows, [0, 1, 2, 3]);
    }

    #[test]
    fn a_tensor_of_another_shape_is_refused() {
        let file = tiny_file(&[]);
        let mut config = ModelConfig::from_header(file.header()).unwrap();
        config.feed_forward_size = 40;
        let error = Weights::load(&file, &config, Dtype::Bf16, true, 2).err().unwrap();
        assert!(error.to_string().contains("blk.0.ffn_gate.weight"), "{error}");
    }

    #[test]
    fn results_come_in_order() {
        let squares: Result<Vec<usize>, ()> = in_parallel(50, 4, |i| Ok(i * i));
        assert_eq!(squares.unwrap()[49], 2401);
        assert_eq!(in_parallel(9, 3, |i| if i == 4 { Err(i) } else { Ok(i) }), Err(4));
    }
}
