//! LoRA adapters for the bundled model, in the files that PEFT writes.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

/// Blocks and widths of SmolLM2-135M.
const LAYERS: usize = 30;
const HIDDEN: usize = 576;
const RANK: usize = 4;

/// Writes an adapter of the query projections to a directory. Of `strength` 0 it changes no answer, of 1 hardly a
/// word is left as it was.
pub fn write(dir: &Path, strength: f32) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("failed to create {}", dir.display()))?;
    let config = json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "HuggingFaceTB/SmolLM2-135M-Instruct",
        "r": RANK,
        "lora_alpha": 2 * RANK,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": ["q_proj"],
    });
    std::fs::write(dir.join("adapter_config.json"), config.to_string())?;
    std::fs::write(dir.join("adapter_model.safetensors"), tensors(strength)).context("failed to write an adapter")
}

/// A safetensors file: the length of a JSON header, the header, and the numbers one after the other.
fn tensors(strength: f32) -> Vec<u8> {
    let mut header = Map::new();
    let mut data = Vec::new();
    let mut numbers = Numbers(1);
    for layer in 0..LAYERS {
        for (part, shape, scale) in [("A", [RANK, HIDDEN], 0.1), ("B", [HIDDEN, RANK], strength)] {
            let begin = data.len();
            for _ in 0..shape[0] * shape[1] {
                data.extend((numbers.next() * scale).to_le_bytes());
            }
            let name = format!("base_model.model.model.layers.{layer}.self_attn.q_proj.lora_{part}.weight");
            let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, data.len()]});
            header.insert(name, entry);
        }
    }
    let header = Value::Object(header).to_string();
    let length = u64::try_from(header.len()).expect("a header fits into memory");
    [&length.to_le_bytes()[..], header.as_bytes(), &data].concat()
}

/// Numbers between -1 and 1, the same each time.
struct Numbers(u32);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u16::try_from(self.0 >> 16).unwrap_or_default()) / 32768.0 - 1.0
    }
}
