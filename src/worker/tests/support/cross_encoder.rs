//! A small cross-encoder as a directory of files: it knows a few words.

use std::path::Path;

use anyhow::Result;
use checkpoint::write::{Tensor, to_bytes};
use serde_json::{Map, Value, json};

const WORDS: [&str; 8] = ["[UNK]", "[CLS]", "[SEP]", "what", "is", "paris", "france", "bread"];
const HIDDEN: u64 = 16;
const FEED_FORWARD: u64 = 24;

/// Writes the files.
pub fn write_to(dir: &Path) -> Result<()> {
    let words = WORDS.len() as u64;
    let config = json!({
        "architectures": ["BertForSequenceClassification"], "model_type": "bert", "vocab_size": words,
        "hidden_size": HIDDEN, "intermediate_size": FEED_FORWARD, "num_hidden_layers": 1, "num_attention_heads": 2,
        "max_position_embeddings": 32, "type_vocab_size": 2, "id2label": {"0": "LABEL_0"},
    });
    let mut tensors = vec![
        tensor("bert.embeddings.word_embeddings.weight", &[words, HIDDEN]),
        tensor("bert.embeddings.position_embeddings.weight", &[32, HIDDEN]),
        tensor("bert.embeddings.token_type_embeddings.weight", &[2, HIDDEN]),
    ];
    let mut pair = |name: &str, shape: &[u64]| {
        tensors.push(tensor(&format!("{name}.weight"), shape));
        tensors.push(tensor(&format!("{name}.bias"), &shape[..1]));
    };
    pair("bert.embeddings.LayerNorm", &[HIDDEN]);
    for part in [
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
    ] {
        pair(&format!("bert.encoder.layer.0.{part}"), &[HIDDEN, HIDDEN]);
    }
    pair("bert.encoder.layer.0.attention.output.LayerNorm", &[HIDDEN]);
    pair("bert.encoder.layer.0.intermediate.dense", &[FEED_FORWARD, HIDDEN]);
    pair("bert.encoder.layer.0.output.dense", &[HIDDEN, FEED_FORWARD]);
    pair("bert.encoder.layer.0.output.LayerNorm", &[HIDDEN]);
    pair("bert.pooler.dense", &[HIDDEN, HIDDEN]);
    pair("classifier", &[1, HIDDEN]);
    std::fs::write(dir.join("config.json"), config.to_string())?;
    std::fs::write(dir.join("tokenizer.json"), tokenizer().to_string())?;
    std::fs::write(dir.join("model.safetensors"), to_bytes(&tensors))?;
    Ok(())
}

fn tokenizer() -> Value {
    let vocab: Map<String, Value> = WORDS
        .iter()
        .zip(0u32..)
        .map(|(word, id)| ((*word).into(), id.into()))
        .collect();
    let mark = |id: &str, kind: u32| json!({"SpecialToken": {"id": id, "type_id": kind}});
    let text = |id: &str, kind: u32| json!({"Sequence": {"id": id, "type_id": kind}});
    json!({
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "WordPiece", "vocab": vocab, "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [mark("[CLS]", 0), text("A", 0), mark("[SEP]", 0)],
            "pair": [mark("[CLS]", 0), text("A", 0), mark("[SEP]", 0), text("B", 1), mark("[SEP]", 1)],
            "special_tokens": {
                "[CLS]": {"id": "[CLS]", "ids": [1], "tokens": ["[CLS]"]},
                "[SEP]": {"id": "[SEP]", "ids": [2], "tokens": ["[SEP]"]},
            },
        },
    })
}

/// Numbers that differ from place to place.
fn tensor(name: &str, shape: &[u64]) -> Tensor {
    let seed = name.bytes().map(u64::from).sum::<u64>();
    let number = |i: u64| ((i * 37 + seed * 101) % 97) as f32 / 97.0 - 0.5;
    let numbers = (0..shape.iter().product()).map(number);
    Tensor {
        name: name.into(),
        dtype: "F32",
        shape: shape.into(),
        bytes: numbers.flat_map(f32::to_le_bytes).collect(),
    }
}
