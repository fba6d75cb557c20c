//! Answers that come in pieces.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use axum::{
    body::Body,
    http::{Response, header},
};
use bytes::Bytes;
use futures::stream;

use super::*;

/// A worker that streams what it is told.
pub struct Streamer {
    pub worker: Worker,
    pieces: Arc<Mutex<Vec<Bytes>>>,
}

impl Streamer {
    pub async fn start() -> Self {
        let pieces = Arc::new(Mutex::new(Vec::new()));
        let told = pieces.clone();
        let worker = Worker::start(move || {
            let pieces: Vec<Bytes> = told.lock().unwrap().clone();
            let body = stream::iter(pieces.into_iter().map(Ok::<_, Infallible>));
            let response = Response::builder().header(header::CONTENT_TYPE, EVENTS);
            response.body(Body::from_stream(body)).unwrap()
        });
        Self {
            worker: worker.await,
            pieces,
        }
    }

    pub fn says(&self, pieces: impl IntoIterator<Item = impl Into<Bytes>>) {
        *self.pieces.lock().unwrap() = pieces.into_iter().map(Into::into).collect();
    }
}

pub fn chunk(index: u64, delta: Value, finish_reason: Option<&str>) -> String {
    let choice = json!({"index": index, "delta": delta, "finish_reason": finish_reason, "logprobs": null});
    event(&json!({"id": "x", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}))
}

fn event(value: &Value) -> String {
    format!("data: {value}\n\n")
}

pub const DONE: &str = "data: [DONE]\n\n";

/// The events of an answer.
pub async fn events(gateway: &TestGateway, more: Value) -> Vec<Value> {
    let mut body = chat("hello");
    body["stream"] = json!(true);
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let response = within(gateway.chat(&body.to_string())).await;
    assert_eq!(response.headers()["content-type"], EVENTS);
    let text = within(response.text()).await.unwrap();
    let events = text.strip_suffix(DONE).unwrap_or_else(|| panic!("{text}"));
    let events = events.split_terminator("\n\n");
    events
        .map(|it| serde_json::from_str(it.strip_prefix("data: ").unwrap()).unwrap())
        .collect()
}

/// All of one choice.
pub fn content(events: &[Value], index: u64) -> String {
    let pieces = events.iter().flat_map(|event| event["choices"].as_array().unwrap());
    let pieces = pieces.filter(|piece| piece["index"] == index);
    pieces.filter_map(|piece| piece["delta"]["content"].as_str()).collect()
}

#[tokio::test]
async fn a_secret_that_is_cut_anywhere_is_found() {
    let streamer = Streamer::start().await;
    let gateway = gateway(&streamer.worker, people("output", "Redact")).await;
    let text = format!("It's {IBAN}, you see.");
    for cut in (0..=text.len()).filter(|cut| text.is_char_boundary(*cut)) {
        let (before, after) = text.split_at(cut);
        streamer.says([
            chunk(0, json!({"role": "assistant", "content": ""}), None),
            chunk(0, json!({"content": before}), None),
            chunk(0, json!({"content": after}), None),
            chunk(0, json!({}), Some("stop")),
            DONE.into(),
        ]);
        let events = events(&gateway, json!({})).await;
        assert_eq!(content(&events, 0), "It's [IBAN], you see.", "cut at {cut}");
        let last = events.last().unwrap();
        assert_eq!(last["choices"][0]["finish_reason"], "stop");
        assert_eq!(last["atelier"]["guardrails"][0]["found"], json!({"IBAN": 1}));
    }
}

#[tokio::test]
async fn events_that_are_cut_anywhere_are_read() {
    let streamer = Streamer::start().await;
    let gateway = gateway(&streamer.worker, people("output", "Redact")).await;
    let text = chunk(0, json!({"content": format!("é {IBAN}")}), None) + &chunk(0, json!({}), Some("stop")) + DONE;
    for cut in 0..=text.len() {
        let (before, after) = text.as_bytes().split_at(cut);
        streamer.says([before.to_vec(), after.to_vec()]);
        let events = events(&gateway, json!({})).await;
        assert_eq!(content(&events, 0), "é [IBAN]", "cut at {cut}");
    }
}

#[tokio::test]
async fn a_refused_stream_ends_well() {
    let streamer = Streamer::start().await;
    let gateway = gateway(&streamer.worker, people("output", "Refuse")).await;
    streamer.says([
        chunk(0, json!({"role": "assistant", "content": "Sure: "}), None),
        chunk(0, json!({"content": "4111 1111 "}), None),
        chunk(0, json!({"content": "1111 1111 and"}), None),
        chunk(0, json!({"content": " more"}), None),
        chunk(0, json!({}), Some("stop")),
        DONE.into(),
    ]);
    let events = events(&gateway, json!({})).await;
    assert_eq!(content(&events, 0), "Sure: ");
    let last = events.last().unwrap();
    assert_eq!(last["choices"][0]["finish_reason"], "content_filter");
    let note = &last["atelier"]["guardrails"][0];
    assert_eq!((&note["check"], &note["action"]), (&json!("people"), &json!("refuse")));
    assert_eq!(violations(&gateway, "people", "refuse"), 1);
}

