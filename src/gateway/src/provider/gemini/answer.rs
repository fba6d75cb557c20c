//! Whole answers of Gemini.

use serde_json::{Value, json};

use super::{Said, finish_reason, said, usage};
use crate::provider::Broken;

/// An answer in OpenAI's form.
///
/// # Errors
/// When it is none.
pub fn answer(answer: &Value, created: u64) -> Result<Value, Broken> {
    let id = answer["responseId"].as_str().unwrap_or_default();
    let candidates = answer["candidates"].as_array();
    let mut calls = 0;
    let mut choices = Vec::new();
    for (index, candidate) in candidates.into_iter().flatten().enumerate() {
        choices.push(choice(index, candidate, id, &mut calls)?);
    }
    if choices.is_empty() {
        // The prompt itself was refused.
        if answer["promptFeedback"]["blockReason"].is_null() {
            return Err(Broken);
        }
        choices.push(json!({
            "index": 0,
            "message": {"role": "assistant", "content": null},
            "logprobs": null,
            "finish_reason": "content_filter",
        }));
    }
    let mut out = json!({"id": id, "object": "chat.completion", "created": created, "choices": choices});
    if let Some(usage) = usage(answer) {
        out["usage"] = usage;
    }
    Ok(out)
}

fn choice(index: usize, candidate: &Value, id: &str, calls: &mut usize) -> Result<Value, Broken> {
    let reason = candidate["finishReason"].as_str().ok_or(Broken)?;
    let (mut text, mut called) = (None, Vec::new());
    for said in said(candidate, id, calls)? {
        match said {
            Said::Text(piece) => text.get_or_insert_with(String::new).push_str(&piece),
            Said::Call(call) => called.push(call),
        }
    }
    let reason = finish_reason(reason, !called.is_empty());
    let mut message = json!({"role": "assistant", "content": text});
    if !called.is_empty() {
        message["tool_calls"] = called.into();
    }
    Ok(json!({"index": index, "message": message, "logprobs": null, "finish_reason": reason}))
}
