//! The messages of a chat, read for providers that have them in another form.

use serde_json::{Map, Value, json};

use super::Refusal;

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// What the model is told before everything else.
    System(String),
    /// What a person says and shows.
    User(Vec<Part>),
    /// What the model said, and the tools that it called.
    Assistant(Vec<Part>, Vec<Call>),
    /// What the call of that id gave.
    Tool(String, Vec<Part>),
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text.
    Text(String),
    /// An image in base64, with its media type.
    Image(String, String),
    /// The address of an image.
    ImageUrl(String),
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Its id.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments.
    pub arguments: Map<String, Value>,
    /// What the provider wants to see again, in whatever form.
    pub extra: Option<Value>,
}

/// Reads `messages`.
///
/// # Errors
/// What is wrong, and where.
pub fn read(messages: Option<Value>) -> Result<Vec<Message>, Refusal> {
    let Some(Value::Array(messages)) = messages else {
        return Err(Refusal::invalid("messages", "a list of messages"));
    };
    let read = messages.into_iter().enumerate();
    read.map(|(i, it)| message(&format!("messages[{i}]"), it)).collect()
}

fn message(at: &str, mut message: Value) -> Result<Message, Refusal> {
    let content = message["content"].take();
    let parts = || parts(&format!("{at}.content"), content.clone());
    match message["role"].as_str() {
        Some("system" | "developer") => Ok(Message::System(text(at, parts()?)?)),
        Some("user") => Ok(Message::User(parts()?)),
        Some("assistant") => Ok(Message::Assistant(parts()?, calls(at, message["tool_calls"].take())?)),
        Some("tool") => {
            let id = message["tool_call_id"].as_str();
            let id = id.ok_or_else(|| Refusal::invalid(format!("{at}.tool_call_id"), "the id of a call"))?;
            Ok(Message::Tool(id.into(), parts()?))
        }
        _ => Err(Refusal::invalid(
            format!("{at}.role"),
            "system, developer, user, assistant or tool for this provider",
        )),
    }
}

/// The text of a message that can hold nothing else.
fn text(at: &str, parts: Vec<Part>) -> Result<String, Refusal> {
    let texts = parts.into_iter().map(|part| match part {
        Part::Text(text) => Ok(text),
        Part::Image(..) | Part::ImageUrl(_) => Err(Refusal::invalid(format!("{at}.content"), "text")),
    });
    Ok(texts.collect::<Result<Vec<_>, _>>()?.join("\n\n"))
}

fn parts(at: &str, content: Value) -> Result<Vec<Part>, Refusal> {
    match content {
        Value::Null => Ok(Vec::new()),
        Value::String(text) if text.is_empty() => Ok(Vec::new()),
        Value::String(text) => Ok(vec![Part::Text(text)]),
        Value::Array(parts) => {
            let parts = parts.into_iter().enumerate();
            parts.map(|(i, it)| part(&format!("{at}[{i}]"), &it)).collect()
        }
        _ => Err(Refusal::invalid(at, "text or a list of parts")),
    }
}

fn part(at: &str, part: &Value) -> Result<Part, Refusal> {
    let string = |value: &Value, field: &str| {
        let text = value.as_str().map(str::to_owned);
        text.ok_or_else(|| Refusal::invalid(format!("{at}.{field}"), "a string"))
    };
    match part["type"].as_str() {
        Some("text") => Ok(Part::Text(string(&part["text"], "text")?)),
        Some("refusal") => Ok(Part::Text(string(&part["refusal"], "refusal")?)),
        Some("image_url") => {
            let url = string(&part["image_url"]["url"], "image_url.url")?;
            match url.strip_prefix("data:") {
                None => Ok(Part::ImageUrl(url)),
                Some(inline) => match inline.split_once(";base64,") {
                    Some((media_type, data)) => Ok(Part::Image(media_type.into(), data.into())),
                    None => Err(Refusal::invalid(
                        format!("{at}.image_url.url"),
                        "data:<media type>;base64,<data>, or an address",
                    )),
                },
            }
        }
        _ => Err(Refusal::invalid(
            format!("{at}.type"),
            "text or image_url for this provider",
        )),
    }
}

fn calls(at: &str, calls: Value) -> Result<Vec<Call>, Refusal> {
    let calls = match calls {
        Value::Null => return Ok(Vec::new()),
        Value::Array(calls) => calls,
        _ => return Err(Refusal::invalid(format!("{at}.tool_calls"), "a list of calls")),
    };
    let calls = calls.into_iter().enumerate();
    calls
        .map(|(i, it)| call(&format!("{at}.tool_calls[{i}]"), it))
        .collect()
}

fn call(at: &str, mut call: Value) -> Result<Call, Refusal> {
    let string = |value: &Value, field: &str| {
        let text = value.as_str().map(str::to_owned);
        text.ok_or_else(|| Refusal::invalid(format!("{at}.{field}"), "a string"))
    };
    let arguments = string(&call["function"]["arguments"], "function.arguments")?;
    let arguments = match arguments.trim() {
        "" => Map::new(),
        text => serde_json::from_str(text).map_err(|_| {
            let field = format!("{at}.function.arguments");
            Refusal::invalid(field, "a JSON object in a string")
        })?,
    };
    Ok(Call {
        id: string(&call["id"], "id")?,
        name: string(&call["function"]["name"], "function.name")?,
        arguments,
        extra: Some(call["extra_content"].take()).filter(|extra| !extra.is_null()),
    })
}

/// A call as OpenAI has it.
pub fn to_open_ai(id: &str, name: &str, arguments: &Value) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments.to_string()}})
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(json!(null), "messages")]
    #[case(json!([{"role": "x", "content": "y"}]), "messages[0].role")]
    #[case(json!([{"role": "user", "content": 5}]), "messages[0].content")]
    #[case(json!([{"role": "user", "content": [{"type": "input_audio"}]}]), "messages[0].content[0].type")]
    #[case(json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}]), "messages[0].content[0].image_url.url")]
    #[case(json!([{"role": "system", "content": [{"type": "image_url", "image_url": {"url": "http://h/"}}]}]), "messages[0].content")]
    #[case(json!([{"role": "tool", "content": "x"}]), "messages[0].tool_call_id")]
    #[case(
        json!([{"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "[]"}}]}]),
        "messages[0].tool_calls[0].function.arguments"
    )]
    fn what_is_wrong_is_said(#[case] messages: Value, #[case] at: &str) {
        match read(Some(messages)) {
            Err(Refusal::Invalid { field, .. }) => assert_eq!(field, at),
            other => panic!("{other:?}"),
        }
    }
}
