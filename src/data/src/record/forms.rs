//! The forms that records of a format come in: ours, and those of ShareGPT and Alpaca where they say the same.

use protocol::tune::DataFormat;
use serde_json::{Map, Value};

use super::fields::{kind, missing, object, optional_text, text};
use super::{Bad, Message, Record, Role, reasons};

/// Fields with the turns of a conversation in the form of ShareGPT: `{"from", "value"}`.
const CONVERSATIONS: [&str; 2] = ["conversations", "conversation"];

/// What users call a format.
pub fn name_of(format: DataFormat) -> &'static str {
    match format {
        DataFormat::Chat => "Chat",
        DataFormat::PromptCompletion => "PromptCompletion",
        DataFormat::Preference => "Preference",
        DataFormat::Text => "Text",
    }
}

/// The record that a value is.
pub(super) fn read(value: Value, format: DataFormat) -> Result<Record, Bad> {
    let advised = |bad: Bad, advice: &str| match bad.reason {
        reasons::MISSING_FIELD => Bad::new(bad.reason, format!("{}; {advice}", bad.what)),
        _ => bad,
    };
    let mut object = object(value).map_err(|bad| advised(bad, shape(format)))?;
    fields(&mut object, format).map_err(|bad| match fitting(&object, format) {
        Some(other) => advised(bad, &format!("set dataset.format to {}, which it fits", name_of(other))),
        None => advised(bad, shape(format)),
    })
}

/// What a record of a format looks like, for whoever has to write it.
fn shape(format: DataFormat) -> &'static str {
    match format {
        DataFormat::Chat => {
            r#"write {"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}"#
        }
        DataFormat::PromptCompletion => r#"write {"prompt": "...", "completion": "..."}"#,
        DataFormat::Preference => r#"write {"prompt": "...", "chosen": "...", "rejected": "..."}"#,
        DataFormat::Text => r#"write {"text": "..."}"#,
    }
}

/// The format whose fields an object has, if it has not those of the one that was asked for.
fn fitting(object: &Map<String, Value>, format: DataFormat) -> Option<DataFormat> {
    let has = |names: &[&str]| names.iter().all(|name| object.contains_key(*name));
    let fits = |format: &DataFormat| match format {
        DataFormat::Chat => has(&["messages"]) || CONVERSATIONS.iter().any(|name| has(&[name])) || is_alpaca(object),
        DataFormat::Preference => has(&["prompt", "chosen", "rejected"]),
        DataFormat::PromptCompletion => has(&["prompt", "completion"]) || is_alpaca(object),
        DataFormat::Text => has(&["text"]),
    };
    let all = [
        DataFormat::Chat,
        DataFormat::Preference,
        DataFormat::PromptCompletion,
        DataFormat::Text,
    ];
    all.into_iter().filter(|_| !fits(&format)).find(fits)
}

fn fields(object: &mut Map<String, Value>, format: DataFormat) -> Result<Record, Bad> {
    match format {
        DataFormat::Chat => chat(object),
        DataFormat::PromptCompletion if !object.contains_key("prompt") && is_alpaca(object) => {
            let (prompt, completion) = (instruction(object)?, text(object, "output")?);
            Ok(Record::PromptCompletion { prompt, completion })
        }
        DataFormat::PromptCompletion => Ok(Record::PromptCompletion {
            prompt: text(object, "prompt")?,
            completion: text(object, "completion")?,
        }),
        DataFormat::Preference => Ok(Record::Preference {
            prompt: text(object, "prompt")?,
            chosen: text(object, "chosen")?,
            rejected: text(object, "rejected")?,
        }),
        DataFormat::Text => Ok(Record::Text {
            text: text(object, "text")?,
        }),
    }
}

fn chat(object: &mut Map<String, Value>) -> Result<Record, Bad> {
    if let Some(messages) = object.get_mut("messages").map(Value::take)
        && !messages.is_null()
    {
        let messages = list(messages, "messages")?;
        let read = |(index, value)| message(value, &format!("messages[{index}]"));
        let messages = messages.into_iter().enumerate().map(read).collect::<Result<_, _>>()?;
        return Ok(Record::Chat { messages });
    }
    for name in CONVERSATIONS {
        if let Some(turns) = object.get_mut(name).map(Value::take)
            && !turns.is_null()
        {
            let turns = list(turns, name)?.into_iter().enumerate();
            let mut messages = system(object)?;
            for (index, value) in turns {
                messages.push(turn(value, &format!("{name}[{index}]"))?);
            }
            return Ok(Record::Chat { messages });
        }
    }
    if is_alpaca(object) {
        let mut messages = system(object)?;
        messages.push(Message {
            role: Role::User,
            content: instruction(object)?,
        });
        messages.push(Message {
            role: Role::Assistant,
            content: text(object, "output")?,
        });
        return Ok(Record::Chat { messages });
    }
    // What was taken is null now, and was before.
    Err(missing(object, "messages"))
}

