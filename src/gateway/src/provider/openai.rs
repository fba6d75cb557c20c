//! OpenAI's own form: requests and answers pass but for what we act on.

use api::llmmodel::{OpenAi, OpenAiCompatibleProvider};
use serde_json::{Map, Value, json};

use super::{Broken, Outgoing, Refusal, Translate};
use crate::metrics::Operation;

/// A request for OpenAI.
///
/// # Errors
/// When OpenAI has nothing of the kind.
pub fn request(
    model: &OpenAi,
    base: &str,
    operation: Operation,
    body: Map<String, Value>,
) -> Result<Outgoing, Refusal> {
    if !matches!(operation, Operation::Chat | Operation::Embeddings) {
        return Err(Refusal::Operation);
    }
    let url = format!("{base}{}", operation.path());
    let organization = model.organization.clone();
    Ok(Outgoing {
        url,
        headers: organization.map(|it| ("openai-organization", it)).into_iter().collect(),
        body: body_for(operation, &model.model, body),
    })
}

/// A request for another service with OpenAI's API.
///
/// # Errors
/// When it has nothing of the kind.
pub fn compatible_request(
    model: &OpenAiCompatibleProvider,
    operation: Operation,
    body: Map<String, Value>,
) -> Result<Outgoing, Refusal> {
    let path = match operation {
        Operation::Chat => "/chat/completions",
        Operation::TextCompletion => "/completions",
        Operation::Embeddings => "/embeddings",
        Operation::Rerank => return Err(Refusal::Operation),
    };
    Ok(Outgoing {
        url: format!("{}{path}", model.url.trim_end_matches('/')),
        headers: Vec::new(),
        body: body_for(operation, &model.model, body),
    })
}

/// The caller's body under the provider's name. Streams always end with the tokens that they took.
pub fn body_for(operation: Operation, model: &str, mut body: Map<String, Value>) -> Value {
    body.insert("model".into(), model.into());
    let generates = matches!(operation, Operation::Chat | Operation::TextCompletion);
    if generates && body.get("stream") == Some(&Value::Bool(true)) {
        let options = body.entry("stream_options").or_insert_with(|| json!({}));
        if options.is_null() {
            *options = json!({});
        }
        // What is no object is the provider's to refuse.
        if let Value::Object(options) = options {
            options.insert("include_usage".into(), true.into());
        }
    }
    Value::Object(body)
}

/// Chunks as they are.
#[derive(Debug, Default)]
pub struct Chunks {
    is_done: bool,
    has_finished: bool,
}

impl Translate for Chunks {
    fn event(&mut self, data: &str) -> Result<Vec<Value>, Broken> {
        if data == "[DONE]" {
            self.is_done = true;
            return Ok(Vec::new());
        }
        let chunk: Value = serde_json::from_str(data).map_err(|_| Broken)?;
        if !chunk.is_object() || chunk.get("error").is_some_and(|error| !error.is_null()) {
            return Err(Broken);
        }
        let choices = chunk["choices"].as_array();
        let finishes = |choice: &Value| !choice["finish_reason"].is_null();
        self.has_finished |= choices.is_some_and(|it| it.iter().any(finishes));
        Ok(vec![chunk])
    }

    fn is_complete(&self) -> bool {
        self.is_done || self.has_finished
    }
}
