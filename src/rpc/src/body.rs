//! Requests as bodies of the OpenAI-compatible API, so that both are checked alike.

use crate::v1::{self, constraint::Form, generate_request::Prompt, tool_choice::Mode};
use serde_json::{Map, Value, json};

/// A field that should hold JSON, and does not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the field \"{field}\" must be {expected}")]
pub struct NoJson {
    /// Its path.
    pub field: String,
    /// What it should be, and why it is not.
    pub expected: String,
}

/// The body of a completion.
///
/// # Errors
/// For what has no form in HTTP.
pub fn completion(request: v1::GenerateRequest) -> Result<Map<String, Value>, NoJson> {
    let mut body = Map::new();
    body.insert("model".into(), request.model.into());
    match request.prompt {
        None => {}
        Some(Prompt::Text(text)) => drop(body.insert("prompt".into(), text.into())),
        Some(Prompt::Tokens(tokens)) => drop(body.insert("prompt".into(), tokens.ids.into())),
    }
    insert(&mut body, "max_tokens", request.max_tokens);
    insert(&mut body, "logprobs", request.logprobs);
    sampling(&mut body, request.sampling);
    constraint(&mut body, request.constraint)?;
    Ok(body)
}

/// The body of a chat.
///
/// # Errors
/// For what has no form in HTTP.
pub fn chat(request: v1::ChatRequest) -> Result<Map<String, Value>, NoJson> {
    let mut body = Map::new();
    body.insert("model".into(), request.model.into());
    let messages: Vec<Value> = request.messages.into_iter().map(message).collect();
    body.insert("messages".into(), messages.into());
    insert(&mut body, "max_tokens", request.max_tokens);
    if let Some(top) = request.logprobs {
        body.insert("logprobs".into(), true.into());
        body.insert("top_logprobs".into(), top.into());
    }
    sampling(&mut body, request.sampling);
    constraint(&mut body, request.constraint)?;
    if !request.tools.is_empty() {
        let tools = request.tools.into_iter().enumerate();
        let tools: Vec<Value> = tools.map(|(index, one)| tool(index, one)).collect::<Result<_, _>>()?;
        body.insert("tools".into(), tools.into());
    }
    if let Some(choice) = request.tool_choice {
        let choice = match choice.mode() {
            Mode::Unspecified => Value::Null,
            Mode::None => "none".into(),
            Mode::Auto => "auto".into(),
            Mode::Required => "required".into(),
            Mode::Function => json!({"type": "function", "function": {"name": choice.function}}),
        };
        body.insert("tool_choice".into(), choice);
    }
    insert(&mut body, "parallel_tool_calls", request.parallel_tool_calls);
    Ok(body)
}

/// The body of a request for embeddings.
pub fn embed(request: v1::EmbedRequest) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("model".into(), request.model.into());
    body.insert("input".into(), request.input.into());
    insert(&mut body, "dimensions", request.dimensions);
    body
}

/// The body of a request for reranking.
pub fn rerank(request: v1::RerankRequest) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("model".into(), request.model.into());
    body.insert("query".into(), request.query.into());
    body.insert("documents".into(), request.documents.into());
    insert(&mut body, "top_n", request.top_n);
    body
}

fn insert(body: &mut Map<String, Value>, field: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        body.insert(field.into(), value.into());
    }
}

/// Numbers that JSON does not have must not become "left out".
fn number(value: f32) -> Value {
    match value.is_finite() {
        true => value.into(),
        false => value.to_string().into(),
    }
}

fn sampling(body: &mut Map<String, Value>, sampling: Option<v1::Sampling>) {
    let Some(sampling) = sampling else { return };
    insert(body, "temperature", sampling.temperature.map(number));
    insert(body, "top_p", sampling.top_p.map(number));
    insert(body, "top_k", sampling.top_k);
    insert(body, "min_p", sampling.min_p.map(number));
    insert(body, "frequency_penalty", sampling.frequency_penalty.map(number));
    insert(body, "presence_penalty", sampling.presence_penalty.map(number));
    insert(body, "repetition_penalty", sampling.repetition_penalty.map(number));
    insert(body, "seed", sampling.seed);
    insert(body, "n", sampling.n);
    let biases = sampling.logit_bias.into_iter();
    let biases: Map<String, Value> = biases.map(|(token, bias)| (token.to_string(), number(bias))).collect();
    // What is left out is no field: providers of hosted models refuse those that they do not know.
    insert(body, "logit_bias", Some(biases).filter(|biases| !biases.is_empty()));
    insert(body, "stop", Some(sampling.stop).filter(|stop| !stop.is_empty()));
}

