//! Whole answers of Anthropic.

use serde_json::{Value, json};

use super::{finish_reason, usage};
use crate::provider::{Broken, messages};

/// An answer in OpenAI's form.
///
/// # Errors
/// When it is none.
pub fn answer(answer: Value, created: u64) -> Result<Value, Broken> {
    let blocks = answer["content"].as_array().ok_or(Broken)?;
    let texts: Vec<_> = blocks
        .iter()
        .filter(|block| block["type"] == "text")
        .filter_map(|block| block["text"].as_str())
        .collect();
    let calls: Vec<_> = blocks
        .iter()
        .filter(|block| block["type"] == "tool_use")
        .map(|block| {
            let (id, name) = (block["id"].as_str()?, block["name"].as_str()?);
            Some(messages::to_open_ai(id, name, &block["input"]))
        })
        .collect::<Option<_>>()
        .ok_or(Broken)?;
    let content = match texts.is_empty() {
        true => Value::Null,
        false => texts.concat().into(),
    };
    let mut message = json!({"role": "assistant", "content": content});
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    Ok(json!({
        "id": answer["id"],
        "object": "chat.completion",
        "created": created,
        "choices": [{
            "index": 0,
            "message": message,
            "logprobs": null,
            "finish_reason": finish_reason(&answer["stop_reason"]),
        }],
        "usage": usage(&answer["usage"]),
    }))
}
