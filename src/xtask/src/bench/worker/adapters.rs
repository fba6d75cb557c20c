//! Adapters of the bundled model with made-up weights, in the format of `peft`.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

/// Adapters of one measurement.
pub const COUNT: usize = 8;

/// Blocks of the bundled model, and the widths of its layers.
const LAYERS: usize = 30;
const HIDDEN: usize = 576;
const KEYS: usize = 192;
const FEED_FORWARD: usize = 1536;
/// Part, name, inputs and outputs of each linear layer of a block.
const MODULES: [(&str, &str, usize, usize); 7] = [
    ("self_attn", "q_proj", HIDDEN, HIDDEN),
    ("self_attn", "k_proj", HIDDEN, KEYS),
    ("self_attn", "v_proj", HIDDEN, KEYS),
    ("self_attn", "o_proj", HIDDEN, HIDDEN),
    ("mlp", "gate_proj", HIDDEN, FEED_FORWARD),
    ("mlp", "up_proj", HIDDEN, FEED_FORWARD),
    ("mlp", "down_proj", FEED_FORWARD, HIDDEN),
];
/// Ranks, in turns.
const RANKS: [usize; 2] = [8, 16];
/// The bits of 2^-8 in bfloat16, and its sign.
const SMALL: u16 = 0x3b80;
const SIGN: u16 = 0x8000;

/// The name of one adapter.
pub fn name(index: usize) -> String {
    format!("adapter-{index}")
}

/// Writes all adapters, one a subdirectory.
pub fn write_all(directory: &Path) -> Result<()> {
    for index in 0..COUNT {
        let own = directory.join(name(index));
        write(&own, index).with_context(|| format!("failed to write an adapter to {}", own.display()))?;
    }
    Ok(())
}

fn write(directory: &Path, index: usize) -> Result<()> {
    let rank = RANKS[index % RANKS.len()];
    let (mut header, mut bytes) = (Map::new(), Vec::new());
    let mut state = index as u64 + 1;
    for layer in 0..LAYERS {
        for (part, name, inputs, outputs) in MODULES {
            for (side, shape) in [("A", [rank, inputs]), ("B", [outputs, rank])] {
                let first = bytes.len();
                for _ in 0..shape[0] * shape[1] {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let sign = if state >> 63 == 0 { 0 } else { SIGN };
                    bytes.extend((SMALL | sign).to_le_bytes());
                }
                let tensor = format!("base_model.model.model.layers.{layer}.{part}.{name}.lora_{side}.weight");
                let place = json!({"dtype": "BF16", "shape": shape, "data_offsets": [first, bytes.len()]});
                header.insert(tensor, place);
            }
        }
    }
    let names: Vec<&str> = MODULES.iter().map(|(_, name, ..)| *name).collect();
    let config = json!({"peft_type": "LORA", "r": rank, "lora_alpha": rank, "target_modules": names});
    let header = Value::Object(header).to_string().into_bytes();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.extend(bytes);
    std::fs::create_dir_all(directory)?;
    std::fs::write(directory.join("adapter_model.safetensors"), file)?;
    std::fs::write(directory.join("adapter_config.json"), config.to_string())?;
    Ok(())
}
