//! Google Gemini's `generateContent` and its embeddings.

mod answer;
mod embeddings;
mod request;
mod stream;

use api::llmmodel::ProviderModel;
use serde_json::{Map, Value, json};

pub use stream::Events;

use super::{Asking, Broken, Outgoing, Refusal};
use crate::metrics::Operation;

/// A request for Gemini.
///
/// # Errors
/// When it asks for what Gemini does not have, or cannot be read.
pub fn request(
    model: &ProviderModel,
    base: &str,
    operation: Operation,
    body: Map<String, Value>,
) -> Result<Outgoing, Refusal> {
    match operation {
        Operation::Chat => request::request(model, base, body),
        Operation::Embeddings => embeddings::request(model, base, body),
        Operation::TextCompletion | Operation::Rerank => Err(Refusal::Operation),
    }
}

/// A whole answer in OpenAI's form.
///
/// # Errors
/// When it is none.
pub fn answer(operation: Operation, answer: Value, asked: &Asking, created: u64) -> Result<Value, Broken> {
    match operation {
        Operation::Embeddings => embeddings::answer(&answer, asked.base64),
        _ => answer::answer(&answer, created),
    }
}

/// The address of a method of a model.
fn url(model: &ProviderModel, base: &str, method: &str) -> String {
    format!("{base}/v1beta/models/{}:{method}", super::path_segment(&model.model))
}

/// What a part says to the caller.
enum Said {
    Text(String),
    Call(Value),
}

/// The parts of a candidate. A call that has no id is named after the answer and its place among `calls`.
fn said(candidate: &Value, answer: &str, calls: &mut usize) -> Result<Vec<Said>, Broken> {
    let mut said = Vec::new();
    for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
        let (text, call) = (&part["text"], &part["functionCall"]);
        if let Some(text) = text.as_str() {
            // Thoughts have no place in OpenAI's form.
            if part["thought"] != true {
                said.push(Said::Text(text.into()));
            }
        } else if !call.is_null() {
            let name = call["name"].as_str().ok_or(Broken)?;
            let id = call["id"].as_str().map(str::to_owned);
            let id = id.unwrap_or_else(|| format!("call_{answer}_{calls}"));
            let empty = json!({});
            let arguments = Some(&call["args"]).filter(|it| !it.is_null()).unwrap_or(&empty);
            let mut call = super::messages::to_open_ai(&id, name, arguments);
            if let signature @ Value::String(_) = &part["thoughtSignature"] {
                call["extra_content"] = json!({"google": {"thought_signature": signature}});
            }
            *calls += 1;
            said.push(Said::Call(call));
        }
    }
    Ok(said)
}

/// Why an answer ends, in OpenAI's words.
fn finish_reason(reason: &str, has_called: bool) -> &'static str {
    match reason {
        "STOP" if has_called => "tool_calls",
        "STOP" => "stop",
        "MAX_TOKENS" => "length",
        // SAFETY, RECITATION, BLOCKLIST and the like.
        _ => "content_filter",
    }
}

/// What an answer took, if it says so. Thoughts are paid for as answers are.
fn usage(answer: &Value) -> Option<Value> {
    let stated = answer["usageMetadata"].as_object()?;
    let tokens = |field: &str| stated.get(field).and_then(Value::as_u64).unwrap_or(0);
    let (prompt, thoughts) = (tokens("promptTokenCount"), tokens("thoughtsTokenCount"));
    let completion = tokens("candidatesTokenCount") + thoughts;
    Some(json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": tokens("cachedContentTokenCount")},
        "completion_tokens_details": {"reasoning_tokens": thoughts},
    }))
}
