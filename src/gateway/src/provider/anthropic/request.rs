//! Requests for Anthropic.

use api::llmmodel::ProviderModel;
use serde_json::{Map, Value, json};

use crate::{
    metrics::Operation,
    provider::{
        Outgoing, Refusal,
        chat::{self, Choice, Format, Tool, put},
        fields::Fields,
        messages::{self, Message, Part},
    },
};

/// The version of the API whose form this is.
const VERSION: &str = "2023-06-01";
/// Anthropic insists on a longest answer, where OpenAI has none.
const DEFAULT_MAX_TOKENS: u64 = 4096;

/// A request for Anthropic.
///
/// # Errors
/// When it asks for what Anthropic does not have, or cannot be read.
pub fn request(
    model: &ProviderModel,
    base: &str,
    operation: Operation,
    body: Map<String, Value>,
) -> Result<Outgoing, Refusal> {
    if operation != Operation::Chat {
        return Err(Refusal::Operation);
    }
    let mut fields = Fields::new(body);
    let mut out = Map::new();
    out.insert("model".into(), model.model.clone().into());
    let longest = chat::longest(&mut fields).unwrap_or_else(|| DEFAULT_MAX_TOKENS.into());
    out.insert("max_tokens".into(), longest);
    conversation(&mut out, messages::read(fields.take("messages"))?);
    let tools = chat::tools(&mut fields)?;
    if !tools.is_empty() {
        out.insert("tools".into(), tools.into_iter().map(tool).collect());
    }
    let choice = chat::choice(&mut fields)?;
    let in_parallel = fields.take("parallel_tool_calls");
    put(&mut out, "tool_choice", tool_choice(choice, in_parallel.as_ref()));
    match chat::format(&mut fields)? {
        Some(Format::Schema(schema)) => {
            let format = json!({"format": {"type": "json_schema", "schema": schema}});
            out.insert("output_config".into(), format);
        }
        Some(Format::Json) => fields.refuse_as("response_format json_object"),
        None => {}
    }
    put(&mut out, "stop_sequences", chat::stop(&mut fields));
    for name in ["temperature", "top_p", "stream"] {
        put(&mut out, name, fields.take(name));
    }
    let user = fields.take("user").map(|user| json!({"user_id": user}));
    put(&mut out, "metadata", user);
    let (off, zero, one) = ([false.into()], [0.into(), 0.0.into()], [1.into()]);
    fields.refuse(&[
        ("n", &one),
        ("seed", &[]),
        ("logprobs", &off),
        ("top_logprobs", &zero),
        ("logit_bias", &[json!({})]),
        ("presence_penalty", &zero),
        ("frequency_penalty", &zero),
        ("reasoning_effort", &[]),
        ("verbosity", &[]),
        ("modalities", &[json!(["text"])]),
        ("audio", &[]),
        ("prediction", &[]),
        ("web_search_options", &[]),
        ("functions", &[]),
        ("function_call", &[]),
        ("metadata", &[]),
        ("store", &off),
        ("service_tier", &["auto".into()]),
    ]);
    fields.ignore(&["model", "stream_options", "prompt_cache_key", "safety_identifier"]);
    out.extend(fields.rest()?);
    Ok(Outgoing {
        url: format!("{base}/v1/messages"),
        headers: vec![("anthropic-version", VERSION.into())],
        body: Value::Object(out),
    })
}

/// Messages in turns: what follows each other on one side is one turn.
fn conversation(out: &mut Map<String, Value>, messages: Vec<Message>) {
    let mut system = Vec::new();
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in messages {
        let (role, blocks) = match message {
            Message::System(text) => {
                system.push(json!({"type": "text", "text": text}));
                continue;
            }
            Message::User(parts) => ("user", parts.into_iter().map(block).collect()),
            Message::Assistant(parts, calls) => {
                let said = parts.into_iter().map(block);
                let called = calls
                    .into_iter()
                    .map(|call| json!({"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}));
                ("assistant", said.chain(called).collect())
            }
            Message::Tool(id, parts) => {
                let content: Vec<_> = parts.into_iter().map(block).collect();
                (
                    "user",
                    vec![json!({"type": "tool_result", "tool_use_id": id, "content": content})],
                )
            }
        };
        match turns.last_mut() {
            Some((before, turn)) if *before == role => turn.extend(blocks),
            _ => turns.push((role, blocks)),
        }
    }
    if !system.is_empty() {
        out.insert("system".into(), system.into());
    }
    let turns = turns.into_iter();
    let turns = turns.map(|(role, content)| json!({"role": role, "content": content}));
    out.insert("messages".into(), turns.collect());
}

fn block(part: Part) -> Value {
    match part {
        Part::Text(text) => json!({"type": "text", "text": text}),
        Part::Image(media_type, data) => {
            json!({"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}})
        }
        Part::ImageUrl(url) => json!({"type": "image", "source": {"type": "url", "url": url}}),
    }
}

fn tool(tool: Tool) -> Value {
    let mut out = Map::new();
    out.insert("name".into(), tool.name.into());
    put(&mut out, "description", tool.description);
    let schema = tool.parameters.unwrap_or_else(|| json!({"type": "object"}));
    out.insert("input_schema".into(), schema);
    put(&mut out, "strict", tool.strict.then_some(Value::Bool(true)));
    Value::Object(out)
}

fn tool_choice(choice: Option<Choice>, in_parallel: Option<&Value>) -> Option<Value> {
    let one_by_one = in_parallel == Some(&Value::Bool(false));
    let mut out = match choice {
        None if !one_by_one => return None,
        None | Some(Choice::Auto) => json!({"type": "auto"}),
        Some(Choice::None) => return Some(json!({"type": "none"})),
        Some(Choice::Required) => json!({"type": "any"}),
        Some(Choice::Function(name)) => json!({"type": "tool", "name": name}),
    };
    if one_by_one {
        out["disable_parallel_tool_use"] = true.into();
    }
    Some(out)
}
