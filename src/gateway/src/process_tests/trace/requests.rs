//! What is told of a request.

use axum::http::StatusCode;
use reqwest::Method;
use rstest::rstest;
use telemetry::{testing::Collector, trace::Tracing};

use super::{TRACE, TRACEPARENT, Traced, child, request};
use crate::{
    process_tests::{CHAT, EVENTS, within},
    testing::{TestGateway, Worker},
};

const ANSWER: &str = concat!(
    r#"{"id":"chatcmpl-1","model":"m","choices":[{"index":0,"message":{"content":"the canary sings"},"#,
    r#""finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":2}}"#
);
const ASKS: &str = r#"{"model":"m","messages":[{"role":"user","content":"hear the canary"}],"user":"canary"}"#;

#[tokio::test]
async fn a_request_is_followed_to_its_worker() {
    let worker = Worker::answering(StatusCode::OK, "application/json", ANSWER).await;
    let traced = Traced::start(&[&worker], |_| {}).await;
    assert_eq!(traced.chat(ASKS).await.text().await.unwrap(), ANSWER);
    let spans = traced.spans().await;
    assert!(spans.iter().all(|span| span.trace == TRACE), "{spans:#?}");

    let request = request(&spans);
    assert_eq!((request.name.as_str(), request.is_error), ("chat ns/m", false));
    assert_eq!(format!("{:?}", request.kind), "Server");
    assert_eq!(request.service, "atelier-gateway");
    for (key, value) in [
        ("atelier.request.id", "abc"),
        ("error.type", ""),
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "atelier"),
        ("gen_ai.request.model", "ns/m"),
        ("gen_ai.request.stream", "false"),
        ("gen_ai.response.finish_reasons", "stop"),
        ("gen_ai.response.id", "chatcmpl-1"),
        ("gen_ai.response.model", "ns/m@v-0123456789"),
        ("gen_ai.usage.input_tokens", "7"),
        ("gen_ai.usage.output_tokens", "2"),
        ("http.request.method", "POST"),
        ("http.response.status_code", "200"),
        ("http.route", "/v1/chat/completions"),
    ] {
        assert_eq!(request.get(key), value, "{key}");
    }
    // It names the user as workers hear it: not by name.
    assert_eq!(request.get("user.hash"), worker.received()[0].headers["x-atelier-user"]);

    let attempt = child(&spans, request, "chat ns/m");
    assert_eq!(format!("{:?}", attempt.kind), "Client");
    assert_eq!(attempt.get("server.port"), worker.address.port().to_string());
    assert_eq!(attempt.get("gen_ai.operation.name"), "chat");
    assert_eq!(attempt.get("gen_ai.usage.output_tokens"), "", "tokens are counted once");
    let told = &worker.received()[0].headers["traceparent"];
    assert_eq!(told, &format!("00-{TRACE}-{}-01", attempt.id));

    for step in ["authenticate", "authorize"] {
        let step = child(&spans, request, step);
        assert!(
            step.time.1 <= attempt.time.0,
            "{step:?} is over before the worker is asked"
        );
        assert!(!step.is_error);
    }
    assert!(attempt.time.0 >= request.time.0 && attempt.time.1 <= request.time.1);
    assert_eq!(spans.len(), 4, "{spans:#?}");
    for body in traced.collector.bodies() {
        assert!(!String::from_utf8_lossy(&body).contains("canary"));
    }
}

#[tokio::test]
async fn the_span_of_a_stream_ends_with_it() {
    let (worker, tokens) = Worker::streaming(EVENTS).await;
    let traced = Traced::start(&[&worker], |_| {}).await;
    let mut response = traced.chat(r#"{"model":"m","messages":[],"stream":true}"#).await;
    let pieces = [
        "data: {\"id\":\"chatcmpl-2\",\"choices\":[{\"delta\":{\"content\":\"canary\"},\"finish_reason\":null}]}\n\n",
        "data: {\"id\":\"chatcmpl-2\",\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":9}}\n\n",
    ];
    for piece in pieces {
        tokens.send(piece.into()).await.unwrap();
        within(response.chunk()).await.unwrap().unwrap();
    }
    // The steps are over; the request and its try are not.
    let steps = within(traced.collector.wait(|spans| spans.len() >= 2)).await;
    assert!(steps.iter().all(|span| span.name.starts_with("auth")), "{steps:#?}");
    drop(tokens);
    within(response.text()).await.unwrap();

    let spans = traced.spans().await;
    let request = request(&spans);
    for (key, value) in [
        ("gen_ai.request.stream", "true"),
        ("gen_ai.response.finish_reasons", "length"),
        ("gen_ai.response.id", "chatcmpl-2"),
        ("gen_ai.usage.output_tokens", "9"),
    ] {
        assert_eq!(request.get(key), value, "{key}");
    }
    let first: f64 = request.get("gen_ai.response.time_to_first_chunk").parse().unwrap();
    assert!(
        first > 0.0 && first * 1e9 <= (request.time.1 - request.time.0) as f64,
        "{first}"
    );
}