/// A list, which a table has as JSON.
fn list(value: Value, name: &str) -> Result<Vec<Value>, Bad> {
    let value = match value {
        Value::String(json) => serde_json::from_str(&json).map_err(|error| {
            let what = format!("has a field `{name}` that is a text and no list in JSON: {error}");
            Bad::new(reasons::MISSING_FIELD, what)
        })?,
        other => other,
    };
    match value {
        Value::Array(list) => Ok(list),
        other => {
            let what = format!("has a field `{name}` that is {} and no list", kind(&other));
            Err(Bad::new(reasons::MISSING_FIELD, what))
        }
    }
}

/// `{"role", "content"}`.
fn message(value: Value, place: &str) -> Result<Message, Bad> {
    let inside = |bad: Bad| Bad::new(bad.reason, format!("{} in `{place}`", bad.what));
    let mut object = object(value).map_err(inside)?;
    let role = text(&mut object, "role").map_err(inside)?;
    let role = match role.as_str() {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        other => return Err(unknown_role(other, place, "system, user, assistant or tool")),
    };
    let content = match object.get_mut("content").map(Value::take) {
        Some(Value::Array(parts)) => joined(parts, place)?,
        Some(Value::String(content)) => content,
        Some(Value::Null) | None => return Err(inside(missing(&object, "content"))),
        Some(other) => {
            let what = format!(
                "has a field `content` in `{place}` that is {} and no text",
                kind(&other)
            );
            return Err(Bad::new(reasons::MISSING_FIELD, what));
        }
    };
    Ok(Message { role, content })
}

/// The texts of a content in parts, `{"type": "text", "text"}`. A picture says what no text says.
fn joined(parts: Vec<Value>, place: &str) -> Result<String, Bad> {
    let texts = parts.into_iter().map(|part| match part {
        Value::String(text) => Ok(text),
        Value::Object(mut part) if part.get("type").is_none_or(|kind| kind == "text") => text(&mut part, "text"),
        _ => Err(Bad::new(
            reasons::MISSING_FIELD,
            format!("has parts in `{place}.content` that are no text"),
        )),
    });
    Ok(texts.collect::<Result<Vec<_>, _>>()?.join("\n"))
}

/// `{"from", "value"}`; some have our names inside.
fn turn(value: Value, place: &str) -> Result<Message, Bad> {
    if value.get("role").is_some() {
        return message(value, place);
    }
    let inside = |bad: Bad| Bad::new(bad.reason, format!("{} in `{place}`", bad.what));
    let mut object = object(value).map_err(inside)?;
    let role = match text(&mut object, "from").map_err(inside)?.as_str() {
        "system" => Role::System,
        "human" | "user" => Role::User,
        "gpt" | "assistant" | "chatgpt" | "bot" | "model" => Role::Assistant,
        "tool" | "observation" => Role::Tool,
        other => return Err(unknown_role(other, place, "system, human or gpt")),
    };
    Ok(Message {
        role,
        content: text(&mut object, "value").map_err(inside)?,
    })
}

fn unknown_role(role: &str, place: &str, known: &str) -> Bad {
    let role: String = role.chars().take(40).collect();
    Bad::new(
        reasons::INVALID_ROLE,
        format!("has the role {role:?} in `{place}`, which is none of {known}"),
    )
}

fn system(object: &mut Map<String, Value>) -> Result<Vec<Message>, Bad> {
    let content = optional_text(object, "system")?.filter(|content| !content.trim().is_empty());
    let message = content.map(|content| Message {
        role: Role::System,
        content,
    });
    Ok(message.into_iter().collect())
}

fn is_alpaca(object: &Map<String, Value>) -> bool {
    object.contains_key("instruction") && object.contains_key("output")
}

/// What Alpaca's records ask: the instruction, and what it is about.
fn instruction(object: &mut Map<String, Value>) -> Result<String, Bad> {
    let instruction = text(object, "instruction")?;
    match optional_text(object, "input")?.filter(|input| !input.trim().is_empty()) {
        Some(input) => Ok(format!("{instruction}\n\n{input}")),
        None => Ok(instruction),
    }
}

/// A dialogue whose speakers take turns, the asking one first: a conversation of chatterbot-corpus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialogue(pub Vec<String>);

impl Dialogue {
    /// The values that its records are read from: one for a chat, one for each question with its answer otherwise. A
    /// question at the end that nobody answers is left out.
    pub fn values(self, format: DataFormat) -> Vec<Value> {
        let mut turns = self.0;
        turns.truncate(turns.len() & !1);
        let pairs = turns.chunks_exact(2);
        match format {
            DataFormat::PromptCompletion => pairs
                .map(|pair| serde_json::json!({"prompt": pair[0], "completion": pair[1]}))
                .collect(),
            _ => {
                let message = |(index, content)| {
                    let role = if index % 2 == 0 { "user" } else { "assistant" };
                    serde_json::json!({"role": role, "content": content})
                };
                let messages: Vec<Value> = turns.iter().enumerate().map(message).collect();
                vec![serde_json::json!({"messages": messages})]
            }
        }
    }
}
