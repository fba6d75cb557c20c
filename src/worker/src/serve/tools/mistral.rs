//! `[TOOL_CALLS][{"name": …, "arguments": …}, …]`, and since 2025 `[TOOL_CALLS]name[ARGS]{…}`, maybe
//! with `[CALL_ID]…` in between.

use super::{
    ToolCall,
    call::{Json, leading_json},
    parser::Reading,
};

/// Before calls.
pub const OPEN: &str = "[TOOL_CALLS]";
/// Before the id of a call.
pub const ID: &str = "[CALL_ID]";
/// Before the arguments of a call.
pub const ARGUMENTS: &str = "[ARGS]";

/// Reads the calls after one mark.
pub fn read(text: &str, end: bool) -> Reading {
    let Some(body) = text.strip_prefix(OPEN) else {
        return Reading::Incomplete;
    };
    let body = body.trim_start();
    match body.starts_with('[') || (body.is_empty() && !end) {
        true => read_array(text, body),
        false => read_named(text, body),
    }
}

fn read_array(text: &str, body: &str) -> Reading {
    match leading_json(body) {
        Json::Value(value, rest) => {
            let calls = value.as_array().filter(|calls| !calls.is_empty());
            let calls = calls.and_then(|calls| calls.iter().map(call).collect());
            let length = text.len() - rest.len();
            calls.map_or(Reading::Text(length), |calls| Reading::Calls(calls, length))
        }
        Json::Incomplete => Reading::Incomplete,
        Json::None => Reading::Text(OPEN.len()),
    }
}

fn call(value: &serde_json::Value) -> Option<ToolCall> {
    ToolCall::from_value(value, &["arguments"])
}

fn read_named(text: &str, body: &str) -> Reading {
    let Some((head, _)) = body.split_once('{') else {
        // A name has no line ends, and nobody's is longer.
        let hopeless = body.contains('\n') || body.len() > 256;
        return if hopeless {
            Reading::Text(OPEN.len())
        } else {
            Reading::Incomplete
        };
    };
    let name = head.split([' ', '[']).next().unwrap_or_default();
    match leading_json(&body[head.len()..]) {
        Json::Value(arguments, rest) => {
            let length = text.len() - rest.len();
            match ToolCall::new(name, &arguments) {
                Some(call) => Reading::Calls(vec![call], length),
                None => Reading::Text(length),
            }
        }
        Json::Incomplete => Reading::Incomplete,
        Json::None => Reading::Text(OPEN.len()),
    }
}
