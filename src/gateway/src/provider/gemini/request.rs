//! Requests for Gemini.

use std::collections::HashMap;

use api::llmmodel::ProviderModel;
use serde_json::{Map, Value, json};

use super::url;
use crate::provider::{
    Outgoing, Refusal,
    chat::{self, Choice, Format, Tool, put},
    fields::Fields,
    messages::{self, Message, Part},
};

/// A chat.
///
/// # Errors
/// When it asks for what Gemini does not have, or cannot be read.
pub fn request(model: &ProviderModel, base: &str, body: Map<String, Value>) -> Result<Outgoing, Refusal> {
    let mut fields = Fields::new(body);
    let mut out = Map::new();
    conversation(&mut out, messages::read(fields.take("messages"))?)?;
    let tools = chat::tools(&mut fields)?;
    if !tools.is_empty() {
        let declarations: Vec<_> = tools.into_iter().map(declaration).collect();
        out.insert("tools".into(), json!([{"functionDeclarations": declarations}]));
    }
    let calling = chat::choice(&mut fields)?.map(|choice| match choice {
        Choice::Auto => json!({"mode": "AUTO"}),
        Choice::None => json!({"mode": "NONE"}),
        Choice::Required => json!({"mode": "ANY"}),
        Choice::Function(name) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
    });
    let calling = calling.map(|calling| json!({"functionCallingConfig": calling}));
    put(&mut out, "toolConfig", calling);
    let settings = settings(&mut fields)?;
    let streams = fields.take("stream") == Some(Value::Bool(true));
    let (off, zero) = ([false.into()], [0.into()]);
    fields.refuse(&[
        ("parallel_tool_calls", &[true.into()]),
        ("logprobs", &off),
        ("top_logprobs", &zero),
        ("logit_bias", &[json!({})]),
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
    fields.ignore(&[
        "model",
        "stream_options",
        "user",
        "prompt_cache_key",
        "safety_identifier",
    ]);
    let rest = fields.rest()?;
    if !settings.is_empty() {
        out.insert("generationConfig".into(), settings.into());
    }
    out.extend(rest);
    let method = match streams {
        true => "streamGenerateContent?alt=sse",
        false => "generateContent",
    };
    Ok(Outgoing {
        url: url(model, base, method),
        headers: Vec::new(),
        body: Value::Object(out),
    })
}

fn settings(fields: &mut Fields) -> Result<Map<String, Value>, Refusal> {
    let mut settings = Map::new();
    for (name, theirs) in [
        ("temperature", "temperature"),
        ("top_p", "topP"),
        ("seed", "seed"),
        ("n", "candidateCount"),
        ("presence_penalty", "presencePenalty"),
        ("frequency_penalty", "frequencyPenalty"),
    ] {
        put(&mut settings, theirs, fields.take(name));
    }
    put(&mut settings, "maxOutputTokens", chat::longest(fields));
    put(&mut settings, "stopSequences", chat::stop(fields));
    if let Some(format) = chat::format(fields)? {
        settings.insert("responseMimeType".into(), "application/json".into());
        if let Format::Schema(schema) = format {
            settings.insert("responseJsonSchema".into(), schema);
        }
    }
    Ok(settings)
}

/// Messages in turns: what follows each other on one side is one turn.
fn conversation(out: &mut Map<String, Value>, messages: Vec<Message>) -> Result<(), Refusal> {
    let mut system = Vec::new();
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    // Results name the function, where OpenAI names the call.
    let mut called = HashMap::new();
    for (i, message) in messages.into_iter().enumerate() {
        let at = format!("messages[{i}].content");
        let parts = |parts: Vec<Part>| parts.into_iter().map(|it| part(&at, it)).collect::<Result<Vec<_>, _>>();
        let (role, parts) = match message {
            Message::System(text) => {
                system.push(json!({"text": text}));
                continue;
            }
            Message::User(said) => ("user", parts(said)?),
            Message::Assistant(said, calls) => {
                let mut parts = parts(said)?;
                for call in calls {
                    let mut part = json!({"functionCall": {"name": call.name, "args": call.arguments}});
                    let signature = call.extra.map(|mut it| it["google"]["thought_signature"].take());
                    if let Some(signature @ Value::String(_)) = signature {
                        part["thoughtSignature"] = signature;
                    }
                    parts.push(part);
                    called.insert(call.id, call.name);
                }
                ("model", parts)
            }
            Message::Tool(id, said) => {
                let name = called.get(&id).ok_or_else(|| {
                    let field = format!("messages[{i}].tool_call_id");
                    Refusal::invalid(field, "the id of a call in an earlier message")
                })?;
                let response = json!({"name": name, "response": result(&at, said)?});
                ("user", vec![json!({"functionResponse": response})])
            }
        };
        match turns.last_mut() {
            Some((before, turn)) if *before == role => turn.extend(parts),
            _ => turns.push((role, parts)),
        }
    }
    if !system.is_empty() {
        out.insert("systemInstruction".into(), json!({"parts": system}));
    }
    let turns = turns.into_iter();
    let turns = turns.map(|(role, parts)| json!({"role": role, "parts": parts}));
    out.insert("contents".into(), turns.collect());
    Ok(())
}

/// What a tool gave. Gemini takes objects only.
fn result(at: &str, parts: Vec<Part>) -> Result<Value, Refusal> {
    let texts = parts.into_iter().map(|part| match part {
        Part::Text(text) => Ok(text),
        Part::Image(..) | Part::ImageUrl(_) => Err(Refusal::invalid(at, "text for this provider")),
    });
    let text = texts.collect::<Result<Vec<_>, _>>()?.concat();
    Ok(match serde_json::from_str(&text) {
        Ok(object @ Value::Object(_)) => object,
        _ => json!({"result": text}),
    })
}

fn part(at: &str, part: Part) -> Result<Value, Refusal> {
    match part {
        Part::Text(text) => Ok(json!({"text": text})),
        Part::Image(media_type, data) => Ok(json!({"inlineData": {"mimeType": media_type, "data": data}})),
        Part::ImageUrl(_) => Err(Refusal::invalid(
            format!("{at}[].image_url.url"),
            "data:<media type>;base64,<data> for this provider",
        )),
    }
}

fn declaration(tool: Tool) -> Value {
    let mut out = Map::new();
    out.insert("name".into(), tool.name.into());
    put(&mut out, "description", tool.description);
    put(&mut out, "parametersJsonSchema", tool.parameters);
    Value::Object(out)
}
