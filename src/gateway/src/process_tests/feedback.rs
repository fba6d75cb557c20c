//! Feedback: whose answer it may be about, and what is told back.

use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use store::{
    audit::{Log, Mode, Settings},
    testing::Postgres,
};

use super::{CHAT, refused, within};
use crate::{
    audit::Recorder,
    testing::{TestGateway, VERSION, Worker},
};

/// A gateway at which jane has got the answer to `r1`, `chatcmpl-7`.
async fn answered() -> (TestGateway, Arc<Log>) {
    let test = Postgres::shared().database().await;
    let settings = Settings {
        mode: Mode::Strict,
        capacity: 64,
        patience: Duration::from_secs(30),
        vault: None,
    };
    let log = Log::start(test.database.clone(), settings).unwrap();
    let recorder = Recorder::new(log.clone(), test.database.clone());
    let body = r#"{"id":"chatcmpl-7","choices":[]}"#;
    let worker = Worker::answering(StatusCode::OK, "application/json", body).await;
    let gateway = TestGateway::start(&[&worker], |timing| timing.audit = recorder).await;
    within(async {
        while !log.stats().up {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let request = gateway
        .request(Method::POST, "/v1/chat/completions")
        .header("x-request-id", "r1");
    let response = within(request.body(CHAT).send()).await.unwrap();
    assert_eq!(response.status(), 200);
    within(response.text()).await.unwrap();
    assert!(log.drain(Duration::from_secs(30)).await);
    (gateway, log)
}

async fn say(gateway: &TestGateway, token: &str, feedback: &Value) -> Response {
    let url = format!("http://{}/v1/feedback", gateway.address);
    let request = gateway.client.post(url).bearer_auth(token).body(feedback.to_string());
    within(request.send()).await.unwrap()
}

#[tokio::test]
async fn who_got_an_answer_may_say_something_about_it_once() {
    let (gateway, _log) = answered().await;
    for id in ["r1", "chatcmpl-7", "r1"] {
        let said = json!({"id": id, "kind": "rating", "value": 4, "comment": "fine"});
        let response = say(&gateway, "good", &said).await;
        assert_eq!(response.status(), 200);
        let kept: Value = response.json().await.unwrap();
        let expected = json!({
            "object": "feedback", "id": "r1", "kind": "rating", "value": "4", "comment": "fine", "model": "ns/m",
            "adapter": null, "version": VERSION, "revision": 1,
        });
        assert_eq!(kept, expected);
    }
}

#[tokio::test]
async fn anothers_answer_and_none_look_the_same() {
    let (gateway, _log) = answered().await;
    let about = |id: &str| json!({"id": id, "kind": "thumbs", "value": "up"});
    let mut told = Vec::new();
    for id in ["r1", "chatcmpl-7", "none"] {
        let message = refused(say(&gateway, "other", &about(id)).await, 404, "answer_not_found").await;
        told.push(message.replace(id, "ID"));
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
}

#[tokio::test]
async fn what_makes_no_sense_or_comes_from_nobody_is_refused() {
    let (gateway, _log) = answered().await;
    let stars = json!({"id": "r1", "kind": "rating", "value": 6});
    refused(say(&gateway, "good", &stars).await, 400, "invalid_field").await;
    let up = json!({"id": "r1", "kind": "thumbs", "value": "up"});
    refused(say(&gateway, "bad", &up).await, 401, "invalid_api_key").await;
}

#[tokio::test]
async fn without_a_database_there_is_no_feedback() {
    let gateway = TestGateway::with_workers(&[]).await;
    let up = json!({"id": "r1", "kind": "thumbs", "value": "up"});
    let message = refused(say(&gateway, "good", &up).await, 501, "feedback_off").await;
    assert!(message.contains("--database-url-file"), "{message}");
}
