//! Gemini's embeddings.

use api::llmmodel::ProviderModel;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{url, usage};
use crate::provider::{Broken, Outgoing, Refusal, fields::Fields};

/// A request for vectors.
///
/// # Errors
/// When it asks for what Gemini does not have, or cannot be read.
pub fn request(model: &ProviderModel, base: &str, body: Map<String, Value>) -> Result<Outgoing, Refusal> {
    let mut fields = Fields::new(body);
    let texts = match fields.take("input") {
        Some(text @ Value::String(_)) => vec![text],
        Some(Value::Array(texts)) if texts.iter().all(Value::is_string) => texts,
        _ => {
            return Err(Refusal::invalid(
                "input",
                "a string or a list of strings for this provider",
            ));
        }
    };
    let dimensions = fields.take("dimensions");
    match fields.take("encoding_format") {
        None => {}
        Some(format) if format == "float" || format == "base64" => {}
        Some(_) => return Err(Refusal::invalid("encoding_format", "float or base64")),
    }
    fields.ignore(&["model", "user"]);
    let rest = fields.rest()?;
    let name = format!("models/{}", model.model);
    let ask = |text: Value| {
        let mut ask = json!({"model": name, "content": {"parts": [{"text": text}]}});
        if let Some(dimensions) = &dimensions {
            ask["outputDimensionality"] = dimensions.clone();
        }
        for (name, value) in &rest {
            ask[name] = value.clone();
        }
        ask
    };
    let asks: Vec<_> = texts.into_iter().map(ask).collect();
    Ok(Outgoing {
        url: url(model, base, "batchEmbedContents"),
        headers: Vec::new(),
        body: json!({"requests": asks}),
    })
}

/// Vectors in OpenAI's form. Gemini does not always say what they took: then nothing is said of it.
///
/// # Errors
/// When it is none.
pub fn answer(answer: &Value, in_base64: bool) -> Result<Value, Broken> {
    let vectors = answer["embeddings"].as_array().ok_or(Broken)?;
    let mut data = Vec::new();
    for (index, vector) in vectors.iter().enumerate() {
        let values = &vector["values"];
        let embedding = match in_base64 {
            true => encode(values)?,
            false => values.clone(),
        };
        data.push(json!({"object": "embedding", "index": index, "embedding": embedding}));
    }
    let mut out = json!({"object": "list", "data": data});
    if let Some(stated) = usage(answer) {
        out["usage"] = json!({"prompt_tokens": stated["prompt_tokens"], "total_tokens": stated["prompt_tokens"]});
    }
    Ok(out)
}

/// Single precision, little-endian, as OpenAI has it.
fn encode(values: &Value) -> Result<Value, Broken> {
    let mut bytes = Vec::new();
    for value in values.as_array().ok_or(Broken)? {
        let value = value.as_f64().ok_or(Broken)? as f32;
        bytes.extend(value.to_le_bytes());
    }
    Ok(STANDARD.encode(bytes).into())
}
