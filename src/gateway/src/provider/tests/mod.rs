//! The golden matrix: one chat with everything, for every provider, both ways.

mod answers;
mod failures;
mod requests;
mod streams;

use api::llmmodel::Provider;
use serde_json::{Map, Value, json};

use super::{Asking, Origins, Service};

/// All providers.
const ALL: [&str; 5] = ["openAI", "azureOpenAI", "anthropic", "gemini", "openAICompatible"];

/// A model of a provider.
fn provider(name: &str) -> Provider {
    let key = json!({"name": "keys", "key": "api"});
    let fields = match name {
        "openAI" => json!({"model": "gpt", "organization": "org-1", "credentialsSecretRef": key}),
        "azureOpenAI" => json!({
            "endpoint": "https://ours.openai.azure.com/", "deployment": "chat 1", "apiVersion": "2024-10-21",
            "credentialsSecretRef": key,
        }),
        "anthropic" => json!({"model": "claude", "credentialsSecretRef": key}),
        "gemini" => json!({"model": "gemini-pro", "credentialsSecretRef": key}),
        "openAICompatible" => json!({"url": "http://models.ns.svc:8000/v1/", "model": "large"}),
        other => panic!("{other}"),
    };
    serde_json::from_value(json!({name: fields})).unwrap()
}

fn asking() -> Asking {
    Asking {
        model: "team/assistant".into(),
        include_usage: true,
        base64: false,
    }
}

/// A chat with everything that a chat can have.
fn chat() -> Map<String, Value> {
    let parameters = json!({
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false,
    });
    let schema = json!({
        "type": "object", "properties": {"degrees": {"type": "number"}}, "required": ["degrees"],
        "additionalProperties": false,
    });
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Bonn\"}"}});
    let other = json!({"id": "call_2", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Köln\"}"}});
    let image =
        json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}});
    let body = json!({
        "model": "team/assistant",
        "messages": [
            {"role": "system", "content": "You are brief."},
            {"role": "developer", "content": [{"type": "text", "text": "Use degrees Celsius."}]},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hi."},
            {"role": "user", "content": [{"type": "text", "text": "How warm is it where this was taken?"}, image]},
            {"role": "assistant", "content": null, "tool_calls": [call, other]},
            {"role": "tool", "tool_call_id": "call_1", "content": "{\"degrees\":21}"},
            {"role": "tool", "tool_call_id": "call_2", "content": "22 degrees"},
            {"role": "user", "content": "And tomorrow?"},
        ],
        "tools": [{"type": "function", "function": {
            "name": "weather", "description": "The weather in a city", "parameters": parameters, "strict": true,
        }}],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "parallel_tool_calls": false,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": "END",
        "max_tokens": 100,
        "seed": 7,
        "n": 1,
        "presence_penalty": 0,
        "frequency_penalty": 0.0,
        "logprobs": false,
        "user": "u-1",
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "strict": true, "schema": schema}},
        "stream": true,
        "of_a_newer_release": {"kept": [1, null]},
    });
    match body {
        Value::Object(body) => body,
        _ => unreachable!("it is an object"),
    }
}

/// Runs `check` with every provider.
fn each(check: impl Fn(&str, Service<'_>)) {
    for name in ALL {
        let provider = provider(name);
        check(name, Service::of(&provider).unwrap());
    }
}

fn origins() -> Origins {
    Origins::default()
}
