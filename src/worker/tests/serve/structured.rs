//! Answers of a given form, by a model that would rather not.

use anyhow::{Context as _, Result, ensure};
use regex::Regex;
use serde_json::{Value, json};

use crate::support::{Worker, refused, sse};

const CHAT: &str = "/v1/chat/completions";

fn ask(more: Value) -> Value {
    let mut body = json!({
        "model": "m",
        "messages": [{"role": "user", "content": "Invent a person who lives by the sea."}],
        "temperature": 1,
        "max_tokens": 200,
    });
    body.as_object_mut()
        .expect("an object")
        .extend(more.as_object().cloned().unwrap_or_default());
    body
}

fn format() -> Value {
    let schema = json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 8},
            "age": {"type": "integer", "minimum": 0, "maximum": 120},
            "likes": {"type": "array", "items": {"$ref": "#/$defs/like"}, "minItems": 1, "maxItems": 2},
            "home": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/home"}]},
        },
        "required": ["name", "age", "likes", "home"],
        "additionalProperties": false,
        "$defs": {
            "like": {"enum": ["boats", "fish", "sand"]},
            "home": {
                "type": "object",
                "properties": {"street": {"type": "string", "pattern": "^[A-Z][a-z]{1,9}$"}},
                "required": ["street"],
                "additionalProperties": false,
            },
        },
    });
    json!({"type": "json_schema", "json_schema": {"name": "person", "strict": true, "schema": schema}})
}

/// Checks a text against the schema of [`format`].
fn check(text: &str) -> Result<()> {
    let value: Value = serde_json::from_str(text).with_context(|| format!("{text:?} is no JSON"))?;
    let fields = value.as_object().context("no object")?;
    let keys: Vec<&str> = fields.keys().map(String::as_str).collect();
    ensure!(keys == ["name", "age", "likes", "home"], "{text}");
    let length = value["name"].as_str().context("no name")?.chars().count();
    ensure!((1..=8).contains(&length), "{text}");
    ensure!(value["age"].as_u64().is_some_and(|age| age <= 120), "{text}");
    let likes = value["likes"].as_array().context("no likes")?;
    ensure!((1..=2).contains(&likes.len()), "{text}");
    ensure!(
        likes
            .iter()
            .all(|like| ["boats", "fish", "sand"].map(Value::from).contains(like)),
        "{text}"
    );
    if let Some(home) = value["home"].as_object() {
        let street = home["street"].as_str().context("no street")?;
        ensure!(
            home.len() == 1 && Regex::new("^[A-Z][a-z]{1,9}$")?.is_match(street),
            "{text}"
        );
    } else {
        ensure!(value["home"].is_null(), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn every_answer_keeps_its_form() -> Result<()> {
    let worker = Worker::start(&[]).await?;
    // Several seeds; answers with one seed differ among themselves.
    let mut texts = Vec::new();
    for seed in [1, 2, 5] {
        let body = ask(json!({"response_format": format(), "seed": seed, "n": 2}));
        let answer = worker.post(CHAT, &body).await?;
        for choice in answer["choices"].as_array().context("no choices")? {
            ensure!(choice["finish_reason"] == "stop", "{answer}");
            let text = choice["message"]["content"].as_str().context("no content")?;
            check(text)?;
            texts.push(text.to_owned());
        }
    }
    ensure!(texts.len() == 6 && texts[0] != texts[1], "{texts:?}");

    let body = ask(json!({"response_format": format(), "seed": 9, "stream": true, "logprobs": true}));
    let events = sse(worker.send(CHAT, &body.to_string()).await?).await?;
    let events: Vec<Value> = events
        .iter()
        .filter_map(|event| serde_json::from_str(event).ok())
        .collect();
    let deltas = events
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["content"].as_str());
    check(&deltas.collect::<String>())?;

    let object = ask(json!({"response_format": {"type": "json_object"}, "stop": "}", "max_tokens": 30}));
    let answer = worker.post(CHAT, &object).await?;
    let text = answer["choices"][0]["message"]["content"]
        .as_str()
        .context("no content")?;
    ensure!(text.starts_with('{') && !text.contains('}'), "{text:?}");

    for (form, expected) in [
        (json!({"guided_regex": r"\d{2}-[a-f]{3}"}), r"^\d{2}-[a-f]{3}$"),
        (
            json!({"structured_outputs": {"choice": ["red", "green"]}}),
            "^(red|green)$",
        ),
        (
            json!({"guided_grammar": "start: \"<\" /[a-z]{1,4}/ \">\""}),
            "^<[a-z]{1,4}>$",
        ),
    ] {
        let mut body = json!({"model": "m", "prompt": "Once upon a time", "max_tokens": 30, "n": 3});
        body.as_object_mut()
            .context("an object")?
            .extend(form.as_object().cloned().unwrap_or_default());
        let answer = worker.post("/v1/completions", &body).await?;
        for choice in answer["choices"].as_array().context("no choices")? {
            let text = choice["text"].as_str().context("no text")?;
            ensure!(Regex::new(expected)?.is_match(text), "{form}: {text:?}");
            ensure!(choice["finish_reason"] == "stop", "{answer}");
        }
    }

    // One that goes wrong says where and why, and others go on.
    let with = |schema: Value| {
        ask(json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}}))
    };
    let any = json!({"anyOf": vec![json!({"type": "object"}); 20]});
    for (body, param, text) in [
        (
            with(json!({"type": "strnig"})),
            "response_format.json_schema.schema",
            "strnig",
        ),
        (
            with(json!({"allOf": vec![any; 20]})),
            "response_format.json_schema.schema",
            "combinations",
        ),
        (ask(json!({"guided_regex": "("})), "guided_regex", "cannot be compiled"),
    ] {
        let error = refused(worker.send(CHAT, &body.to_string()).await?, 400).await?;
        ensure!(error["code"] == "invalid_grammar" && error["param"] == param, "{error}");
        ensure!(
            error["message"].as_str().is_some_and(|message| message.contains(text)),
            "{error}"
        );
    }
    worker.post(CHAT, &ask(json!({"max_tokens": 1}))).await?;
    Ok(())
}
