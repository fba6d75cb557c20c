//! Complete weights, as the `transformers` library writes them.

use gguf::Value as Metadata;
use serde_json::{Value, json};
use tch::{Kind, Tensor};

use super::{Published, write_json};
use crate::{
    Error,
    network::Weight,
    tensor_file::{self, Entry},
};

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
/// What is computed in bfloat16 is published so.
const BF16: &str = "bfloat16";

/// A tensor of the file: some rows of one of ours.
struct Rows<'a> {
    name: String,
    weight: &'a Weight,
    first: i64,
    count: i64,
}

/// Writes `model.safetensors` and `config.json`.
pub(crate) fn weights(published: Published<'_>) -> Result<(), Error> {
    let kind = published.network.kind;
    let rows = all(published);
    let get = |index: usize| -> Result<Tensor, Error> {
        let Rows {
            weight, first, count, ..
        } = &rows[index];
        let whole = match weight.trained() {
            Some(id) => published.parameters.value(id).shallow_clone(),
            None => weight.get(published.parameters, kind)?,
        };
        Ok(whole.f_narrow(0, *first, *count)?)
    };
    let mut entries = Vec::with_capacity(rows.len());
    for (index, part) in rows.iter().enumerate() {
        entries.push(Entry {
            name: part.name.clone(),
            shape: get(index)?.size(),
            kind,
        });
    }
    tensor_file::write(&published.directory.join(WEIGHTS), &entries, get)?;
    write_json(&published.directory.join(CONFIG), &config(published))
}

fn all(published: Published<'_>) -> Vec<Rows<'_>> {
    let network = published.network;
    let config = &network.config;
    let (queries, keys) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
    let (hidden, feed_forward) = (config.hidden_size, config.feed_forward_size);
    let mut rows = Vec::new();
    let mut add = |name: String, weight, first, count| {
        rows.push(Rows {
            name,
            weight,
            first,
            count,
        });
    };
    let vocabulary = config.vocabulary_size;
    add("model.embed_tokens.weight".into(), &network.embedding, 0, vocabulary);
    for (layer, block) in network.blocks.iter().enumerate() {
        let name = |tensor: &str| format!("model.layers.{layer}.{tensor}");
        add(name("input_layernorm.weight"), &block.attention_norm, 0, hidden);
        let qkv = [
            ("q_proj", 0, queries),
            ("k_proj", queries, keys),
            ("v_proj", queries + keys, keys),
        ];
        for (part, first, count) in qkv {
            add(name(&format!("self_attn.{part}.weight")), &block.qkv, first, count);
            if let Some(bias) = &block.qkv_bias {
                add(name(&format!("self_attn.{part}.bias")), bias, first, count);
            }
        }
        if let Some((query_norm, key_norm)) = &block.head_norms {
            add(name("self_attn.q_norm.weight"), query_norm, 0, config.head_dim);
            add(name("self_attn.k_norm.weight"), key_norm, 0, config.head_dim);
        }
        add(name("self_attn.o_proj.weight"), &block.attention_output, 0, hidden);
        add(
            name("post_attention_layernorm.weight"),
            &block.feed_forward_norm,
            0,
            hidden,
        );
        add(name("mlp.gate_proj.weight"), &block.gate_up, 0, feed_forward);
        add(name("mlp.up_proj.weight"), &block.gate_up, feed_forward, feed_forward);
        add(name("mlp.down_proj.weight"), &block.down, 0, hidden);
    }
    add("model.norm.weight".into(), &network.output_norm, 0, hidden);
    if let Some(head) = &network.head {
        add("lm_head.weight".into(), head, 0, vocabulary);
    }
    rows
}

fn config(published: Published<'_>) -> Value {
    let network = published.network;
    let config = &network.config;
    let (kind, class) = match config.architecture.name {
        "qwen2" => ("qwen2", "Qwen2ForCausalLM"),
        "qwen3" => ("qwen3", "Qwen3ForCausalLM"),
        _ => ("llama", "LlamaForCausalLM"),
    };
    let token = |key: &str| match published.base.metadata.get(key) {
        Some(Metadata::Unsigned(id)) => json!(id),
        _ => Value::Null,
    };
    let dtype = if network.kind == Kind::BFloat16 {
        BF16
    } else {
        "float32"
    };
    let mut value = json!({
        "architectures": [class],
        "attention_dropout": 0.0,
        "bos_token_id": token("tokenizer.ggml.bos_token_id"),
        "dtype": dtype,
        "eos_token_id": token("tokenizer.ggml.eos_token_id"),
        "head_dim": config.head_dim,
        "hidden_act": "silu",
        "hidden_size": config.hidden_size,
        "initializer_range": 0.02,
        "intermediate_size": config.feed_forward_size,
        "max_position_embeddings": config.context_length,
        "model_type": kind,
        "num_attention_heads": config.heads,
        "num_hidden_layers": config.layers,
        "num_key_value_heads": config.kv_heads,
        "rms_norm_eps": config.norm_epsilon,
        "rope_parameters": {"rope_theta": config.rope_base, "rope_type": "default"},
        "tie_word_embeddings": network.head.is_none(),
        "use_cache": true,
        "vocab_size": config.vocabulary_size,
    });
    match kind {
        "qwen2" | "qwen3" => value["use_sliding_window"] = false.into(),
        _ => value["mlp_bias"] = false.into(),
    }
    if kind != "qwen2" {
        value["attention_bias"] = false.into();
    }
    value
}
