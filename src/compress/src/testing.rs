//! A tiny model that computes, for tests here and of the worker's process.

use gguf::write::{Tensor, to_bytes};
use gguf::{Array, GgmlType, Value};

const HIDDEN: u64 = 64;
const KV: u64 = 32;
const FEED_FORWARD: u64 = 96;
const VOCABULARY: u64 = 256;

/// A Llama file of `layers` layers in single precision: 4 heads of 16, 2 of them for keys and values,
/// contexts of 64 tokens, each a byte. Equal seeds give equal weights.
pub fn tiny_model(layers: u64, seed: u64) -> Vec<u8> {
    let texts = |texts: Vec<String>| Value::Array(Array::String(texts));
    let metadata = [
        ("general.architecture", Value::String("llama".into())),
        ("llama.block_count", Value::Unsigned(layers)),
        ("llama.context_length", Value::Unsigned(64)),
        ("llama.embedding_length", Value::Unsigned(HIDDEN)),
        ("llama.feed_forward_length", Value::Unsigned(FEED_FORWARD)),
        ("llama.attention.head_count", Value::Unsigned(4)),
        ("llama.attention.head_count_kv", Value::Unsigned(2)),
        ("llama.attention.layer_norm_rms_epsilon", Value::Float(1e-5)),
        ("tokenizer.ggml.model", Value::String("gpt2".into())),
        ("tokenizer.ggml.pre", Value::String("gpt-2".into())),
        ("tokenizer.ggml.tokens", texts(bytes_as_text())),
        ("tokenizer.ggml.merges", texts(Vec::new())),
    ];
    let mut weights = Weights { state: seed };
    let mut tensors = vec![
        weights.tensor("token_embd.weight".into(), &[VOCABULARY, HIDDEN]),
        weights.tensor("output_norm.weight".into(), &[HIDDEN]),
    ];
    for layer in 0..layers {
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
        tensors.extend(shapes.map(|(name, shape)| weights.tensor(format!("blk.{layer}.{name}.weight"), shape)));
    }
    to_bytes(&metadata, &tensors)
}

/// The names of the 256 bytes in GPT-2's alphabet: printable ones stand for themselves.
fn bytes_as_text() -> Vec<String> {
    let mut others = 256..;
    let name = |byte: u32| match byte {
        33..=126 | 161..=172 | 174..=255 => byte,
        _ => others.next().expect("numbers do not end"),
    };
    let names: Vec<u32> = (0..256).map(name).collect();
    names.into_iter().filter_map(char::from_u32).map(String::from).collect()
}

/// Pseudo-random weights, the same everywhere.
struct Weights {
    state: u64,
}

impl Weights {
    /// Norms near one, matrices around zero.
    fn tensor(&mut self, name: String, shape: &[u64]) -> Tensor {
        let norm = shape.len() == 1;
        let bytes = (0..shape.iter().product::<u64>())
            .flat_map(|_| {
                let number = self.next();
                let weight = if norm { 1.0 + number / 4.0 } else { number / 2.0 };
                weight.to_le_bytes()
            })
            .collect();
        Tensor {
            name,
            shape: shape.into(),
            ggml_type: GgmlType::F32,
            bytes,
        }
    }

    /// From -1 to 1, small numbers more often (SplitMix64 of the state, cubed).
    fn next(&mut self) -> f32 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let unit = ((bits ^ (bits >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0;
        unit.powi(3)
    }
}
