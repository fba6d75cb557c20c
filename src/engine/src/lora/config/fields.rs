//! Reading fields one by one, so that each fault names its field.

use serde_json::{Map, Value};

use crate::lora::{AdapterError, pattern::Patterns};

/// Fields by name; `null` is the same as absent.
pub(super) struct Fields<'a>(pub &'a Map<String, Value>);

impl<'a> Fields<'a> {
    pub(super) fn get(&self, field: &str) -> Option<&'a Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    pub(super) fn fault<T>(&self, field: &str, problem: impl Into<String>) -> Result<T, AdapterError> {
        Err(AdapterError::Config {
            field: field.into(),
            problem: problem.into(),
        })
    }

    pub(super) fn read<T>(
        &self,
        field: &str,
        read: impl Fn(&'a Value) -> Option<T>,
        expected: &str,
    ) -> Result<Option<T>, AdapterError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => self.fault(field, format!("is {}; expected {expected}", shortened(value))),
        }
    }

    pub(super) fn require<T>(
        &self,
        field: &str,
        read: impl Fn(&'a Value) -> Option<T>,
        expected: &str,
    ) -> Result<T, AdapterError> {
        match self.read(field, read, expected)? {
            Some(value) => Ok(value),
            None => self.fault(field, format!("is missing; expected {expected}")),
        }
    }

    pub(super) fn patterns<T: Copy>(
        &self,
        field: &'static str,
        read: impl Fn(&Value) -> Option<T>,
        expected: &'static str,
    ) -> Result<Patterns<T>, AdapterError> {
        match self.read(field, Value::as_object, "an object")? {
            Some(object) => Patterns::read(field, object, read, expected),
            None => Ok(Patterns::default()),
        }
    }
}

/// Whether a value leaves the setting off.
pub(super) fn is_neutral(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// A value as it stands in the file, cut to a length that a message can have.
pub(super) fn shortened(value: &Value) -> String {
    const LENGTH: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
