//! Directories of safetensors files as sources.

use std::{collections::BTreeMap, path::Path};

use checkpoint::{Checkpoint, write::Tensor, write::to_bytes};
use gguf::{GgufFile, Metadata};
use serde_json::json;

use super::{tests::options, *};
use crate::{Method, testing::tiny_model};

/// Where `transformers` has the tensors of a block.
const NAMES: [(&str, &str); 9] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// The same model as `file`, as `transformers` would save it.
fn save(file: &GgufFile, dir: &Path) {
    std::fs::create_dir(dir).unwrap();
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 256, "hidden_size": 64,
        "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": true,
        "rope_theta": 10000.0, "eos_token_id": 0,
    });
    std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
    let names = file.header().metadata.strings("tokenizer.ggml.tokens").unwrap();
    let vocabulary: BTreeMap<&String, usize> = names.iter().zip(0..).collect();
    let tokenizer = json!({
        "added_tokens": [],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
    });
    std::fs::write(dir.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let tensors = file.header().tensors.iter().map(|info| {
        let mut bytes = file.read_tensor(info).unwrap();
        let heads = match info.name.as_str() {
            name if name.ends_with("attn_q.weight") => 4,
            name if name.ends_with("attn_k.weight") => 2,
            _ => 0,
        };
        if heads > 0 {
            bytes = in_halves(&bytes, heads, 64 * 4);
        }
        Tensor {
            name: name(&info.name),
            dtype: "F32",
            shape: info.shape.clone(),
            bytes,
        }
    });
    std::fs::write(dir.join("model.safetensors"), to_bytes(&tensors.collect::<Vec<_>>())).unwrap();
}

fn name(name: &str) -> String {
    let Some((index, rest)) = name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) else {
        let outer = [("token_embd", "embed_tokens"), ("output_norm", "norm")];
        let (_, theirs) = outer.iter().find(|(ours, _)| name.starts_with(ours)).unwrap();
        return format!("model.{theirs}.weight");
    };
    let (_, theirs) = NAMES.iter().find(|(ours, _)| rest == format!("{ours}.weight")).unwrap();
    format!("model.layers.{index}.{theirs}.weight")
}

/// Rows of heads that pair neighbours, as rows that pair the halves: first the even ones, then the odd.
fn in_halves(bytes: &[u8], heads: usize, row: usize) -> Vec<u8> {
    let rows: Vec<&[u8]> = bytes.chunks(row).collect();
    let heads = rows.chunks(rows.len() / heads);
    let halves = heads.flat_map(|head| head.iter().step_by(2).chain(head.iter().skip(1).step_by(2)));
    halves.flat_map(|row| row.iter().copied()).collect()
}

#[test]
fn a_directory_gives_the_weights_that_its_gguf_file_gives() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.gguf");
    std::fs::write(&path, tiny_model(2, 3)).unwrap();
    let file = GgufFile::open(&path).unwrap();
    let directory = dir.path().join("model");
    save(&file, &directory);
    assert!(!Checkpoint::open(&directory).unwrap().rows_are_permuted());

    let compressed = |source: &Path, store: &str| {
        let job = Job {
            source: source.to_owned(),
            digest: format!("sha256:{store}"),
            bytes: 1,
            options: Options {
                method: Some(Method::Gptq),
                ..options(&dir.path().join(store))
            },
        };
        let outcome = run(job, |_| {}).unwrap();
        (
            GgufFile::open(&dir.path().join(store).join(&outcome.file)).unwrap(),
            outcome.report,
        )
    };
    let (expected, before) = compressed(&path, "of-file");
    let (found, after) = compressed(&directory, "of-directory");
    assert_eq!(before.perplexity_before, after.perplexity_before);
    assert_eq!(before.perplexity_after, after.perplexity_after);
    for info in &expected.header().tensors {
        let other = found.header().tensor(&info.name).unwrap();
        assert_eq!(
            (&other.shape, other.ggml_type),
            (&info.shape, info.ggml_type),
            "{}",
            info.name
        );
        assert!(
            found.read_tensor(other).unwrap() == expected.read_tensor(info).unwrap(),
            "{}",
            info.name
        );
    }
    let metadata: &Metadata = &found.header().metadata;
    assert!(
        metadata
            .string("tokenizer.huggingface.json")
            .unwrap()
            .contains("ByteLevel")
    );
    assert!(engine::text::Tokenizer::from_metadata(metadata).is_ok());
}
