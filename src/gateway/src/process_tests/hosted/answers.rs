//! What is asked, and what comes back.

use axum::http::StatusCode;
use reqwest::Method;
use serde_json::{Value, json};

use super::{ANSWER, EVENTS, KEY, STREAM, asking, gateway, metrics, within};
use crate::testing::{Worker, model};

#[tokio::test]
async fn an_answer_comes_under_the_name_that_was_asked() {
    let provider = Worker::answering(StatusCode::OK, "application/json", ANSWER).await;
    let gateway = asking(&provider).await;
    let request = gateway
        .request(Method::POST, "/v1/chat/completions")
        .header("cookie", "session=1")
        .header("openai-organization", "theirs")
        .body(r#"{"model":"ns/m","messages":[],"unknown":{"a":[null]}}"#);
    let response = within(request.send()).await.unwrap();
    assert_eq!(response.status(), 200);
    let answer: Value = response.json().await.unwrap();
    assert_eq!(
        (&answer["model"], &answer["system_fingerprint"]),
        (&json!("ns/m"), &json!("fp"))
    );
    let [received] = &provider.received()[..] else {
        panic!("one request")
    };
    assert_eq!(received.path, "/v1/chat/completions");
    let body: Value = serde_json::from_str(&received.body).unwrap();
    assert_eq!(
        body,
        json!({"model": "theirs", "messages": [], "unknown": {"a": [null]}})
    );
    assert_eq!(received.headers["authorization"], format!("Bearer {KEY}"));
    for header in ["cookie", "openai-organization", "x-atelier-user"] {
        assert!(!received.headers.contains_key(header), "{header}");
    }
    let metrics = metrics(&gateway);
    let cost = r#"atelier_cost_total{currency="EUR",model="m",namespace="ns",tenant=""#;
    let cost = metrics.lines().find(|line| line.starts_with(cost));
    assert!(cost.is_some_and(|cost| cost.contains("\"} 0.000027")), "{metrics}");
    assert!(metrics.contains(r#"gen_ai_token_type="input"} 7"#), "{metrics}");
    gateway.metrics.forget(&model("ns", "m"));
    assert!(!super::metrics(&gateway).contains("atelier_cost_total{"));
}

const CHUNKS: &str = concat!(
    "data: {\"model\":\"theirs\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":null}],\"usage\":null}\n\n",
    "data: {\"model\":\"theirs\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n",
    "data: {\"model\":\"theirs\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}\n\n",
    "data: [DONE]\n\n",
);

#[tokio::test]
async fn a_stream_is_counted_and_tells_of_tokens_only_when_asked() {
    let provider = Worker::answering(StatusCode::OK, EVENTS, CHUNKS).await;
    let gateway = asking(&provider).await;
    let response = within(gateway.chat(STREAM)).await;
    assert_eq!(response.headers()["content-type"], EVENTS);
    let text = within(response.text()).await.unwrap();
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert!(
        !text.contains("usage") && !text.contains("theirs") && text.contains("\"hi\""),
        "{text}"
    );
    let asks = r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#;
    let text = within(gateway.chat(asks).await.text()).await.unwrap();
    assert!(text.contains("\"completion_tokens\":2"), "{text}");
    for received in provider.received() {
        assert!(
            received.body.contains(r#""stream_options":{"include_usage":true}"#),
            "{}",
            received.body
        );
    }
    let metrics = metrics(&gateway);
    let cost = metrics.lines().find(|line| line.starts_with("atelier_cost_total{"));
    assert!(cost.is_some_and(|cost| cost.contains("\"} 0.000054")), "{metrics}");
}

#[tokio::test]
async fn tokens_pass_as_they_come() {
    let (provider, pieces) = Worker::streaming(EVENTS).await;
    let gateway = asking(&provider).await;
    let mut response = within(gateway.chat(STREAM)).await;
    let finish = [
        r#"{"content":"a"},"finish_reason":null"#,
        r#"{},"finish_reason":"stop""#,
    ];
    for choice in finish {
        let event = format!("data: {{\"choices\":[{{\"delta\":{choice}}}]}}\n\n");
        pieces.send(event.into()).await.unwrap();
        // The next one is not even made before this one has arrived.
        let chunk = within(response.chunk()).await.unwrap().unwrap();
        assert!(std::str::from_utf8(&chunk).unwrap().contains(choice), "{chunk:?}");
    }
    drop(pieces);
    assert_eq!(within(response.text()).await.unwrap(), "data: [DONE]\n\n");
}

#[tokio::test]
async fn anthropic_streams_as_openai_does() {
    let events = [
        r#"{"type":"message_start","message":{"id":"msg_1","usage":{"input_tokens":7,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    let events: String = events
        .iter()
        .map(|data| format!("event: x\ndata: {data}\n\n"))
        .collect();
    let provider = Worker::answering(StatusCode::OK, EVENTS, events.leak()).await;
    let spec = json!({"anthropic": {"model": "claude", "credentialsSecretRef": {"name": "keys", "key": "api"}}});
    let gateway = gateway(spec, |timing| timing.provider = Some(provider.address)).await;
    let text = within(gateway.chat(STREAM).await.text()).await.unwrap();
    assert!(
        text.contains(r#""content":"hi""#) && text.ends_with("data: [DONE]\n\n"),
        "{text}"
    );
    let [received] = &provider.received()[..] else {
        panic!("one request")
    };
    assert_eq!(
        (received.path.as_str(), &received.headers["x-api-key"].to_str().unwrap()),
        ("/v1/messages", &KEY)
    );
    assert!(!received.headers.contains_key("authorization"));
}
