//! Streams, cut at every byte.

use serde_json::{Value, json};

use super::{asking, each, provider};
use crate::provider::{Asking, Broken, Service, Stream};

/// The stream of an answer with text and two calls, as a provider sends it.
fn recorded(name: &str) -> String {
    let typed = |events: &[Value]| -> String {
        let events = events.iter();
        events
            .map(|data| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap()))
            .collect()
    };
    let plain = |events: &[Value], line: &str| -> String {
        events.iter().map(|data| format!("data: {data}{line}{line}")).collect()
    };
    match name {
        "anthropic" => typed(&[
            json!({"type": "message_start", "message": {
                "id": "msg_01", "type": "message", "role": "assistant", "model": "claude-4", "content": [],
                "usage": {"input_tokens": 10, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 10, "output_tokens": 1},
            }}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}}),
            json!({"type": "ping"}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Köl"}}),
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "n 🌤"}}),
            json!({"type": "content_block_stop", "index": 1}),
            json!({"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}}),
            json!({"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": ""}}),
            json!({"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{\"city\":"}}),
            json!({"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "\"Bonn\"}"}}),
            json!({"type": "content_block_stop", "index": 2}),
            json!({"type": "content_block_start", "index": 3, "content_block": {"type": "tool_use", "id": "toolu_2", "name": "time", "input": {}}}),
            json!({"type": "content_block_stop", "index": 3}),
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": {"output_tokens": 5}}),
            json!({"type": "message_stop"}),
        ]),
        "gemini" => plain(
            &[
                json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "hm", "thought": true}, {"text": "Köl"}]}, "index": 0}],
                    "usageMetadata": {"promptTokenCount": 20, "totalTokenCount": 20}, "responseId": "r1"}),
                json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "n 🌤"}]}, "index": 0}],
                    "usageMetadata": {"promptTokenCount": 20, "candidatesTokenCount": 2}, "responseId": "r1"}),
                json!({"candidates": [{"content": {"role": "model", "parts": [
                        {"functionCall": {"name": "weather", "args": {"city": "Bonn"}}, "thoughtSignature": "sig"},
                        {"functionCall": {"id": "own", "name": "time", "args": {}}},
                    ]}, "finishReason": "STOP", "index": 0}],
                    "usageMetadata": {"promptTokenCount": 20, "candidatesTokenCount": 4, "thoughtsTokenCount": 1}, "responseId": "r1"}),
            ],
            "\r\n",
        ),
        _ => {
            let chunk = |choices: Value| {
                json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "gpt-2026",
                    "choices": choices, "usage": null})
            };
            let delta = |delta: Value| chunk(json!([{"index": 0, "delta": delta, "finish_reason": null}]));
            let mut last = chunk(json!([]));
            last["usage"] = json!({"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25});
            let call = |call: Value| json!({"tool_calls": [call]});
            let events = [
                // Azure begins with what it thinks of the prompt.
                chunk(json!([])),
                delta(json!({"role": "assistant", "content": ""})),
                delta(json!({"content": "Köl"})),
                delta(json!({"content": "n 🌤"})),
                delta(call(
                    json!({"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}),
                )),
                delta(call(
                    json!({"index": 0, "function": {"arguments": "{\"city\":\"Bonn\"}"}}),
                )),
                delta(call(
                    json!({"index": 1, "id": "call_2", "type": "function", "function": {"name": "time", "arguments": "{}"}}),
                )),
                chunk(json!([{"index": 0, "delta": {}, "finish_reason": "tool_calls"}])),
                last,
            ];
            plain(&events, "\n") + "data: [DONE]\n\n"
        }
    }
}

/// What a stream in `pieces` becomes, and the tokens that it took.
fn translate<'a>(
    service: Service<'_>,
    asked: &Asking,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(String, Option<(u64, u64)>), Broken> {
    let mut stream = Stream::new(service.translate(1_800_000_000), asked.clone());
    let mut told = String::new();
    for piece in pieces {
        told += &stream.push(piece)?;
    }
    told += &stream.finish()?;
    let usage = stream.usage();
    Ok((told, usage.map(|usage| (usage.prompt_tokens, usage.completion_tokens))))
}

/// The chunks of a stream in OpenAI's form.
fn chunks(told: &str) -> Vec<Value> {
    let events = told.strip_suffix("data: [DONE]\n\n").unwrap().split_terminator("\n\n");
    events
        .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
        .collect()
}

#[test]
fn every_stream_has_openai_s_form_wherever_it_is_cut() {
    each(|name, service| {
        let stream = recorded(name);
        let bytes = stream.as_bytes();
        let (whole, usage) = translate(service, &asking(), [bytes]).unwrap();
        assert_eq!(usage, Some((20, 5)), "{name}");
        for cut in 1..bytes.len() {
            let (before, after) = bytes.split_at(cut);
            let (told, _) = translate(service, &asking(), [before, after]).unwrap();
            assert_eq!(told, whole, "{name}, cut at {cut}");
        }
        let (told, _) = translate(service, &asking(), bytes.chunks(1)).unwrap();
        assert_eq!(told, whole, "{name}, byte by byte");
        insta::assert_json_snapshot!(format!("stream_{name}"), chunks(&whole));
    });
}

#[test]
fn every_stream_says_the_same() {
    each(|name, service| {
        let (told, _) = translate(service, &asking(), [recorded(name).as_bytes()]).unwrap();
        let (mut text, mut calls, mut end) = (String::new(), Vec::<(String, String)>::new(), Value::Null);
        for chunk in chunks(&told) {
            assert_eq!(chunk["model"], "team/assistant", "{name}");
            let Some(choice) = chunk["choices"].get(0) else {
                continue;
            };
            text += choice["delta"]["content"].as_str().unwrap_or_default();
            for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
                let index = call["index"].as_u64().unwrap() as usize;
                calls.resize_with(calls.len().max(index + 1), Default::default);
                let function = &call["function"];
                calls[index].0 += function["name"].as_str().unwrap_or_default();
                calls[index].1 += function["arguments"].as_str().unwrap_or_default();
            }
            if !choice["finish_reason"].is_null() {
                end = choice["finish_reason"].clone();
            }
        }
        assert_eq!((text.as_str(), &end), ("Köln 🌤", &json!("tool_calls")), "{name}");
        let names: Vec<_> = calls.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["weather", "time"], "{name}");
        let arguments = |i: usize| serde_json::from_str::<Value>(&calls[i].1).unwrap();
        assert_eq!(
            (arguments(0), arguments(1)),
            (json!({"city": "Bonn"}), json!({})),
            "{name}"
        );
    });
}

