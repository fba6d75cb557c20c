//! What reaches the worker, and what comes back.

use api::llmmodel::Task;
use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use bytes::Bytes;
use reqwest::Method;
use rstest::rstest;

use super::{CHAT, EVENTS, STREAM, refused, within};
use crate::{
    catalog::Model,
    testing::{TestGateway, Worker, model},
};

#[rstest]
#[case("/v1/chat/completions")]
#[case("/v1/completions")]
#[tokio::test]
async fn a_request_passes_with_every_byte_but_the_name(#[case] path: &str) {
    let worker = Worker::answering(StatusCode::OK, "application/json", "{\"answer\": 1.50}").await;
    let gateway = TestGateway::with_workers(&[&worker]).await;
    let request = gateway
        .request(Method::POST, path)
        .header("content-type", "text/plain")
        .header("cookie", "session=1")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header("x-request-id", "abc")
        .body("{ \"temperature\" : 0.70, \"model\":\"ns/m@v-0123456789\",\n \"unknown\": [null] }");
    let response = within(request.send()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-request-id"], "abc");
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.text().await.unwrap(), "{\"answer\": 1.50}");

    let [received] = &worker.received()[..] else {
        panic!("one request")
    };
    assert_eq!(received.path, path);
    assert_eq!(
        received.body,
        "{ \"temperature\" : 0.70, \"model\":\"m\",\n \"unknown\": [null] }"
    );
    let header = |name: &str| received.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("content-type"), Some("text/plain"));
    assert_eq!(header("x-request-id"), Some("abc"));
    assert_eq!(
        header("traceparent"),
        Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    );
    assert_eq!(header("host"), Some(worker.address.to_string().as_str()));
    assert_eq!((header("authorization"), header("cookie")), (None, None));
}

#[rstest]
#[case(Task::Embed, "/v1/embeddings")]
#[case(Task::Rerank, "/v1/rerank")]
#[tokio::test]
async fn each_task_has_its_path(#[case] task: Task, #[case] path: &str) {
    let worker = Worker::answering(StatusCode::OK, "application/json", "{}").await;
    let gateway = TestGateway::with_workers(&[&worker]).await;
    let send = async |path: &str| {
        let request = gateway.request(Method::POST, path).body(CHAT);
        within(request.send()).await.unwrap()
    };
    let message = refused(send(path).await, 400, "wrong_task").await;
    assert!(message.contains("/v1/chat/completions"), "{message}");
    gateway.catalog.apply_model(Model {
        task: Some(task),
        ..model("ns", "m")
    });
    let message = refused(send("/v1/chat/completions").await, 400, "wrong_task").await;
    assert!(message.contains(path), "{message}");
    assert!(worker.received().is_empty());
    assert_eq!(send(path).await.status(), 200);
    assert_eq!(worker.received()[0].path, path);
    // What a newer release is for, its workers know.
    gateway.catalog.apply_model(Model {
        task: None,
        ..model("ns", "m")
    });
    assert_eq!(send(path).await.status(), 200);
}

#[tokio::test]
async fn an_adapter_is_its_worker_s_business() {
    let worker = Worker::answering(StatusCode::OK, "application/json", "{}").await;
    let gateway = TestGateway::with_workers(&[&worker]).await;
    let response = within(gateway.chat("{\"model\":\"ns/m:polite@v-0123456789\"}")).await;
    assert_eq!(response.status(), 200);
    assert_eq!(worker.received()[0].body, "{\"model\":\"m:polite\"}");
}

#[tokio::test]
async fn a_worker_speaks_for_itself() {
    let worker = Worker::start(|| {
        Response::builder()
            .status(StatusCode::TOO_MANY_REQUESTS)
            .header("retry-after", "7")
            .header("keep-alive", "timeout=5")
            .body(Body::from("{\"error\":{\"code\":\"queue_full\"}}"))
            .unwrap()
    })
    .await;
    let gateway = TestGateway::with_workers(&[&worker]).await;
    let response = within(gateway.chat(CHAT)).await;
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "7");
    assert!(!response.headers().contains_key("keep-alive"));
    assert!(response.headers()["x-request-id"].to_str().unwrap().starts_with("req-"));
    assert_eq!(response.text().await.unwrap(), "{\"error\":{\"code\":\"queue_full\"}}");
    assert_eq!(
        worker.received().len(),
        1,
        "a full queue is not offered the request again"
    );
}

#[tokio::test]
async fn tokens_pass_as_they_come() {
    let (worker, tokens) = Worker::streaming(EVENTS).await;
    let gateway = TestGateway::with_workers(&[&worker]).await;
    let mut response = within(gateway.chat(STREAM)).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    for token in ["data: {\"n\":1}\n\n", ": a comment\n\n", "data: [DONE]\n\n"] {
        tokens.send(Bytes::from_static(token.as_bytes())).await.unwrap();
        // The next token is not even made before this one has arrived.
        assert_eq!(within(response.chunk()).await.unwrap().unwrap(), token);
    }
    drop(tokens);
    assert_eq!(within(response.chunk()).await.unwrap(), None);
}

#[rstest]
#[case("", "invalid_json", "empty")]
#[case("{\"model\":\"m\",\n\"x\":}", "invalid_json", "line 2 column 5")]
#[case("{\"messages\":[]}", "missing_field", "\"model\"")]
#[case("{\"model\":[]}", "invalid_field", "\"model\"")]
#[case("{\"model\":\"m\",\"stream\":1}", "invalid_field", "\"stream\"")]
#[tokio::test]
async fn bad_requests_are_told_what_is_wrong(#[case] body: &str, #[case] code: &str, #[case] text: &str) {
    let worker = Worker::answering(StatusCode::OK, "application/json", "{}").await;
    let gateway = TestGateway::with_workers(&[&worker]).await;
    let message = refused(within(gateway.chat(body)).await, 400, code).await;
    assert!(message.contains(text), "{message}");
    assert!(worker.received().is_empty());
}
