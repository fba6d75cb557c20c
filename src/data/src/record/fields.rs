//! Fields of what was read.

use serde_json::{Map, Value};

use super::{Bad, reasons};

/// Names of fields that a message lists at most.
const MAX_LISTED: usize = 8;

/// Takes a text out of an object. Numbers and truth values are texts too: tables have such columns.
///
/// # Errors
/// When it is not there, or is something else.
pub(super) fn text(object: &mut Map<String, Value>, name: &str) -> Result<String, Bad> {
    match object.get_mut(name) {
        Some(Value::String(text)) => Ok(std::mem::take(text)),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(value.to_string()),
        Some(Value::Null) | None => Err(missing(object, name)),
        Some(other) => Err(Bad::new(
            reasons::MISSING_FIELD,
            format!("has a field `{name}` that is {} and no text", kind(other)),
        )),
    }
}

/// As [`text`], with nothing for a field that is not there.
pub(super) fn optional_text(object: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Bad> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => text(object, name).map(Some),
    }
}

/// The object that a record is.
///
/// # Errors
/// When it is something else.
pub(super) fn object(value: Value) -> Result<Map<String, Value>, Bad> {
    match value {
        Value::Object(object) => Ok(object),
        other => Err(Bad::new(
            reasons::MISSING_FIELD,
            format!("is {} and no object with fields", kind(&other)),
        )),
    }
}

/// That a field is not there, with those that are.
pub(super) fn missing(object: &Map<String, Value>, name: &str) -> Bad {
    let quoted: Vec<String> = object
        .keys()
        .take(MAX_LISTED)
        .map(|key| format!("`{}`", key.chars().take(40).collect::<String>()))
        .collect();
    let has = match (quoted.is_empty(), object.len() > MAX_LISTED) {
        (true, _) => "it has none".to_owned(),
        (false, false) => format!("it has {}", quoted.join(", ")),
        (false, true) => format!("it has {} and more", quoted.join(", ")),
    };
    Bad::new(reasons::MISSING_FIELD, format!("has no field `{name}` ({has})"))
}

/// What a value is, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
