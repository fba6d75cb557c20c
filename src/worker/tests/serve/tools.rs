//! Tools, with a model whose chat template does not know them.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::support::{Worker, refused, sse};

const CHAT: &str = "/v1/chat/completions";

fn tools() -> Value {
    json!([
        {"type": "function", "function": {
            "name": "get_weather",
            "description": "Current weather in a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "maxLength": 20}, "unit": {"enum": ["C", "F"]}},
                "required": ["city", "unit"],
                "additionalProperties": false,
            },
        }},
        {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "additionalProperties": false}}},
    ])
}

fn ask(more: Value) -> Value {
    let mut body = json!({
        "model": "m",
        "messages": [{"role": "user", "content": "How is the weather in Oslo?"}],
        "tools": tools(),
        "max_tokens": 200,
    });
    body.as_object_mut()
        .expect("an object")
        .extend(more.as_object().cloned().unwrap_or_default());
    body
}

fn check(name: &Value, arguments: &Value) -> Result<()> {
    let arguments: Value = serde_json::from_str(arguments.as_str().context("no text")?)?;
    match name.as_str() {
        Some("get_weather") => {
            ensure!(arguments["city"].is_string(), "{arguments}");
            ensure!(arguments["unit"] == "C" || arguments["unit"] == "F", "{arguments}");
            ensure!(
                arguments.as_object().map(|fields| fields.len()) == Some(2),
                "{arguments}"
            );
        }
        Some("get_time") => ensure!(arguments == json!({}), "{arguments}"),
        other => anyhow::bail!("{other:?} is no tool"),
    }
    Ok(())
}

#[tokio::test]
async fn calls_that_must_be_made_are_made() -> Result<()> {
    let worker = Worker::start(&["--context-length", "1024"]).await?;
    for seed in 1..4 {
        let more = json!({"tool_choice": "required", "parallel_tool_calls": false, "seed": seed});
        let answer = worker.post(CHAT, &ask(more)).await?;
        let choice = &answer["choices"][0];
        ensure!(choice["finish_reason"] == "tool_calls", "{answer}");
        ensure!(choice["message"]["content"].is_null(), "{answer}");
        let calls = choice["message"]["tool_calls"].as_array().context("no calls")?;
        for call in calls {
            ensure!(call["type"] == "function" && call["id"].is_string(), "{answer}");
            check(&call["function"]["name"], &call["function"]["arguments"])?;
        }
    }

    let named = json!({
        "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
        "parallel_tool_calls": false,
        "stream": true,
        "temperature": 0,
    });
    let events = sse(worker.send(CHAT, &ask(named).to_string()).await?).await?;
    let events: Vec<Value> = events
        .iter()
        .filter_map(|event| serde_json::from_str(event).ok())
        .collect();
    let deltas: Vec<&Value> = events
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["tool_calls"].get(0))
        .collect();
    ensure!(deltas.iter().all(|delta| delta["index"] == 0), "{deltas:?}");
    ensure!(
        deltas[0]["id"].is_string() && deltas[0]["function"]["name"] == "get_weather",
        "{deltas:?}"
    );
    let pieces = deltas
        .iter()
        .filter_map(|delta| delta["function"]["arguments"].as_str());
    let arguments: String = pieces.collect();
    check(&"get_weather".into(), &arguments.clone().into())?;
    let last = events.last().context("no events")?;
    ensure!(last["choices"][0]["finish_reason"] == "tool_calls", "{last}");

    // The call and its result go back.
    let call = json!({"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": arguments}});
    let more = json!({"messages": [
        {"role": "user", "content": "How is the weather in Oslo?"},
        {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "Snow, -3 C"},
    ], "temperature": 0, "max_tokens": 30, "tool_choice": "none"});
    let answer = worker.post(CHAT, &ask(more)).await?;
    let message = &answer["choices"][0]["message"];
    ensure!(message["tool_calls"].is_null(), "{answer}");
    ensure!(
        message["content"].as_str().is_some_and(|text| text.contains("-3")),
        "{answer}"
    );

    // With a choice of its own the model answers or calls; either way the answer is well-formed.
    let mut strict = ask(json!({"temperature": 0, "max_tokens": 40}));
    strict["tools"][0]["function"]["strict"] = true.into();
    let answer = worker.post(CHAT, &strict).await?;
    let message = &answer["choices"][0]["message"];
    ensure!(
        message["content"].is_string() || message["tool_calls"].is_array(),
        "{answer}"
    );

    let both = ask(json!({"response_format": {"type": "json_object"}}));
    let error = refused(worker.send(CHAT, &both.to_string()).await?, 400).await?;
    ensure!(error["param"] == "response_format", "{error}");
    let mut wrong = ask(json!({"tool_choice": "required"}));
    wrong["tools"][0]["function"]["parameters"] = json!({"type": "strnig"});
    let error = refused(worker.send(CHAT, &wrong.to_string()).await?, 400).await?;
    ensure!(
        error["code"] == "invalid_grammar" && error["param"] == "tools",
        "{error}"
    );
    Ok(())
}

#[tokio::test]
async fn templates_that_know_tools_write_them_and_unknown_styles_are_refused() -> Result<()> {
    let dir = crate::support::temporary_dir()?;
    let path = dir.path().join("template.jinja");
    let file = path.to_str().context("a path")?;
    // In the style of Llama 3.
    std::fs::write(
        &path,
        "{% if tools is not none %}{{ tools | tojson }} as {\"name\": …, \"parameters\": …}<|python_tag|>\n{% endif %}\
         {% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n",
    )?;
    let worker = Worker::start(&["--chat-template", file, "--context-length", "1024"]).await?;
    let answer = worker.post(CHAT, &ask(json!({"tool_choice": "required"}))).await?;
    let calls = answer["choices"][0]["message"]["tool_calls"]
        .as_array()
        .context("no calls")?;
    ensure!(calls.len() == 1, "{answer}");
    check(&calls[0]["function"]["name"], &calls[0]["function"]["arguments"])?;
    let without = worker.post(CHAT, &ask(json!({"tools": null, "max_tokens": 1}))).await?;
    let tokens = |answer: &Value| answer["usage"]["prompt_tokens"].as_u64().unwrap_or_default();
    ensure!(tokens(&answer) > tokens(&without) + 50, "{answer} and {without}");
    drop(worker);

    std::fs::write(&path, "{% for t in tools %}<|tool▁calls▁begin|>{% endfor %}x")?;
    let worker = Worker::start(&["--chat-template", file]).await?;
    let error = refused(worker.send(CHAT, &ask(json!({})).to_string()).await?, 400).await?;
    ensure!(
        error["code"] == "unsupported_field" && error["param"] == "tools",
        "{error}"
    );
    Ok(())
}
