//! `{"name": …, "parameters": …}` from the beginning of the answer, maybe after `<|python_tag|>`, and
//! maybe more of them after `;`.

use super::{
    ToolCall,
    call::{Json, leading_json},
    parser::Reading,
};

/// Before a call, if the model likes.
pub const OPEN: &str = "<|python_tag|>";

/// Where a call begins or may begin.
pub fn opening(text: &str, text_has_begun: bool) -> Option<usize> {
    let first = text.trim_start();
    let begins =
        first.is_empty() || first.starts_with(['{', ';']) || first.starts_with(OPEN) || OPEN.starts_with(first);
    (begins && !text_has_begun).then_some(0)
}

/// Reads one call.
pub fn read(text: &str) -> Reading {
    let body = text.trim_start_matches([';', ' ', '\n']);
    let body = body.strip_prefix(OPEN).unwrap_or(body);
    if body.is_empty() || OPEN.starts_with(body) {
        return Reading::Incomplete;
    }
    match leading_json(body) {
        Json::Value(value, rest) => {
            let length = text.len() - rest.len();
            let call = ToolCall::from_value(&value, &["parameters", "arguments"]);
            call.map_or(Reading::Text(length), |call| Reading::Calls(vec![call], length))
        }
        Json::Incomplete => Reading::Incomplete,
        Json::None => Reading::Text(text.len()),
    }
}
