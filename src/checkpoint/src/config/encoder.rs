//! BERT, which also MiniLM, BGE and E5 are.

use gguf::Value;
use serde_json::{Value as Json, json};

use super::{Config, Keys};
use crate::Error;
use crate::json::Settings;

/// The family's name.
pub(super) const ARCHITECTURE: &str = "bert";
/// Classes whose weights hold what embeddings need.
const EMBEDDERS: [&str; 3] = ["BertModel", "BertForMaskedLM", "BertForPreTraining"];
const CROSS_ENCODER: &str = "BertForSequenceClassification";

/// Checks and translates the settings of an encoder.
pub(super) fn read(settings: Settings) -> Result<Config, Error> {
    let class = match settings.get("architectures") {
        None => EMBEDDERS[0],
        Some(Json::Array(names)) => match names.as_slice() {
            [Json::String(name)] => name.as_str(),
            _ => "",
        },
        Some(_) => "",
    };
    let cross_encoder = class == CROSS_ENCODER;
    if !cross_encoder && !EMBEDDERS.contains(&class) {
        let why = format!("only one of {} and {CROSS_ENCODER} is supported", EMBEDDERS.join(", "));
        return Err(settings.unsupported("architectures", why));
    }
    let absolute = json!("absolute");
    let no = json!(false);
    settings.only("hidden_act", &json!("gelu"), &json!("gelu"), "only gelu is supported")?;
    settings.only(
        "position_embedding_type",
        &absolute,
        &absolute,
        "only absolute is supported",
    )?;
    settings.only("is_decoder", &no, &no, "only encoders are supported")?;
    settings.only("add_cross_attention", &no, &no, "only plain encoders are supported")?;

    let epsilon = settings.float("layer_norm_eps")?.unwrap_or(1e-12);
    let mut keys = Keys::new(ARCHITECTURE);
    keys.number("block_count", settings.positive("num_hidden_layers")?);
    keys.number("context_length", settings.positive("max_position_embeddings")?);
    keys.number("embedding_length", settings.positive("hidden_size")?);
    keys.number("feed_forward_length", settings.positive("intermediate_size")?);
    keys.number("attention.head_count", settings.positive("num_attention_heads")?);
    keys.add("attention.layer_norm_epsilon", Value::Float(epsilon));
    keys.add("attention.causal", Value::Bool(false));
    let vocabulary_size = settings.positive("vocab_size")?;
    keys.number("vocab_size", vocabulary_size);
    let types = settings.optional("type_vocab_size")?.unwrap_or(2);
    keys.metadata
        .push(("tokenizer.ggml.token_type_count".into(), Value::Unsigned(types)));
    Ok(Config {
        metadata: keys.metadata,
        architecture: ARCHITECTURE,
        tied: false,
        cross_encoder,
        vocabulary_size,
        settings,
    })
}
