//! The messages of a conversation.

use serde_json::{Map, Value};

use crate::serve::{
    api::{error::Error, fields::Fields},
    chat_template::{Call, Function, Message},
};

/// Reads `messages`.
///
/// # Errors
/// The first fault.
pub fn read(fields: Fields<'_>) -> Result<Vec<Message>, Error> {
    let Some(messages) = fields.get("messages") else {
        return Err(Error::MissingField { field: "messages" });
    };
    let messages = messages.as_array().filter(|messages| !messages.is_empty());
    let messages = messages.ok_or_else(|| fields.invalid("messages", "an array with at least one message"))?;
    let read = |(index, message): (usize, &Value)| match message {
        Value::Object(object) => read_message(Fields::inside(object, &format!("messages[{index}]."))),
        _ => Err(fields.invalid(&format!("messages[{index}]"), "an object")),
    };
    messages.iter().enumerate().map(read).collect()
}

fn read_message(fields: Fields<'_>) -> Result<Message, Error> {
    fields.refuse(&[("function_call", "use tool_calls")])?;
    let role = match fields.text("role")? {
        // OpenAI's newer name.
        Some("developer") => "system",
        Some(role @ ("system" | "user" | "assistant" | "tool")) => role,
        _ => return Err(fields.invalid("role", "system, developer, user, assistant or tool")),
    };
    let tool_calls = match (role, fields.get("tool_calls")) {
        (_, None) => Vec::new(),
        ("assistant", Some(Value::Array(calls))) => {
            let calls = calls.iter().enumerate();
            calls
                .map(|(index, call)| read_call(fields, index, call))
                .collect::<Result<_, _>>()?
        }
        ("assistant", Some(_)) => return Err(fields.invalid("tool_calls", "an array")),
        (_, Some(_)) => return Err(fields.invalid("tool_calls", "left out, except by the assistant")),
    };
    let content = match fields.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts
            .iter()
            .map(text_part)
            .collect::<Option<String>>()
            .ok_or_else(|| fields.invalid("content", "a string or an array of parts of type \"text\""))?,
        None if !tool_calls.is_empty() => String::new(),
        _ => return Err(fields.invalid("content", "a string or an array of parts of type \"text\"")),
    };
    Ok(Message {
        role: role.into(),
        content,
        tool_calls,
        tool_call_id: match role {
            "tool" => fields.text("tool_call_id")?.map(Into::into),
            _ => None,
        },
    })
}

fn text_part(part: &Value) -> Option<&str> {
    let part: &Map<String, Value> = part.as_object()?;
    part.get("type").filter(|kind| *kind == "text")?;
    part.get("text")?.as_str()
}

fn read_call(message: Fields<'_>, index: usize, call: &Value) -> Result<Call, Error> {
    let place = format!("tool_calls[{index}]");
    let function = call.get("function").and_then(Value::as_object);
    let name = function.and_then(|function| function.get("name")?.as_str());
    let (Some(function), Some(name)) = (function, name) else {
        return Err(message.invalid(
            &place,
            "an object with \"function\", which has a \"name\" and \"arguments\"",
        ));
    };
    let arguments = match function.get("arguments") {
        Some(arguments @ Value::Object(_)) => Some(arguments.clone()),
        Some(Value::String(text)) => serde_json::from_str(text).ok().filter(Value::is_object),
        _ => None,
    };
    let arguments = arguments.ok_or_else(|| {
        let field = format!("{place}.function.arguments");
        message.invalid(&field, "a string that is a JSON object")
    })?;
    Ok(Call {
        id: call.get("id").and_then(Value::as_str).unwrap_or_default().into(),
        kind: "function",
        function: Function {
            name: name.into(),
            arguments,
        },
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn read_one(message: Value) -> Result<Message, String> {
        let body = json!({"messages": [message]});
        let messages = read(Fields::new(body.as_object().unwrap()));
        messages
            .map(|mut messages| messages.remove(0))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn calls_and_results_are_read() {
        let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}});
        let message = read_one(json!({"role": "assistant", "content": null, "tool_calls": [call]})).unwrap();
        assert_eq!(message.tool_calls[0].function.arguments, json!({"a": 1}));
        assert_eq!(message.content, "");
        let message = read_one(json!({"role": "tool", "tool_call_id": "c", "content": "2"})).unwrap();
        assert_eq!(
            (message.tool_call_id.as_deref(), message.content.as_str()),
            (Some("c"), "2")
        );
    }

    #[rstest]
    #[case(json!("x"), "messages[0]")]
    #[case(json!({"role": "robot", "content": "x"}), "messages[0].role")]
    #[case(json!({"role": "user"}), "messages[0].content")]
    #[case(json!({"role": "assistant", "content": null}), "messages[0].content")]
    #[case(json!({"role": "user", "content": [{"type": "image_url"}]}), "messages[0].content")]
    #[case(json!({"role": "user", "content": "x", "tool_calls": [{}]}), "messages[0].tool_calls")]
    #[case(json!({"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}), "messages[0].tool_calls[0].function.arguments")]
    #[case(json!({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "[]"}}]}), "messages[0].tool_calls[0].function.arguments")]
    fn faults_name_the_field(#[case] message: Value, #[case] field: &str) {
        let error = read_one(message).unwrap_err();
        assert!(error.contains(&format!("the field \"{field}\" must be")), "{error}");
    }
}
