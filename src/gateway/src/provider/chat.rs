//! The settings of a chat that providers have in another form.

use serde_json::{Map, Value};

use super::{Refusal, fields::Fields};

/// A function that the model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<Value>,
    /// JSON Schema of its arguments.
    pub parameters: Option<Value>,
    /// Whether arguments have to follow the schema.
    pub strict: bool,
}

/// Which functions the model has to call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Those that it likes.
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// This one.
    Function(String),
}

/// The form of the answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// Some JSON object.
    Json,
    /// JSON by this schema.
    Schema(Value),
}

/// Takes `tools`.
///
/// # Errors
/// What is wrong, and where.
pub fn tools(fields: &mut Fields) -> Result<Vec<Tool>, Refusal> {
    let tools = match fields.take("tools") {
        None => return Ok(Vec::new()),
        Some(Value::Array(tools)) => tools,
        Some(_) => return Err(Refusal::invalid("tools", "a list of tools")),
    };
    let tool = |(i, mut tool): (usize, Value)| {
        if tool["type"] != "function" {
            return Err(Refusal::invalid(
                format!("tools[{i}].type"),
                "function for this provider",
            ));
        }
        let mut function = tool["function"].take();
        let name = function["name"].as_str().map(str::to_owned);
        let optional = |value: Value| Some(value).filter(|value| !value.is_null());
        Ok(Tool {
            name: name.ok_or_else(|| Refusal::invalid(format!("tools[{i}].function.name"), "a string"))?,
            strict: function["strict"] == true,
            description: optional(function["description"].take()),
            parameters: optional(function["parameters"].take()),
        })
    };
    tools.into_iter().enumerate().map(tool).collect()
}

/// Takes `tool_choice`.
///
/// # Errors
/// When it is none that can be translated.
pub fn choice(fields: &mut Fields) -> Result<Option<Choice>, Refusal> {
    let Some(choice) = fields.take("tool_choice") else {
        return Ok(None);
    };
    let function = choice["function"]["name"].as_str();
    match (choice.as_str(), function) {
        (Some("auto"), _) => Ok(Some(Choice::Auto)),
        (Some("none"), _) => Ok(Some(Choice::None)),
        (Some("required"), _) => Ok(Some(Choice::Required)),
        (None, Some(name)) => Ok(Some(Choice::Function(name.into()))),
        _ => Err(Refusal::invalid(
            "tool_choice",
            "auto, none, required or a function for this provider",
        )),
    }
}

/// Takes `response_format`.
///
/// # Errors
/// When it is none that can be translated.
pub fn format(fields: &mut Fields) -> Result<Option<Format>, Refusal> {
    let Some(mut format) = fields.take("response_format") else {
        return Ok(None);
    };
    match format["type"].as_str() {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(Format::Json)),
        Some("json_schema") => match format["json_schema"]["schema"].take() {
            schema @ Value::Object(_) => Ok(Some(Format::Schema(schema))),
            _ => Err(Refusal::invalid("response_format.json_schema.schema", "a JSON Schema")),
        },
        _ => Err(Refusal::invalid(
            "response_format.type",
            "text, json_object or json_schema for this provider",
        )),
    }
}

/// Takes `stop`, as a list.
pub fn stop(fields: &mut Fields) -> Option<Value> {
    match fields.take("stop")? {
        text @ Value::String(_) => Some(Value::Array(vec![text])),
        list => Some(list),
    }
}

/// Takes the longest answer, by its new name or the old one.
pub fn longest(fields: &mut Fields) -> Option<Value> {
    let old = fields.take("max_tokens");
    fields.take("max_completion_tokens").or(old)
}

/// Adds a field that is there.
pub fn put(map: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        map.insert(name.into(), value);
    }
}
