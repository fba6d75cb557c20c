//! Anthropic's messages.

mod answer;
mod request;
mod stream;

pub use answer::answer;
pub use request::request;
pub use stream::Events;

use serde_json::{Value, json};

/// Why an answer ends, in OpenAI's words.
fn finish_reason(stop_reason: &Value) -> &'static str {
    match stop_reason.as_str() {
        Some("tool_use") => "tool_calls",
        Some("max_tokens" | "model_context_window_exceeded") => "length",
        Some("refusal") => "content_filter",
        _ => "stop",
    }
}

/// What an answer took. Prompts are stated in parts, by how far they came from a cache.
fn usage(usage: &Value) -> Value {
    let tokens = |field: &str| usage[field].as_u64().unwrap_or(0);
    let cached = tokens("cache_read_input_tokens");
    let prompt = tokens("input_tokens") + tokens("cache_creation_input_tokens") + cached;
    let completion = tokens("output_tokens");
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    })
}
