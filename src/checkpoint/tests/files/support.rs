//! A tiny Llama and a tiny BERT as directories of files.

use std::path::Path;

use atelier_checkpoint::write::{Tensor, to_bytes};
use serde_json::{Value, json};

/// `config.json` of the Llama.
pub fn llama() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 6, "hidden_size": 8,
        "intermediate_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
        "max_position_embeddings": 16, "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": false,
        "rope_parameters": {"rope_type": "default", "rope_theta": 5000.0}, "eos_token_id": 3,
    })
}

/// `config.json` of the BERT.
pub fn bert() -> Value {
    json!({
        "architectures": ["BertModel"], "model_type": "bert", "vocab_size": 6, "hidden_size": 8,
        "intermediate_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2,
        "max_position_embeddings": 16, "layer_norm_eps": 1e-12, "hidden_act": "gelu", "type_vocab_size": 2,
    })
}

/// Tensors of the Llama.
pub fn llama_tensors() -> Vec<Tensor> {
    let block = |name: &str| format!("model.layers.0.{name}.weight");
    vec![
        tensor("model.embed_tokens.weight", &[6, 8]),
        tensor("lm_head.weight", &[6, 8]),
        tensor("model.norm.weight", &[8]),
        tensor(&block("input_layernorm"), &[8]),
        tensor(&block("self_attn.q_proj"), &[8, 8]),
        tensor(&block("self_attn.k_proj"), &[4, 8]),
        tensor(&block("self_attn.v_proj"), &[4, 8]),
        tensor(&block("self_attn.o_proj"), &[8, 8]),
        tensor(&block("post_attention_layernorm"), &[8]),
        tensor(&block("mlp.gate_proj"), &[12, 8]),
        tensor(&block("mlp.up_proj"), &[12, 8]),
        tensor(&block("mlp.down_proj"), &[8, 12]),
    ]
}

/// Tensors of the BERT: enough of them for its dimensions.
pub fn bert_tensors() -> Vec<Tensor> {
    let block = |name: &str| format!("encoder.layer.0.{name}.weight");
    vec![
        tensor("embeddings.word_embeddings.weight", &[6, 8]),
        tensor("embeddings.position_embeddings.weight", &[16, 8]),
        tensor(&block("attention.self.query"), &[8, 8]),
        tensor(&block("attention.self.key"), &[8, 8]),
        tensor(&block("intermediate.dense"), &[12, 8]),
        tensor("pooler.dense.weight", &[8, 8]),
    ]
}

/// A tensor of ones in single precision.
pub fn tensor(name: &str, shape: &[u64]) -> Tensor {
    let count = shape.iter().product::<u64>() as usize;
    Tensor {
        name: name.into(),
        dtype: "F32",
        shape: shape.into(),
        bytes: 1f32.to_le_bytes().repeat(count),
    }
}

/// A byte-level tokenizer with an end mark.
pub fn tokenizer() -> Value {
    json!({
        "added_tokens": [{"id": 3, "content": "</s>", "special": true}, {"id": 4, "content": "<s>", "special": true}],
        "decoder": {"type": "ByteLevel"},
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]},
    })
}

/// Writes a JSON file.
pub fn write_json(dir: &Path, name: &str, value: &Value) {
    std::fs::write(dir.join(name), value.to_string()).unwrap();
}

/// A directory with a model.
pub fn model(config: &Value, tensors: &[Tensor]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write_json(dir.path(), "config.json", config);
    write_json(dir.path(), "tokenizer.json", &tokenizer());
    std::fs::write(dir.path().join("model.safetensors"), to_bytes(tensors)).unwrap();
    dir
}