fn constraint(body: &mut Map<String, Value>, constraint: Option<v1::Constraint>) -> Result<(), NoJson> {
    let form = match constraint.and_then(|constraint| constraint.form) {
        None | Some(Form::JsonObject(false)) => return Ok(()),
        // Every engine has these two in OpenAI's form.
        Some(Form::JsonSchema(schema)) => {
            let schema = json_text("constraint.json_schema", &schema)?;
            let format = json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}});
            body.insert("response_format".into(), format);
            return Ok(());
        }
        Some(Form::JsonObject(true)) => {
            body.insert("response_format".into(), json!({"type": "json_object"}));
            return Ok(());
        }
        Some(Form::Regex(regex)) => json!({"regex": regex}),
        Some(Form::Choice(choices)) => json!({"choice": choices.choices}),
        Some(Form::Grammar(grammar)) => json!({"grammar": grammar}),
    };
    body.insert("structured_outputs".into(), form);
    Ok(())
}

fn message(message: v1::Message) -> Value {
    let mut value = json!({"role": message.role, "content": message.content});
    if !message.tool_calls.is_empty() {
        let call = |call: v1::ToolCall| {
            let function = json!({"name": call.name, "arguments": call.arguments});
            json!({"id": call.id, "type": "function", "function": function})
        };
        value["tool_calls"] = message.tool_calls.into_iter().map(call).collect();
    }
    if !message.tool_call_id.is_empty() {
        value["tool_call_id"] = message.tool_call_id.into();
    }
    value
}

fn tool(index: usize, tool: v1::Tool) -> Result<Value, NoJson> {
    let mut function = json!({"name": tool.name, "description": tool.description});
    if !tool.parameters.is_empty() {
        function["parameters"] = json_text(&format!("tools[{index}].parameters"), &tool.parameters)?;
    }
    Ok(json!({"type": "function", "function": function}))
}

fn json_text(field: &str, text: &str) -> Result<Value, NoJson> {
    serde_json::from_str(text).map_err(|error| NoJson {
        field: field.into(),
        expected: format!("JSON, but {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_its_place() {
        let request = v1::ChatRequest {
            model: "m".into(),
            messages: vec![v1::Message {
                role: "user".into(),
                content: "Hi.".into(),
                ..Default::default()
            }],
            max_tokens: Some(3),
            sampling: Some(v1::Sampling {
                temperature: Some(f32::NAN),
                logit_bias: [(7, 1.5)].into(),
                n: Some(2),
                ..Default::default()
            }),
            constraint: Some(v1::Constraint {
                form: Some(Form::Regex("a".into())),
            }),
            logprobs: Some(1),
            tools: vec![v1::Tool {
                name: "f".into(),
                parameters: "{\"type\": \"object\"}".into(),
                ..Default::default()
            }],
            tool_choice: Some(v1::ToolChoice {
                mode: Mode::Function.into(),
                function: "f".into(),
            }),
            parallel_tool_calls: Some(false),
        };
        assert_eq!(
            Value::from(chat(request).unwrap()),
            json!({
                "model": "m",
                "messages": [{"role": "user", "content": "Hi."}],
                "max_tokens": 3,
                "logprobs": true,
                "top_logprobs": 1,
                "temperature": "NaN",
                "n": 2,
                "logit_bias": {"7": 1.5},
                "structured_outputs": {"regex": "a"},
                "tools": [{"type": "function", "function": {"name": "f", "description": "", "parameters": {"type": "object"}}}],
                "tool_choice": {"type": "function", "function": {"name": "f"}},
                "parallel_tool_calls": false,
            })
        );
    }

    #[test]
    fn broken_json_is_named() {
        let request = v1::ChatRequest {
            tools: vec![v1::Tool {
                parameters: "{".into(),
                ..Default::default()
            }],
            ..Default::default()
        };
        let error = chat(request).unwrap_err().to_string();
        assert!(
            error.contains("\"tools[0].parameters\" must be JSON, but EOF"),
            "{error}"
        );
    }
}
