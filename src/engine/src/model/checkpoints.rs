//! Directories of safetensors files against the `transformers` library, on small networks.

use std::{collections::BTreeMap, path::Path};

use checkpoint::{Checkpoint, write};
use rstest::rstest;
use serde::Deserialize;
use serde_json::{Value, json};

use super::families::{distance, last_logits};
use crate::{Dtype, Model, ModelOptions, Ops};

/// A network as `checkpoints.py` describes it.
#[derive(Deserialize)]
struct Case {
    config: Value,
    dtype: String,
    shapes: BTreeMap<String, Vec<u64>>,
    logits: Vec<f32>,
}

/// The bytes of a tensor by the formula of `checkpoints.py`.
fn tensor(name: &str, shape: &[u64], dtype: &str) -> write::Tensor {
    let seed = name.bytes().map(u64::from).sum::<u64>();
    let norm = shape.len() == 1 && name.ends_with("weight");
    let number = |i: u64| {
        let wave = ((i * 37 + seed * 101) % 97) as f64 / 97.0 - 0.5;
        (if norm { 1.0 + wave / 4.0 } else { wave / 2.0 }) as f32
    };
    let numbers = (0..shape.iter().product()).map(number);
    let (dtype, bytes) = match dtype {
        "F16" => (
            "F16",
            numbers.flat_map(|n| half::f16::from_f32(n).to_le_bytes()).collect(),
        ),
        "BF16" => (
            "BF16",
            numbers.flat_map(|n| half::bf16::from_f32(n).to_le_bytes()).collect(),
        ),
        _ => ("F32", numbers.flat_map(f32::to_le_bytes).collect()),
    };
    write::Tensor {
        name: name.into(),
        dtype,
        shape: shape.into(),
        bytes,
    }
}

/// The smallest tokenizer that a model may bring.
fn tokenizer() -> Value {
    let vocab: BTreeMap<String, u32> = ('!'..='`').map(String::from).zip(0..).collect();
    json!({"model": {"type": "BPE", "vocab": vocab, "merges": []}, "decoder": {"type": "ByteLevel"}})
}

/// Writes the files of a network, its weights into `shards` files.
fn write_to(dir: &Path, case: &Case, shards: usize) {
    std::fs::write(dir.join("config.json"), case.config.to_string()).unwrap();
    std::fs::write(dir.join("tokenizer.json"), tokenizer().to_string()).unwrap();
    let tensors = case.shapes.iter().map(|(name, shape)| tensor(name, shape, &case.dtype));
    let tensors: Vec<_> = tensors.collect();
    if shards == 1 {
        return std::fs::write(dir.join("model.safetensors"), write::to_bytes(&tensors)).unwrap();
    }
    let mut weight_map = BTreeMap::new();
    for (index, part) in tensors.chunks(tensors.len().div_ceil(shards)).enumerate() {
        let name = format!("model-{:05}-of-{shards:05}.safetensors", index + 1);
        weight_map.extend(part.iter().map(|tensor| (tensor.name.clone(), name.clone())));
        std::fs::write(dir.join(name), write::to_bytes(part)).unwrap();
    }
    let index = json!({"metadata": {}, "weight_map": weight_map});
    std::fs::write(dir.join("model.safetensors.index.json"), index.to_string()).unwrap();
}

#[rstest]
fn logits_are_those_of_transformers(
    #[values("llama", "llama-tied", "mistral", "qwen2", "qwen2-tied", "qwen3", "qwen3-tied")] name: &str,
    #[values(1, 3)] shards: usize,
) {
    let mut cases: BTreeMap<String, Case> = serde_json::from_str(include_str!("checkpoints.json")).unwrap();
    let case = cases.remove(name).unwrap();
    let dir = tempfile::tempdir().unwrap();
    write_to(dir.path(), &case, shards);
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let model = Model::load(&checkpoint, &ModelOptions::plain(Dtype::Fp32, Ops::Own, 64)).unwrap();
    let difference = distance(&last_logits(&model), &case.logits);
    println!("{name}: {difference:e}");
    assert!(difference <= 1e-4, "{name}: {difference}");
}