#[tokio::test]
async fn a_refused_choice_leaves_the_others_alone() {
    let streamer = Streamer::start().await;
    let gateway = gateway(&streamer.worker, people("output", "Refuse")).await;
    streamer.says([
        chunk(0, json!({"content": "a@b.de "}), None),
        chunk(1, json!({"content": "fine"}), None),
        chunk(0, json!({"content": "more"}), None),
        chunk(1, json!({"content": " too"}), None),
        chunk(0, json!({}), Some("stop")),
        chunk(1, json!({}), Some("stop")),
        DONE.into(),
    ]);
    let events = events(&gateway, json!({"n": 2})).await;
    assert_eq!(
        (content(&events, 0).as_str(), content(&events, 1).as_str()),
        ("", "fine too")
    );
    let reasons = events.iter().flat_map(|event| event["choices"].as_array().unwrap());
    let reasons: Vec<_> = reasons.filter_map(|it| it["finish_reason"].as_str()).collect();
    assert_eq!(reasons, ["content_filter", "stop"]);
}

#[tokio::test]
async fn all_that_is_beside_the_answer_is_looked_at() {
    let streamer = Streamer::start().await;
    let gateway = gateway(&streamer.worker, people("output", "Redact")).await;
    let call = |arguments: &str| json!({"tool_calls": [{"index": 1, "function": {"arguments": arguments}}]});
    streamer.says([
        chunk(0, json!({"reasoning_content": "a@b"}), None),
        chunk(0, json!({"reasoning_content": ".de", "tool_calls": [{"index": 1, "id": "1", "function": {"name": "f", "arguments": "{\"to\":\"c@"}}]}), None),
        chunk(0, call("d.de"), None),
        chunk(0, json!({}), Some("tool_calls")),
        event(&json!({"id": "x", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}})),
        DONE.into(),
    ]);
    let events = events(&gateway, json!({})).await;
    let deltas: Vec<_> = events.iter().map(|event| &event["choices"][0]["delta"]).collect();
    let reasoning: String = deltas
        .iter()
        .filter_map(|it| it["reasoning_content"].as_str())
        .collect();
    let arguments = deltas
        .iter()
        .filter_map(|it| it["tool_calls"][0]["function"]["arguments"].as_str());
    assert_eq!(
        (reasoning.as_str(), arguments.collect::<String>().as_str()),
        ("[EMAIL]", "{\"to\":\"[EMAIL]")
    );
    assert_eq!(events.last().unwrap()["usage"]["completion_tokens"], 4);
}

#[tokio::test]
async fn a_stream_that_ends_early_leaves_nothing_behind() {
    let streamer = Streamer::start().await;
    let gateway = gateway(&streamer.worker, people("output", "Redact")).await;
    streamer.says([chunk(0, json!({"content": "to a@b.de"}), None), DONE.into()]);
    let events = events(&gateway, json!({})).await;
    assert_eq!(content(&events, 0), "to [EMAIL]");
}

#[tokio::test]
async fn an_event_that_cannot_be_looked_at_ends_the_stream() {
    let streamer = Streamer::start().await;
    let gateway = gateway(&streamer.worker, people("output", "Redact")).await;
    streamer.says(["data: DE89 3704 0044 0532 0130 00\n\n", DONE]);
    let mut body = chat("hello");
    body["stream"] = json!(true);
    let response = within(gateway.chat(&body.to_string())).await;
    let text = within(response.text()).await.unwrap();
    assert!(
        text.starts_with("event: error\n") && text.contains("answer_unchecked"),
        "{text}"
    );
    assert!(!text.contains("DE89"), "{text}");
}

#[tokio::test]
async fn comments_keep_the_connection_alive() {
    let (worker, pieces) = Worker::streaming(EVENTS).await;
    let gateway = gateway(&worker, people("output", "Redact")).await;
    let mut body = chat("hello");
    body["stream"] = json!(true);
    let mut response = within(gateway.chat(&body.to_string())).await;
    for comment in [": one\n\n", ": two\n\n"] {
        pieces.send(Bytes::from_static(comment.as_bytes())).await.unwrap();
        assert_eq!(within(response.chunk()).await.unwrap().unwrap(), comment);
    }
}