#[test]
fn what_a_stream_took_is_hidden_from_those_who_did_not_ask() {
    let asked = Asking {
        include_usage: false,
        ..asking()
    };
    each(|name, service| {
        let (told, usage) = translate(service, &asked, [recorded(name).as_bytes()]).unwrap();
        assert_eq!(usage, Some((20, 5)), "{name}");
        assert!(!told.contains("usage") && told.contains("tool_calls"), "{name}: {told}");
    });
}

#[test]
fn a_stream_that_stops_in_the_middle_is_broken() {
    each(|name, service| {
        let stream = recorded(name);
        let half = &stream.as_bytes()[..stream.len() / 2];
        assert_eq!(translate(service, &asking(), [half]), Err(Broken), "{name}");
        assert_eq!(translate(service, &asking(), []), Err(Broken), "{name}");
        for garbage in ["data: {\"x\n\n", "data: 5\n\n", "<html>\n\ndata: <\n\n"] {
            assert_eq!(
                translate(service, &asking(), [garbage.as_bytes()]),
                Err(Broken),
                "{name}: {garbage}"
            );
        }
    });
}

#[test]
fn a_stream_that_tells_of_a_failure_is_broken() {
    for (name, event) in [
        ("openAI", r#"{"error":{"message":"overloaded"}}"#),
        (
            "anthropic",
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
        ),
        ("gemini", r#"{"error":{"code":503,"status":"UNAVAILABLE"}}"#),
    ] {
        let provider = provider(name);
        let service = Service::of(&provider).unwrap();
        let stream = format!("data: {event}\n\n");
        assert_eq!(
            translate(service, &asking(), [stream.as_bytes()]),
            Err(Broken),
            "{name}"
        );
    }
}
