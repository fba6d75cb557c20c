//! What is told of tries, and to whom.

use std::time::Duration;

use axum::http::StatusCode;
use reqwest::Method;
use serde_json::json;

use super::{TRACEPARENT, Traced, child, request};
use crate::{
    catalog::{Model, Readiness},
    process_tests::{CHAT, within},
    testing::{VERSION, Worker, model},
};

#[tokio::test]
async fn each_try_is_a_span() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = gone.local_addr().unwrap();
    drop(gone);
    let worker = Worker::answering(StatusCode::OK, "application/json", "{}").await;
    let traced = Traced::start(&[], |_| {}).await;
    // The only one at first, so that it is tried first.
    traced.gateway.set_workers("m", VERSION, &[nobody]);
    let (response, ()) = within(async {
        tokio::join!(traced.chat(CHAT), async {
            let attempts = &traced.gateway.metrics.attempts;
            while attempts.with_label_values(&["connect"]).get() == 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            traced.gateway.set_workers("m", VERSION, &[worker.address]);
        })
    })
    .await;
    assert_eq!(response.status(), 200);
    drop(response.bytes().await);
    let spans = traced.spans().await;
    let request = request(&spans);
    assert!(!request.is_error);
    let tries: Vec<_> = spans
        .iter()
        .filter(|span| span.parent == request.id && span.name == "chat ns/m")
        .collect();
    let (last, failed) = tries.split_last().unwrap();
    assert!(
        failed
            .iter()
            .all(|span| span.get("error.type") == "connect" && span.is_error),
        "{tries:#?}"
    );
    assert!(!failed.is_empty() && !last.is_error, "{tries:#?}");
    assert_eq!(last.get("server.port"), worker.address.port().to_string());
    assert!(
        worker.received()[0].headers["traceparent"]
            .to_str()
            .unwrap()
            .contains(&last.id)
    );
}

#[tokio::test]
async fn a_worker_s_refusal_is_the_request_s() {
    let worker = Worker::answering(StatusCode::INTERNAL_SERVER_ERROR, "application/json", "{}").await;
    let traced = Traced::start(&[&worker], |_| {}).await;
    drop(traced.chat(CHAT).await.bytes().await);
    let spans = traced.spans().await;
    let request = request(&spans);
    assert_eq!((request.get("error.type"), request.is_error), ("500", true));
    let attempt = child(&spans, request, "chat ns/m");
    assert_eq!(
        (attempt.get("error.type"), attempt.get("http.response.status_code")),
        ("500", "500")
    );
}

#[tokio::test]
async fn the_wait_for_a_first_worker_is_a_span() {
    let worker = Worker::answering(StatusCode::OK, "application/json", "{}").await;
    let traced = Traced::start(&[], |_| {}).await;
    traced.gateway.catalog.apply_model(Model {
        hold: Some(Duration::from_secs(60)),
        readiness: Readiness {
            ready: true,
            reason: "ScaledToZero".into(),
            message: String::new(),
        },
        ..model("ns", "m")
    });
    let (response, ()) = within(async {
        tokio::join!(traced.chat(CHAT), async {
            while traced.gateway.catalog.held().of("ns", "m") == 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            traced.gateway.set_workers("m", VERSION, &[worker.address]);
        })
    })
    .await;
    assert_eq!(response.status(), 200);
    drop(response.bytes().await);
    let spans = traced.spans().await;
    let hold = child(&spans, request(&spans), "hold");
    assert!(hold.time.1 <= child(&spans, request(&spans), "chat ns/m").time.0);
}

#[tokio::test]
async fn providers_do_not_hear_of_traces() {
    const ANSWER: &str = concat!(
        r#"{"id":"x","model":"theirs-2026","choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}],"#,
        r#""usage":{"prompt_tokens":7,"completion_tokens":2}}"#
    );
    let provider = Worker::answering(StatusCode::OK, "application/json", ANSWER).await;
    let traced = Traced::start(&[], |_| {}).await;
    let url = format!("http://{}/v1", provider.address);
    let hosted = json!({"openAICompatible": {
        "url": url, "model": "theirs", "credentialsSecretRef": {"name": "keys", "key": "api"},
    }});
    traced.gateway.catalog.apply_model(Model {
        current_version: None,
        hosted: Some(serde_json::from_value(hosted).unwrap()),
        ..model("ns", "m")
    });
    traced.gateway.secrets.set("keys", Ok("sk-the-key"));
    let sent = traced.gateway.request(Method::POST, "/v1/chat/completions");
    let sent = sent
        .header("traceparent", TRACEPARENT)
        .header("tracestate", "a=1")
        .header("baggage", "b=1");
    let response = within(sent.body(CHAT).send()).await.unwrap();
    assert_eq!(response.status(), 200);
    drop(response.bytes().await);

    let headers = &provider.received()[0].headers;
    for header in ["traceparent", "tracestate", "baggage", "x-request-id"] {
        assert!(!headers.contains_key(header), "{header}");
    }
    let spans = traced.spans().await;
    let request = request(&spans);
    for (key, value) in [
        ("gen_ai.provider.name", "openai_compatible"),
        ("gen_ai.response.finish_reasons", "stop"),
        ("gen_ai.response.id", "x"),
        ("gen_ai.response.model", "theirs-2026"),
        ("gen_ai.usage.input_tokens", "7"),
    ] {
        assert_eq!(request.get(key), value, "{key}");
    }
    let attempt = child(&spans, request, "chat ns/m");
    assert_eq!(attempt.get("server.address"), "127.0.0.1");
    for body in traced.collector.bodies() {
        assert!(!String::from_utf8_lossy(&body).contains("sk-the-key"));
    }
}
