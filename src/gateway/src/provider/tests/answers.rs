//! Whole answers.

use serde_json::{Value, json};

use super::{asking, each, provider};
use crate::{
    metrics::Operation,
    provider::{Asking, Broken, Service},
    usage::Usage,
};

/// An answer with text and a call, as a provider gives it.
fn recorded(name: &str) -> Value {
    match name {
        "anthropic" => json!({
            "id": "msg_01", "type": "message", "role": "assistant", "model": "claude-4",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "text", "text": "Let me "},
                {"type": "text", "text": "look."},
                {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Bonn"}},
            ],
            "stop_reason": "tool_use", "stop_sequence": null,
            "usage": {"input_tokens": 10, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 7, "output_tokens": 5},
        }),
        "gemini" => json!({
            "candidates": [{
                "content": {"role": "model", "parts": [
                    {"text": "hm", "thought": true},
                    {"text": "Let me look."},
                    {"functionCall": {"name": "weather", "args": {"city": "Bonn"}}, "thoughtSignature": "sig"},
                ]},
                "finishReason": "STOP", "index": 0, "safetyRatings": [],
            }],
            "usageMetadata": {
                "promptTokenCount": 20, "candidatesTokenCount": 4, "thoughtsTokenCount": 1, "totalTokenCount": 25,
                "cachedContentTokenCount": 7,
            },
            "modelVersion": "gemini-pro-002", "responseId": "r1",
        }),
        _ => json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "gpt-2026",
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": "Let me look.", "tool_calls": [
                    {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Bonn\"}"}},
                ], "refusal": null},
                "logprobs": null, "finish_reason": "tool_calls",
            }],
            "usage": {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25},
            "system_fingerprint": "fp_1", "service_tier": "default",
        }),
    }
}

#[test]
fn every_answer_has_openai_s_form() {
    each(|name, service| {
        let answer = service
            .answer(Operation::Chat, recorded(name), &asking(), 1_800_000_000)
            .unwrap();
        let usage: Usage = serde_json::from_value(answer["usage"].clone()).unwrap();
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (20, 5), "{name}");
        insta::assert_json_snapshot!(format!("answer_{name}"), answer);
    });
}

#[test]
fn what_is_no_answer_is_none() {
    each(|name, service| {
        for nonsense in [
            json!(null),
            json!([]),
            json!({}),
            json!({"choices": 5}),
            json!("hi"),
            json!({"content": 5}),
        ] {
            let answer = service.answer(Operation::Chat, nonsense.clone(), &asking(), 0);
            assert_eq!(answer, Err(Broken), "{name}: {nonsense}");
        }
    });
}

fn chat_of(name: &str, answer: Value) -> Value {
    let provider = provider(name);
    let service = Service::of(&provider).unwrap();
    service.answer(Operation::Chat, answer, &asking(), 0).unwrap()["choices"][0].clone()
}

#[test]
fn the_ends_of_answers_are_named() {
    for (reason, named) in [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("refusal", "content_filter"),
    ] {
        let answer = json!({"content": [], "stop_reason": reason, "usage": {}});
        let choice = chat_of("anthropic", answer);
        assert_eq!(
            (&choice["finish_reason"], &choice["message"]["content"]),
            (&json!(named), &json!(null))
        );
    }
    for (reason, named) in [("STOP", "stop"), ("MAX_TOKENS", "length"), ("SAFETY", "content_filter")] {
        let choice = chat_of("gemini", json!({"candidates": [{"finishReason": reason}]}));
        assert_eq!(choice["finish_reason"], named);
    }
    let blocked = chat_of("gemini", json!({"promptFeedback": {"blockReason": "SAFETY"}}));
    assert_eq!(blocked["finish_reason"], "content_filter");
}

#[test]
fn gemini_s_vectors_come_as_they_were_asked_for() {
    let provider = provider("gemini");
    let service = Service::of(&provider).unwrap();
    let vectors = json!({"embeddings": [{"values": [1.0, -2.5]}, {"values": [0.0, 0.0]}]});
    let ask = |base64| {
        let asked = Asking { base64, ..asking() };
        service
            .answer(Operation::Embeddings, vectors.clone(), &asked, 0)
            .unwrap()
    };
    insta::assert_json_snapshot!("vectors_gemini", ask(false));
    // As numpy.frombuffer(..., "<f4") reads them.
    assert_eq!(ask(true)["data"][0]["embedding"], "AACAPwAAIMA=");
}
