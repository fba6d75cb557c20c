//! `<tool_call>{"name": …, "arguments": …}</tool_call>`

use super::{
    ToolCall,
    call::{Json, leading_json},
    parser::Reading,
};

/// Before a call.
pub const OPEN: &str = "<tool_call>";
/// After it.
pub const CLOSE: &str = "</tool_call>";

/// Reads one call. Some models end their answer without the closing mark.
pub fn read(text: &str, end: bool) -> Reading {
    let Some(body) = text.strip_prefix(OPEN) else {
        return Reading::Incomplete;
    };
    let (value, rest) = match leading_json(body) {
        Json::Value(value, rest) => (value, rest),
        Json::Incomplete => return Reading::Incomplete,
        Json::None => return Reading::Text(OPEN.len()),
    };
    let Some(call) = ToolCall::from_value(&value, &["arguments", "parameters"]) else {
        return Reading::Text(text.len() - rest.len());
    };
    let rest = rest.trim_start();
    match rest.strip_prefix(CLOSE) {
        Some(rest) => Reading::Calls(vec![call], text.len() - rest.len()),
        None if end && rest.is_empty() => Reading::Calls(vec![call], text.len()),
        None if CLOSE.starts_with(rest) => Reading::Incomplete,
        None => Reading::Text(text.len() - rest.len()),
    }
}
