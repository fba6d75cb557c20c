//! Models that answer in the place of others.

use api::llmmodel::Provider;
use axum::http::StatusCode;
use rstest::rstest;

use super::{CHAT, EVENTS, refused, within};
use crate::{
    catalog::Model,
    headers::ANSWERED_BY,
    testing::{TestGateway, VERSION, Worker, model},
};

const JSON: &str = "application/json";

/// `ns/m` on `worker`, which falls back on `ns/other` on a worker that answers.
async fn gateway(worker: &Worker, other: &Worker) -> TestGateway {
    let gateway = TestGateway::start(&[worker], |timing| timing.patience = std::time::Duration::ZERO).await;
    falls_back(&gateway, &["other"]);
    gateway.catalog.apply_model(model("ns", "other"));
    gateway.set_workers("other", VERSION, &[other.address]);
    gateway
}

fn falls_back(gateway: &TestGateway, names: &[&str]) {
    gateway.catalog.apply_model(Model {
        fallback: names.iter().map(ToString::to_string).collect(),
        ..model("ns", "m")
    });
}

#[rstest]
#[case::stopping(StatusCode::SERVICE_UNAVAILABLE)]
#[case::full(StatusCode::TOO_MANY_REQUESTS)]
#[case::failing(StatusCode::INTERNAL_SERVER_ERROR)]
#[tokio::test]
async fn another_model_answers_for_one_that_cannot(#[case] status: StatusCode) {
    let worker = Worker::answering(status, JSON, "{}").await;
    let other = Worker::answering(StatusCode::OK, JSON, r#"{"choices":[]}"#).await;
    let gateway = gateway(&worker, &other).await;
    let response = within(gateway.chat(CHAT)).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()[ANSWERED_BY], "ns/other");
    // It is asked under its own name.
    let received = other.received();
    assert!(received[0].body.contains(r#""model":"other""#), "{}", received[0].body);
    assert!(!worker.received().is_empty());
}

#[tokio::test]
async fn a_dead_model_is_stood_in_for() {
    let worker = Worker::answering(StatusCode::OK, JSON, "{}").await;
    let other = Worker::answering(StatusCode::OK, JSON, "{}").await;
    let gateway = gateway(&worker, &other).await;
    assert!(within(gateway.chat(CHAT)).await.headers().get(ANSWERED_BY).is_none());
    worker.kill();
    let response = within(gateway.chat(CHAT)).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()[ANSWERED_BY]),
        (200, &"ns/other".parse().unwrap())
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_not_tried_elsewhere() {
    let worker = Worker::answering(StatusCode::BAD_REQUEST, JSON, "{}").await;
    let other = Worker::answering(StatusCode::OK, JSON, "{}").await;
    let gateway = gateway(&worker, &other).await;
    assert_eq!(within(gateway.chat(CHAT)).await.status(), 400);
    assert_eq!(other.received().len(), 0);
}

#[tokio::test]
async fn who_insists_on_a_version_gets_it_or_nothing() {
    let worker = Worker::answering(StatusCode::SERVICE_UNAVAILABLE, JSON, "{}").await;
    let other = Worker::answering(StatusCode::OK, JSON, "{}").await;
    let gateway = gateway(&worker, &other).await;
    let body = format!(r#"{{"model":"m@{VERSION}","messages":[]}}"#);
    refused(within(gateway.chat(&body)).await, 503, "upstream_unavailable").await;
    assert_eq!(other.received().len(), 0);
}

#[tokio::test]
async fn a_stream_that_has_begun_is_not_begun_elsewhere() {
    let (worker, tokens) = Worker::streaming(EVENTS).await;
    let other = Worker::answering(StatusCode::OK, JSON, "{}").await;
    let gateway = gateway(&worker, &other).await;
    let response = within(gateway.chat(super::STREAM)).await;
    tokens.send("data: {}\n\n".into()).await.unwrap();
    worker.kill();
    let text = within(response.text()).await.unwrap();
    assert!(text.contains("upstream_failed"), "{text}");
    assert_eq!(other.received().len(), 0);
}

#[tokio::test]
async fn the_chain_is_tried_in_its_order_and_the_first_trouble_is_told() {
    let broken = Worker::answering(StatusCode::SERVICE_UNAVAILABLE, JSON, "{}").await;
    let gateway = gateway(&broken, &broken).await;
    falls_back(&gateway, &["missing", "m", "other", "last"]);
    let message = refused(within(gateway.chat(CHAT)).await, 503, "upstream_unavailable").await;
    assert!(message.contains("\"ns/m\""), "{message}");

    let last = Worker::answering(StatusCode::OK, JSON, "{}").await;
    gateway.catalog.apply_model(model("ns", "last"));
    gateway.set_workers("last", VERSION, &[last.address]);
    let response = within(gateway.chat(CHAT)).await;
    assert_eq!(response.headers()[ANSWERED_BY], "ns/last");
}

#[tokio::test]
async fn what_must_stay_in_the_cluster_is_sent_to_no_provider() {
    let provider = Worker::answering(StatusCode::OK, JSON, r#"{"choices":[]}"#).await;
    // No provider may be where a worker is, so there is none.
    let gateway = TestGateway::with_workers(&[]).await;
    let url = format!("http://{}/v1", provider.address);
    let hosted = serde_json::json!({"openAICompatible": {"url": url, "model": "x"}});
    let hosted: Provider = serde_json::from_value(hosted).unwrap();
    gateway.catalog.apply_model(Model {
        hosted: Some(hosted),
        ..model("ns", "far")
    });
    let mut asked = model("ns", "m");
    asked.fallback = vec!["far".into()];
    asked.readiness.ready = false;
    gateway.catalog.apply_model(asked.clone());
    assert_eq!(within(gateway.chat(CHAT)).await.headers()[ANSWERED_BY], "ns/far");
    assert_eq!(provider.received().len(), 1);

    asked.limits.is_local_only = true;
    gateway.catalog.apply_model(asked);
    refused(within(gateway.chat(CHAT)).await, 503, "model_not_ready").await;
    assert_eq!(provider.received().len(), 1);
}
