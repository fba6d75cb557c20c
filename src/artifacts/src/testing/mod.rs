//! Small model files and a small HTTP server for tests.

mod directory;
mod server;

use gguf::write::{Tensor, to_bytes};
use gguf::{Array, GgmlType, Header, Value};

pub(crate) use directory::write_encoder;
pub(crate) use server::{Reply, Seen, Server};

const HIDDEN: u64 = 32;
const LAYERS: u64 = 2;
const KV: u64 = 16;
const FEED_FORWARD: u64 = 64;
const VOCABULARY: u64 = 64;

/// A complete Llama file of two layers in Q4_1, all weights zero.
pub(crate) fn tiny_model() -> Vec<u8> {
    tiny_model_with(&[])
}

/// The same with metadata keys replaced, added or left out.
pub(crate) fn tiny_model_with(changes: &[(&str, Option<Value>)]) -> Vec<u8> {
    let texts = |prefix: &str| Value::Array(Array::String((0..VOCABULARY).map(|i| format!("{prefix}{i}")).collect()));
    let mut metadata = vec![
        ("general.architecture", Value::String("llama".into())),
        ("llama.block_count", Value::Unsigned(LAYERS)),
        ("llama.context_length", Value::Unsigned(128)),
        ("llama.embedding_length", Value::Unsigned(HIDDEN)),
        ("llama.feed_forward_length", Value::Unsigned(FEED_FORWARD)),
        ("llama.attention.head_count", Value::Unsigned(4)),
        ("llama.attention.head_count_kv", Value::Unsigned(2)),
        ("llama.attention.layer_norm_rms_epsilon", Value::Float(1e-5)),
        ("tokenizer.ggml.model", Value::String("gpt2".into())),
        ("tokenizer.ggml.tokens", texts("t")),
        ("tokenizer.ggml.merges", texts("a b")),
    ];
    for (key, value) in changes {
        metadata.retain(|(name, _)| name != key);
        metadata.extend(value.clone().map(|value| (*key, value)));
    }
    let mut tensors = vec![
        tensor("token_embd.weight".into(), &[VOCABULARY, HIDDEN]),
        tensor("output_norm.weight".into(), &[HIDDEN]),
    ];
    for layer in 0..LAYERS {
        let shapes: [(&str, &[u64]); 9] = [
            ("attn_norm", &[HIDDEN]),
            ("attn_q", &[HIDDEN, HIDDEN]),
            ("attn_k", &[KV, HIDDEN]),
            ("attn_v", &[KV, HIDDEN]),
            ("attn_output", &[HIDDEN, HIDDEN]),
            ("ffn_norm", &[HIDDEN]),
            ("ffn_gate", &[FEED_FORWARD, HIDDEN]),
            ("ffn_up", &[FEED_FORWARD, HIDDEN]),
            ("ffn_down", &[HIDDEN, FEED_FORWARD]),
        ];
        tensors.extend(shapes.map(|(name, shape)| tensor(format!("blk.{layer}.{name}.weight"), shape)));
    }
    to_bytes(&metadata, &tensors)
}

/// The header of a file's bytes.
pub(crate) fn header(bytes: &[u8]) -> Header {
    Header::read(bytes, bytes.len() as u64).unwrap()
}

/// Matrices in Q4_1, vectors in F32.
fn tensor(name: String, shape: &[u64]) -> Tensor {
    let ggml_type = if shape.len() > 1 { GgmlType::Q4_1 } else { GgmlType::F32 };
    let elements: u64 = shape.iter().product();
    let bytes = elements / ggml_type.block_len() * ggml_type.block_bytes();
    Tensor {
        name,
        shape: shape.to_vec(),
        ggml_type,
        bytes: vec![0; bytes as usize],
    }
}
