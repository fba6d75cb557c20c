//! Llama, Mistral and Qwen.

use gguf::Value;
use serde_json::{Value as Json, json};

use super::{Config, Keys};
use crate::Error;
use crate::json::Settings;

/// What `transformers` takes where the settings say nothing.
const ROPE_THETA: f64 = 10_000.0;
const SLIDING_WINDOW: u64 = 4096;

/// Checks and translates the settings of a decoder.
pub(super) fn read(settings: Settings) -> Result<Config, Error> {
    let kind = settings.text("model_type")?.unwrap_or_default();
    // Mistral is Llama with a window, which must be wide open here.
    let (architecture, class) = match kind {
        "qwen2" => ("qwen2", "Qwen2ForCausalLM"),
        "qwen3" => ("qwen3", "Qwen3ForCausalLM"),
        "mistral" => ("llama", "MistralForCausalLM"),
        _ => ("llama", "LlamaForCausalLM"),
    };
    if let Some(names) = settings.get("architectures")
        && *names != json!([class])
    {
        return Err(settings.unsupported("architectures", format!("only [{class:?}] is supported for {kind}")));
    }
    let context_length = settings.positive("max_position_embeddings")?;
    refuse_variants(&settings)?;
    refuse_window(&settings, kind, context_length)?;

    let heads = settings.positive("num_attention_heads")?;
    let kv_heads = match kind {
        "llama" => settings.optional("num_key_value_heads")?.unwrap_or(heads),
        _ => settings.positive("num_key_value_heads")?,
    };
    let hidden_size = settings.positive("hidden_size")?;
    let head_dim = settings.optional("head_dim")?.unwrap_or(hidden_size / heads);
    let epsilon = settings.float("rms_norm_eps")?;
    let mut keys = Keys::new(architecture);
    keys.number("block_count", settings.positive("num_hidden_layers")?);
    keys.number("context_length", context_length);
    keys.number("embedding_length", hidden_size);
    keys.number("feed_forward_length", settings.positive("intermediate_size")?);
    keys.number("attention.head_count", heads);
    keys.number("attention.head_count_kv", kv_heads);
    keys.number("attention.key_length", head_dim);
    keys.number("attention.value_length", head_dim);
    keys.number("rope.dimension_count", head_dim);
    keys.add("rope.freq_base", Value::Float(rope_theta(&settings)?));
    keys.add(
        "attention.layer_norm_rms_epsilon",
        Value::Float(epsilon.ok_or_else(|| settings.invalid("rms_norm_eps", "the file does not have it"))?),
    );
    let vocabulary_size = settings.positive("vocab_size")?;
    keys.number("vocab_size", vocabulary_size);
    Ok(Config {
        metadata: keys.metadata,
        architecture,
        tied: settings.flag("tie_word_embeddings")?.unwrap_or(false),
        cross_encoder: false,
        vocabulary_size,
        settings,
    })
}

fn refuse_variants(settings: &Settings) -> Result<(), Error> {
    let kind = settings.text("model_type")?.unwrap_or_default();
    settings.only("hidden_act", &json!("silu"), &json!("silu"), "only silu is supported")?;
    settings.only(
        "mlp_bias",
        &json!(false),
        &json!(false),
        "only layers without bias are supported",
    )?;
    // Qwen 2 always has one in query, key and value, and says nothing about it.
    if kind != "qwen2" {
        let why = "only attention without bias is supported";
        settings.only("attention_bias", &json!(false), &json!(false), why)?;
    }
    let whole = "only the rotation of whole heads is supported";
    if settings
        .float("partial_rotary_factor")?
        .is_some_and(|factor| factor != 1.0)
    {
        return Err(settings.unsupported("partial_rotary_factor", whole));
    }
    let full = |kind: &Json| *kind == json!("full_attention");
    if let Some(Json::Array(kinds)) = settings.get("layer_types")
        && !kinds.iter().all(full)
    {
        return Err(Error::unsupported(
            &settings.file,
            "field \"layer_types\"",
            "only full_attention is supported",
        ));
    }
    Ok(())
}

/// A window no shorter than the context hides nothing.
fn refuse_window(settings: &Settings, kind: &str, context_length: u64) -> Result<(), Error> {
    let window = match kind {
        "mistral" if settings.has("sliding_window") => settings.optional("sliding_window")?,
        "mistral" => Some(SLIDING_WINDOW),
        "qwen2" | "qwen3" if settings.flag("use_sliding_window")?.unwrap_or(false) => {
            Some(settings.optional("sliding_window")?.unwrap_or(SLIDING_WINDOW))
        }
        _ => None,
    };
    match window {
        Some(window) if window < context_length => Err(settings.unsupported(
            "sliding_window",
            format!(
                "a window of {window} tokens is shorter than max_position_embeddings ({context_length}), and only full \
                 attention is supported; lower max_position_embeddings to {window} to serve contexts up to there"
            ),
        )),
        _ => Ok(()),
    }
}

/// The base of the rotary embedding, where no scaling changes it.
fn rope_theta(settings: &Settings) -> Result<f64, Error> {
    let mut theta = settings.float("rope_theta")?;
    // Version 5 of `transformers` writes `rope_parameters`, older ones `rope_scaling`.
    for field in ["rope_scaling", "rope_parameters"] {
        let Some(rope) = settings.object(field)? else { continue };
        let kind = match rope.text("rope_type")? {
            Some(kind) => Some(kind),
            None => rope.text("type")?,
        };
        if kind.is_some_and(|kind| kind != "default") {
            return Err(settings.unsupported(field, "scaled rotary embeddings are not supported in this release"));
        }
        if rope.float("partial_rotary_factor")?.is_some_and(|factor| factor != 1.0) {
            return Err(settings.unsupported(field, "only the rotation of whole heads is supported"));
        }
        theta = rope.float("rope_theta")?.or(theta);
    }
    match theta.unwrap_or(ROPE_THETA) {
        theta if theta.is_finite() && theta > 0.0 => Ok(theta),
        _ => Err(settings.invalid("rope_theta", "expected a number above 0")),
    }
}
