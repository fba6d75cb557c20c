//! A tool and a call of it.

use serde_json::{Map, Value, json};

/// A function that the model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// JSON schema of its arguments.
    pub parameters: Value,
    /// Whether every call must keep to the schema. Calls that must be made always do.
    pub strict: bool,
}

impl Tool {
    /// As chat templates expect it.
    pub fn for_template(&self) -> Value {
        let mut function = Map::new();
        function.insert("name".into(), self.name.clone().into());
        if let Some(description) = &self.description {
            function.insert("description".into(), description.clone().into());
        }
        function.insert("parameters".into(), self.parameters.clone());
        json!({"type": "function", "function": function})
    }
}

/// A call that the model makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// The tool.
    pub name: String,
    /// Its arguments: a JSON object.
    pub arguments: String,
}

impl ToolCall {
    /// The call that a JSON object describes, with its arguments under one of `keys`.
    pub(super) fn from_value(value: &Value, keys: &[&str]) -> Option<Self> {
        let name = value.get("name")?.as_str()?;
        let arguments = keys.iter().find_map(|key| value.get(key))?;
        Self::new(name, arguments)
    }

    /// A call with these arguments. Some models write them as a text that is JSON.
    pub(super) fn new(name: &str, arguments: &Value) -> Option<Self> {
        let arguments = match arguments {
            Value::Object(_) => arguments.to_string(),
            Value::String(text) => serde_json::from_str::<Map<String, Value>>(text)
                .ok()
                .map(|_| text.clone())?,
            _ => return None,
        };
        Some(Self {
            name: name.into(),
            arguments,
        })
    }
}

/// What stands at the beginning of a text.
pub(super) enum Json<'a> {
    /// A JSON value, and what follows it.
    Value(Value, &'a str),
    /// The beginning of one.
    Incomplete,
    /// Something else.
    None,
}

/// Reads the JSON value that `text` begins with.
pub(super) fn leading_json(text: &str) -> Json<'_> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    match values.next() {
        Some(Ok(value)) => Json::Value(value, text.get(values.byte_offset()..).unwrap_or_default()),
        Some(Err(error)) if !error.is_eof() => Json::None,
        Some(Err(_)) | None => Json::Incomplete,
    }
}
