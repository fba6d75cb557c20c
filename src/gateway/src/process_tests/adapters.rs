//! Adapters beside a model.

use axum::http::StatusCode;
use reqwest::Method;
use serde_json::{Value, json};

use super::{refused, within};
use crate::{
    catalog::{Adapter, Canary},
    testing::{TestGateway, Worker, model},
};

const CHAT: &str = r#"{"model": "m:a"}"#;

async fn answering(body: &'static str) -> Worker {
    Worker::answering(StatusCode::OK, "application/json", body).await
}

/// As a worker answers that has no such adapter.
async fn lacking() -> Worker {
    Worker::answering(StatusCode::NOT_FOUND, "application/json", "{}").await
}

fn know(gateway: &TestGateway, is_available: bool, message: Option<&str>) {
    let mut known = model("ns", "m");
    known.adapters.push(Adapter {
        name: "a".into(),
        is_available,
        message: message.map(Into::into),
    });
    gateway.catalog.apply_model(known);
}

#[tokio::test]
async fn a_request_goes_to_a_worker_that_has_the_adapter() {
    let (with, without) = (answering("fine").await, lacking().await);
    let gateway = TestGateway::with_workers(&[&without, &with]).await;
    for _ in 0..10 {
        assert_eq!(within(gateway.chat(CHAT)).await.text().await.unwrap(), "fine");
    }
    assert!(without.received().iter().all(|it| it.body.contains("m:a")));
}

#[tokio::test]
async fn an_adapter_that_no_worker_has_does_not_exist() {
    let workers = [lacking().await, lacking().await];
    let gateway = TestGateway::with_workers(&[&workers[0], &workers[1]]).await;
    let message = refused(within(gateway.chat(CHAT)).await, 404, "model_not_found").await;
    assert_eq!(message, "the model \"m:a\" does not exist");
    assert_eq!(workers.each_ref().map(|worker| worker.received().len()), [1, 1]);
    // Another 404 is the worker's own.
    let plain = within(gateway.chat(r#"{"model": "m"}"#)).await;
    assert_eq!(
        (plain.status(), plain.text().await.unwrap().as_str()),
        (StatusCode::NOT_FOUND, "{}")
    );
}

#[tokio::test]
async fn an_adapter_that_is_on_its_way_or_failed_says_so() {
    let worker = lacking().await;
    let gateway = TestGateway::with_workers(&[&worker]).await;
    for (told, says) in [
        (None, "AdaptersLoading"),
        (Some("DigestMismatch: other bytes"), "other bytes"),
    ] {
        know(&gateway, false, told);
        let message = refused(within(gateway.chat(CHAT)).await, 503, "model_not_ready").await;
        assert!(message.contains(says), "{message}");
    }
}

#[tokio::test]
async fn a_version_on_trial_is_not_blamed_for_an_adapter_that_it_has_not_loaded_yet() {
    let (current, next) = (answering("current").await, lacking().await);
    let gateway = TestGateway::with_workers(&[&current]).await;
    gateway.set_workers("m", "v-9876543210", &[next.address]);
    let mut on_trial = model("ns", "m");
    on_trial.canary = Some(Canary {
        version: "v-9876543210".into(),
        weight: 100,
    });
    gateway.catalog.apply_model(on_trial);
    let body = json!({"model": "m:a", "messages": [{"role": "user", "content": "hello"}]}).to_string();
    assert_eq!(within(gateway.chat(&body)).await.text().await.unwrap(), "current");
    assert_eq!(next.received().len(), 1);
    assert!(
        gateway
            .catalog
            .traffic()
            .versions
            .iter()
            .all(|version| version.failed == 0)
    );
}

#[tokio::test]
async fn a_slip_of_the_pen_wakes_no_model() {
    let gateway = TestGateway::with_workers(&[]).await;
    let mut asleep = model("ns", "m");
    asleep.hold = Some(std::time::Duration::from_secs(60));
    gateway.catalog.apply_model(asleep);
    refused(within(gateway.chat(CHAT)).await, 404, "model_not_found").await;
}

#[tokio::test]
async fn adapters_that_can_be_asked_for_are_listed() {
    let gateway = TestGateway::with_workers(&[]).await;
    let get = async |path: &str| within(gateway.request(Method::GET, path).send()).await.unwrap();
    let ids = async || {
        let list: Value = get("/v1/models").await.json().await.unwrap();
        let ids = list["data"].as_array().unwrap().iter().map(|it| it["id"].clone());
        ids.collect::<Vec<_>>()
    };
    know(&gateway, false, None);
    assert_eq!(ids().await, [json!("m")]);
    refused(get("/v1/models/m:a").await, 404, "model_not_found").await;
    know(&gateway, true, None);
    assert_eq!(ids().await, [json!("m"), json!("m:a")]);
    let adapter: Value = get("/v1/models/ns/m:a").await.json().await.unwrap();
    assert_eq!((&adapter["id"], &adapter["parent"]), (&json!("ns/m:a"), &json!("ns/m")));
}
