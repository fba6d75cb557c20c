//! Which tools a request offers, and whether they must be called.

use serde_json::{Value, json};

use crate::serve::{
    api::{error::Error, fields::Fields},
    tools::Tool,
};

/// Most tools of one request.
const MAX_TOOLS: usize = 128;

/// Whether tools are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// They are not.
    None,
    /// As the model sees fit.
    Auto,
    /// At least one is.
    Required,
    /// This one is.
    Function(String),
}

/// The tools of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Tools {
    /// All of them.
    pub tools: Vec<Tool>,
    /// Whether they are called.
    pub choice: Choice,
    /// Whether one answer may have several calls.
    pub parallel: bool,
}

impl Tools {
    /// The tools that the model is told of.
    pub fn offered(&self) -> &[Tool] {
        match self.choice {
            Choice::None => &[],
            _ => &self.tools,
        }
    }
}

/// Reads `tools`, `tool_choice` and `parallel_tool_calls`.
///
/// # Errors
/// The first fault.
pub fn read(fields: Fields<'_>) -> Result<Tools, Error> {
    let tools = match fields.get("tools") {
        None => Vec::new(),
        Some(Value::Array(tools)) if tools.len() <= MAX_TOOLS => {
            let tools = tools.iter().enumerate();
            tools
                .map(|(index, tool)| read_tool(tool, &format!("tools[{index}].")))
                .collect::<Result<Vec<_>, _>>()?
        }
        Some(_) => return Err(fields.invalid("tools", format!("an array of at most {MAX_TOOLS} tools"))),
    };
    for (index, tool) in tools.iter().enumerate() {
        if tools[..index].iter().any(|before| before.name == tool.name) {
            let field = format!("tools[{index}].function.name");
            return Err(fields.invalid(&field, "different from the names of other tools"));
        }
    }
    Ok(Tools {
        choice: choice(fields, &tools)?,
        parallel: fields.get("parallel_tool_calls").is_none() || fields.flag("parallel_tool_calls")?,
        tools,
    })
}

fn choice(fields: Fields<'_>, tools: &[Tool]) -> Result<Choice, Error> {
    let expected = || {
        fields.invalid(
            "tool_choice",
            "\"none\", \"auto\", \"required\" or {\"type\": \"function\", \"function\": {\"name\": …}}",
        )
    };
    let choice = match fields.get("tool_choice") {
        None if tools.is_empty() => Choice::None,
        None => Choice::Auto,
        Some(Value::String(word)) => match word.as_str() {
            "none" => Choice::None,
            "auto" if tools.is_empty() => Choice::None,
            "auto" => Choice::Auto,
            "required" => Choice::Required,
            _ => return Err(expected()),
        },
        Some(choice) => match choice["function"]["name"].as_str() {
            Some(name) => Choice::Function(name.into()),
            None => return Err(expected()),
        },
    };
    let known = match &choice {
        Choice::Required => !tools.is_empty(),
        Choice::Function(name) => tools.iter().any(|tool| tool.name == *name),
        Choice::None | Choice::Auto => true,
    };
    match known {
        true => Ok(choice),
        false => Err(fields.invalid("tool_choice", "a choice among the tools of the request")),
    }
}

fn read_tool(tool: &Value, place: &str) -> Result<Tool, Error> {
    let invalid = |field: &str, expected: &str| Error::InvalidField {
        field: format!("{place}{field}"),
        expected: expected.into(),
    };
    if tool["type"] != "function" {
        return Err(invalid("type", "\"function\""));
    }
    let Some(function) = tool["function"].as_object() else {
        return Err(invalid("function", "an object with a \"name\""));
    };
    let path = format!("{place}function.");
    let function = Fields::inside(function, &path);
    let good = |character: char| character.is_ascii_alphanumeric() || "_-.".contains(character);
    let name = function.text("name")?.unwrap_or_default();
    if name.is_empty() || name.len() > 64 || !name.chars().all(good) {
        return Err(function.invalid("name", "1 to 64 letters, digits, \"_\", \"-\" and \".\""));
    }
    let parameters = function.get("parameters").cloned();
    let parameters = parameters.unwrap_or_else(|| json!({"type": "object", "properties": {}}));
    if !parameters.is_object() {
        return Err(function.invalid("parameters", "a JSON schema"));
    }
    Ok(Tool {
        name: name.into(),
        description: function.text("description")?.map(Into::into),
        parameters,
        strict: function.flag("strict")?,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read_value(value: &Value) -> Result<Tools, String> {
        read(Fields::new(value.as_object().unwrap())).map_err(|error| error.to_string())
    }

    fn tool(name: &str) -> Value {
        json!({"type": "function", "function": {"name": name}})
    }

    #[rstest]
    #[case(json!({}), Choice::None)]
    #[case(json!({"tools": [], "tool_choice": "auto"}), Choice::None)]
    #[case(json!({"tools": [tool("f")]}), Choice::Auto)]
    #[case(json!({"tools": [tool("f")], "tool_choice": "required"}), Choice::Required)]
    #[case(json!({"tools": [tool("f")], "tool_choice": tool("f")}), Choice::Function("f".into()))]
    fn choices_have_defaults(#[case] request: Value, #[case] expected: Choice) {
        let tools = read_value(&request).unwrap();
        assert_eq!((tools.choice, tools.parallel), (expected, true));
    }

    #[rstest]
    #[case(json!({"tools": 1}), "\"tools\" must be an array of at most 128")]
    #[case(json!({"tools": [1]}), "\"tools[0].type\"")]
    #[case(json!({"tools": [{"type": "function"}]}), "\"tools[0].function\"")]
    #[case(json!({"tools": [tool("a b")]}), "\"tools[0].function.name\"")]
    #[case(json!({"tools": [tool("f"), tool("f")]}), "\"tools[1].function.name\" must be different")]
    #[case(json!({"tools": [tool("f")], "tool_choice": tool("g")}), "\"tool_choice\" must be a choice among")]
    #[case(json!({"tool_choice": "required"}), "\"tool_choice\" must be a choice among")]
    #[case(json!({"tools": [tool("f")], "tool_choice": "any"}), "\"tool_choice\" must be \"none\"")]
    #[case(json!({"parallel_tool_calls": "yes"}), "\"parallel_tool_calls\" must be true or false")]
    fn faults_name_the_field(#[case] request: Value, #[case] expected: &str) {
        let error = read_value(&request).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
