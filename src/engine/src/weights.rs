//! Reads the tensors of a file in the form that the network computes with.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use gguf::{GgufFile, TensorInfo};
use tch::Tensor;

use crate::{
    Dtype, LoadError, ModelConfig,
    dequantize::{Weight, dequantize},
};

/// All weights. Linear layers are `[out, in]`.
pub(crate) struct Weights {
    /// `[vocabulary, hidden]`
    pub embedding: Tensor,
    pub layers: Vec<LayerWeights>,
    /// `[hidden]`
    pub output_norm: Tensor,
    /// `[vocabulary, hidden]`; the embedding itself where the file ties the two.
    pub head: Tensor,
}

/// The weights of one transformer block. What reads the same input is one matrix: fewer, larger
/// products.
pub(crate) struct LayerWeights {
    /// `[hidden]`
    pub attention_norm: Tensor,
    /// `[(heads + 2 kv_heads) head_dim, hidden]`: query, key, value
    pub qkv: Tensor,
    /// `[hidden, heads head_dim]`
    pub attention_output: Tensor,
    /// `[hidden]`
    pub feed_forward_norm: Tensor,
    /// `[2 feed_forward, hidden]`: gate, up
    pub gate_up: Tensor,
    /// `[hidden, feed_forward]`
    pub down: Tensor,
}

impl Weights {
    /// Reads and widens every tensor on `threads` threads.
    ///
    /// # Errors
    /// When a tensor is missing, has another shape than the configuration calls for, or a type that
    /// is not supported.
    pub fn load(file: &GgufFile, config: &ModelConfig, dtype: Dtype, threads: usize) -> Result<Self, LoadError> {
        let reader = Reader { file, dtype };
        if file.header().tensor("rope_freqs.weight").is_ok() {
            return Err(LoadError::Unsupported {
                key: "rope_freqs.weight".into(),
                found: "present".into(),
                supported: "scaled rotary embeddings are not supported yet",
            });
        }
        let vocabulary = [config.vocabulary_size, config.hidden_size];
        let embedding = reader.tensor("token_embd.weight", &vocabulary)?;
        let head = match file.header().tensor("output.weight") {
            Ok(_) => reader.tensor("output.weight", &vocabulary)?,
            Err(_) => embedding.shallow_clone(),
        };
        Ok(Self {
            embedding,
            layers: in_parallel(config.layers, threads, |index| reader.layer(index, config))?,
            output_norm: reader.tensor("output_norm.weight", &[config.hidden_size])?,
            head,
        })
    }
}

struct Reader<'a> {
    file: &'a GgufFile,
    dtype: Dtype,
}

impl Reader<'_> {
    fn layer(&self, index: usize, config: &ModelConfig) -> Result<LayerWeights, LoadError> {
        let ModelConfig {
            hidden_size: hidden,
            feed_forward_size: feed_forward,
            heads,
            kv_heads,
            head_dim,
            ..
        } = *config;
        let get = |name: &str, shape: &[i64]| self.tensor(&format!("blk.{index}.{name}.weight"), shape);
        let query = unpermute(&get("attn_q", &[heads * head_dim, hidden])?, heads)?;
        let key = unpermute(&get("attn_k", &[kv_heads * head_dim, hidden])?, kv_heads)?;
        let value = get("attn_v", &[kv_heads * head_dim, hidden])?;
        let gate = get("ffn_gate", &[feed_forward, hidden])?;
        let up = get("ffn_up", &[feed_forward, hidden])?;
        Ok(LayerWeights {
            attention_norm: get("attn_norm", &[hidden])?,
            qkv: Tensor::f_cat(&[query, key, value], 0)?,
            attention_output: get("attn_output", &[hidden, heads * head_dim])?,
            feed_forward_norm: get("ffn_norm", &[hidden])?,
            gate_up: Tensor::f_cat(&[gate, up], 0)?,
            down: get("ffn_down", &[hidden, feed_forward])?,
        })
    }

    fn tensor(&self, name: &str, shape: &[i64]) -> Result<Tensor, LoadError> {
        let info = self.file.header().tensor(name)?;
        let expected: Vec<u64> = shape.iter().map(|size| size.unsigned_abs()).collect();
        if info.shape != expected {
            return Err(LoadError::Shape {
                tensor: name.into(),
                found: info.shape.clone(),
                expected,
            });
        }
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

    use gguf::{GgmlType, Value, write};

    use super::*;

    /// A file of a tiny network (2 layers, 4 heads of 8, 2 kv heads, 64 tokens) with small weights
    /// that differ from place to place. `changes` replace or add metadata.
    pub(crate) fn tiny_file(changes: &[(&str, Value)]) -> GgufFile {
        let mut metadata = vec![
            ("general.architecture", Value::String("llama".into())),
            ("llama.block_count", Value::Unsigned(2)),
            ("llama.embedding_length", Value::Unsigned(32)),
            ("llama.feed_forward_length", Value::Unsigned(48)),
            ("llama.attention.head_count", Value::Unsigned(4)),
            ("llama.attention.head_count_kv", Value::Unsigned(2)),
            ("llama.attention.layer_norm_rms_epsilon", Value::Float(1e-5)),
            ("llama.context_length", Value::Unsigned(128)),
        ];
        metadata.retain(|(key, _)| changes.iter().all(|(changed, _)| changed != key));
        metadata.extend(changes.iter().cloned());
        let mut tensors = vec![
            tensor("token_embd.weight", &[64, 32]),
            tensor("output_norm.weight", &[32]),
        ];
        for layer in 0..2 {
            for (name, shape) in [
                ("attn_norm", &[32][..]),
                ("attn_q", &[32, 32]),
                ("attn_k", &[16, 32]),
                ("attn_v", &[16, 32]),
                ("attn_output", &[32, 32]),
                ("ffn_norm", &[32]),
                ("ffn_gate", &[48, 32]),
                ("ffn_up", &[48, 32]),
                ("ffn_down", &[32, 48]),
            ] {
                tensors.push(tensor(&format!("blk.{layer}.{name}.weight"), shape));
            }
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&write::to_bytes(&metadata, &tensors)).unwrap();
        GgufFile::from_file(file).unwrap()
    }

    fn tensor(name: &str, shape: &[u64]) -> write::Tensor {
        let count = shape.iter().product::<u64>();
        let seed = name.bytes().map(u64::from).sum::<u64>();
        let bytes = (0..count)
            .flat_map(|i| {
                let wave = ((i * 37 + seed * 101) % 97) as f32 / 97.0 - 0.5;
                // Norms are near one, matrices small.
                let value = if shape.len() == 1 { 1.0 + wave / 4.0 } else { wave / 2.0 };
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
        let error = Weights::load(&file, &config, Dtype::Bf16, 2).err().unwrap();
        assert!(error.to_string().contains("blk.0.ffn_gate.weight"), "{error}");
    }

    #[test]
    fn results_come_in_order() {
        let squares: Result<Vec<usize>, ()> = in_parallel(50, 4, |i| Ok(i * i));
        assert_eq!(squares.unwrap()[49], 2401);
        assert_eq!(in_parallel(9, 3, |i| if i == 4 { Err(i) } else { Ok(i) }), Err(4));
    }
}
