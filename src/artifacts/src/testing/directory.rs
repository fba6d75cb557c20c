//! A small encoder as a directory of safetensors files.

use std::path::Path;

use checkpoint::write::{Tensor, to_bytes};
use serde_json::json;

/// Writes a complete model of one block.
pub(crate) fn write_encoder(dir: &Path) {
    let config = json!({
        "architectures": ["BertModel"], "model_type": "bert", "vocab_size": 4, "hidden_size": 8,
        "intermediate_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 16,
    });
    let tokenizer = json!({
        "model": {"type": "WordPiece", "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3},
                  "continuing_subword_prefix": "##"},
    });
    let block = |name: &str| format!("encoder.layer.0.{name}.weight");
    let tensors: Vec<Tensor> = [
        ("embeddings.word_embeddings.weight".to_owned(), [4, 8]),
        (block("attention.self.query"), [8, 8]),
        (block("attention.self.key"), [8, 8]),
        (block("intermediate.dense"), [12, 8]),
    ]
    .into_iter()
    .map(|(name, shape)| Tensor {
        name,
        dtype: "F32",
        bytes: vec![0; shape.iter().product::<u64>() as usize * 4],
        shape: shape.into(),
    })
    .collect();
    for (name, bytes) in [
        ("config.json", config.to_string().into_bytes()),
        ("tokenizer.json", tokenizer.to_string().into_bytes()),
        ("model.safetensors", to_bytes(&tensors)),
        ("README.md", b"read me".to_vec()),
    ] {
        std::fs::write(dir.join(name), bytes).unwrap();
    }
}