#[tokio::test]
async fn a_client_that_leaves_is_told_of() {
    let (worker, tokens) = Worker::streaming(EVENTS).await;
    let traced = Traced::start(&[&worker], |_| {}).await;
    let mut response = traced.chat(r#"{"model":"m","messages":[],"stream":true}"#).await;
    tokens.send("data: {}\n\n".into()).await.unwrap();
    within(response.chunk()).await.unwrap().unwrap();
    drop(response);
    let spans = traced.spans().await;
    let request = request(&spans);
    assert_eq!((request.get("error.type"), request.is_error), ("client_gone", true));
    assert!(child(&spans, request, "chat ns/m").is_error);
}

#[rstest]
#[case("other", CHAT, "model_forbidden", "authorize")]
#[case("nobody", CHAT, "invalid_api_key", "authenticate")]
#[tokio::test]
async fn a_refusal_has_its_code_at_its_step(
    #[case] token: &str,
    #[case] body: &'static str,
    #[case] code: &str,
    #[case] step: &str,
) {
    let traced = Traced::start(&[], |_| {}).await;
    let url = format!("http://{}/v1/chat/completions", traced.gateway.address);
    let request_sent = traced.gateway.client.post(url).bearer_auth(token);
    let request_sent = request_sent.header("traceparent", TRACEPARENT).body(body);
    let response = within(request_sent.send()).await.unwrap();
    assert!(response.status().is_client_error());
    drop(response);
    let spans = traced.spans().await;
    let request = request(&spans);
    // What a caller named is not repeated where it may be anything.
    assert_eq!(request.name, "POST /v1/chat/completions");
    // The client was wrong, and not the gateway.
    assert_eq!((request.get("error.type"), request.is_error), (code, false));
    assert_eq!(child(&spans, request, step).get("error.type"), code);
}

#[rstest]
#[case("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331")]
#[case("00-00000000000000000000000000000000-b7ad6b7169203331-01")]
#[tokio::test]
async fn a_malformed_parent_is_ignored(#[case] malformed: &str, #[values(true, false)] is_traced: bool) {
    let worker = Worker::answering(StatusCode::OK, "application/json", "{}").await;
    let collector = Collector::start().await.unwrap();
    let tracing = match is_traced {
        true => Tracing::start(collector.settings(), "atelier-gateway", &prometheus::Registry::new()).unwrap(),
        false => Tracing::default(),
    };
    let gateway = TestGateway::start(&[&worker], |timing| timing.tracing = tracing.clone()).await;
    let request = gateway.request(Method::POST, "/v1/chat/completions");
    let request = request.header("traceparent", malformed).header("tracestate", "a=1");
    let response = within(request.body(CHAT).send()).await.unwrap();
    assert_eq!(response.status(), 200);
    let headers = &worker.received()[0].headers;
    assert!(!headers.contains_key("tracestate"));
    match headers.get("traceparent") {
        // A trace of our own.
        Some(parent) => assert!(is_traced && !parent.to_str().unwrap().contains(TRACE), "{parent:?}"),
        None => assert!(!is_traced),
    }
}

#[tokio::test]
async fn metrics_name_a_trace_as_an_example() {
    let worker = Worker::answering(StatusCode::OK, "application/json", "{}").await;
    let traced = Traced::start(&[&worker], |_| {}).await;
    drop(traced.chat(CHAT).await.bytes().await);
    traced.spans().await;
    let labels = [
        ("error_type", ""),
        ("gen_ai_operation_name", "chat"),
        ("gen_ai_request_model", "ns/m"),
    ];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let exemplars = &traced.gateway.metrics.exemplars;
    let all = (0..15).filter_map(|bucket| exemplars.get("gen_ai_server_request_duration_seconds", &labels, bucket));
    let traces: Vec<_> = all.map(|exemplar| exemplar.trace).collect();
    assert_eq!(traces, [TRACE]);
}
