//! What the audit trail tells, and what happens without it.

use std::{path::Path, sync::Arc, time::Duration};

use axum::http::StatusCode;
use bytes::Bytes;
use clap::Parser;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row};
use store::{
    audit::{Log, Mode, Range, Settings, verify},
    testing::{Postgres, TestDatabase},
};

use super::{CHAT, EVENTS, STREAM, refused, within};
use crate::{
    audit::{Recorder, run_command},
    config::Args,
    testing::{TestGateway, VERSION, Worker},
};

const ANSWER: &str = r#"{"id":"chatcmpl-7","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;

/// A gateway that keeps a trail in `test`.
async fn gateway(test: &TestDatabase, mode: Mode, workers: &[&Worker]) -> (TestGateway, Arc<Log>) {
    let settings = Settings {
        mode: mode.clone(),
        capacity: 64,
        patience: Duration::from_secs(if mode == Mode::Strict { 2 } else { 30 }),
        vault: None,
    };
    let log = Log::start(test.database.clone(), settings).unwrap();
    let recorder = Recorder::new(log.clone(), test.database.clone());
    let gateway = TestGateway::start(workers, |timing| timing.audit = recorder).await;
    until_up(&log).await;
    (gateway, log)
}

async fn until_up(log: &Log) {
    within(async {
        while !log.stats().up {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

async fn shared() -> TestDatabase {
    Postgres::shared().database().await
}

/// All rows once they are there: kind, request and event.
async fn rows(test: &TestDatabase, log: &Log) -> Vec<(String, String, Value)> {
    assert!(log.drain(Duration::from_secs(30)).await);
    let report = verify(&test.database, Range::default(), None, &[]).await.unwrap();
    assert!(report.is_sound(), "{report:?}");
    let query = AssertSqlSafe("SELECT kind, request, subject, event::text AS event FROM audit ORDER BY at, seq");
    let rows = sqlx::query(query)
        .fetch_all(&mut test.connection().await)
        .await
        .unwrap();
    rows.iter()
        .map(|row| {
            assert!(["jane", "joe"].contains(&row.get("subject")));
            let event = serde_json::from_str(row.get("event")).unwrap();
            (row.get("kind"), row.get("request"), event)
        })
        .collect()
}

#[tokio::test]
async fn an_answer_is_opened_and_closed() {
    let test = shared().await;
    let worker = Worker::answering(StatusCode::OK, "application/json", ANSWER).await;
    let (gateway, log) = gateway(&test, Mode::Strict, &[&worker]).await;
    let response = gateway
        .request(Method::POST, "/v1/chat/completions")
        .header("x-request-id", "r1")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .body(r#"{"model":"ns/m","messages":[{"role":"user","content":"a secret"}]}"#);
    let response = within(response.send()).await.unwrap();
    assert_eq!(response.status(), 200);
    within(response.text()).await.unwrap();
    let rows = rows(&test, &log).await;
    let [(opened, request, opening), (closed, same, closing)] = &rows[..] else {
        panic!("{rows:?}")
    };
    assert_eq!(
        (&**opened, &**closed, &**request, &**same),
        ("opened", "closed", "r1", "r1")
    );
    let expected = json!({
        "trace": "0af7651916cd43dd8448eb211c80319c", "groups": opening["groups"], "operation": "chat",
        "asked": "ns/m", "policy": "rbac: infer on llmmodels.atelier.dev", "decision": "allowed",
        "namespace": "ns", "model": "m", "hosted": false, "stream": false,
    });
    assert_eq!(*opening, expected);
    let expected = json!({
        "opened": 1, "status": 200, "version": VERSION, "answer": "chatcmpl-7", "prompt_tokens": 3,
        "completion_tokens": 4, "duration": closing["duration"], "finish": "complete",
    });
    assert_eq!(*closing, expected);
    assert!(!format!("{rows:?}").contains("secret"), "content is not kept");
}

#[tokio::test]
async fn the_row_is_there_before_the_model_is_asked() {
    let test = shared().await;
    let (worker, tokens) = Worker::streaming(EVENTS).await;
    let (gateway, log) = gateway(&test, Mode::Strict, &[&worker]).await;
    let mut response = within(gateway.chat(STREAM)).await;
    assert_eq!(test.number("SELECT count(*) FROM audit").await, 1);
    tokens
        .send(Bytes::from_static(b"data: {\"id\":\"chatcmpl-8\"}\n\n"))
        .await
        .unwrap();
    within(response.chunk()).await.unwrap().unwrap();
    // The client leaves.
    drop(response);
    within(tokens.closed()).await;
    let rows = rows(&test, &log).await;
    let closing = &rows[1].2;
    assert_eq!(closing["finish"], "client_gone");
    assert_eq!(closing["answer"], "chatcmpl-8");
    assert!(closing["first_token"].is_u64(), "{closing}");
}

#[tokio::test]
async fn a_denial_is_told_as_fully_as_a_grant_and_alike_for_absent_and_forbidden() {
    let test = shared().await;
    let (gateway, log) = gateway(&test, Mode::Strict, &[]).await;
    for model in ["ns/m", "ns/absent"] {
        let request = gateway
            .client
            .post(format!("http://{}/v1/chat/completions", gateway.address));
        let request = request
            .bearer_auth("other")
            .body(CHAT.replace("\"m\"", &format!("\"{model}\"")));
        refused(within(request.send()).await.unwrap(), 403, "model_forbidden").await;
    }
    refused(
        within(gateway.chat(&CHAT.replace("\"m\"", "\"ns/absent\""))).await,
        404,
        "model_not_found",
    )
    .await;
    refused(within(gateway.chat("{")).await, 400, "invalid_json").await;
    let nobody = gateway
        .client
        .post(format!("http://{}/v1/chat/completions", gateway.address));
    assert_eq!(within(nobody.body(CHAT).send()).await.unwrap().status(), 401);
    let mut rows = rows(&test, &log).await;
    assert!(rows.iter().all(|(kind, ..)| kind == "refused"));
    let told: Vec<_> = rows
        .iter()
        .map(|row| (row.2["decision"].clone(), row.2["error"].clone()))
        .collect();
    let expected = [
        ("denied", "model_forbidden"),
        ("denied", "model_forbidden"),
        ("none", "model_not_found"),
        ("none", "invalid_json"),
    ];
    assert_eq!(told, expected.map(|(decision, error)| (json!(decision), json!(error))));
    assert_eq!(rows[1].2["asked"], "ns/absent");
    for row in &mut rows[..2] {
        row.2["asked"].take();
    }
    assert_eq!(rows[0].2, rows[1].2);
}

#[tokio::test]
async fn who_looks_for_models_in_vain_is_written_down() {
    let test = shared().await;
    let (gateway, log) = gateway(&test, Mode::Strict, &[]).await;
    let look = |token: &'static str| {
        let url = format!("http://{}/v1/models/ns/m", gateway.address);
        within(gateway.client.get(url).bearer_auth(token).send())
    };
    assert_eq!(look("good").await.unwrap().status(), 200);
    refused(look("other").await.unwrap(), 403, "model_forbidden").await;
    let rows = rows(&test, &log).await;
    let [(kind, _, event)] = &rows[..] else {
        panic!("{rows:?}")
    };
    assert_eq!(
        (&**kind, &event["operation"], &event["asked"]),
        ("refused", &json!("get_model"), &json!("ns/m"))
    );
}

#[tokio::test]
async fn operators_find_the_row_that_was_changed() {
    let test = shared().await;
    let worker = Worker::answering(StatusCode::OK, "application/json", ANSWER).await;
    let (gateway, log) = gateway(&test, Mode::Strict, &[&worker]).await;
    within(gateway.chat(CHAT)).await.text().await.unwrap();
    assert!(log.drain(Duration::from_secs(30)).await);
    let url_file = test.url_file.path().to_str().unwrap();
    let args = ["atelier-gateway", "audit", "verify", "--database-url-file", url_file];
    let args = Args::parse_from(args);
    let run = async || run_command(args.command.clone().unwrap(), &args.audit).await;
    run().await.unwrap();
    test.tamper("UPDATE audit SET subject = 'joe' WHERE seq = 2").await;
    let error = run().await.unwrap_err();
    assert!(error.to_string().contains("not as it was written"), "{error:#}");
}

#[tokio::test]
async fn strict_refuses_without_the_database_and_serves_when_it_is_back() {
    let server = Postgres::start();
    let test = server.database().await;
    let worker = Worker::answering(StatusCode::OK, "application/json", ANSWER).await;
    let (gateway, log) = gateway(&test, Mode::Strict, &[&worker]).await;
    assert_eq!(within(gateway.chat(CHAT)).await.status(), 200);
    assert!(log.drain(Duration::from_secs(30)).await);
    server.kill();
    // The first ones wait for the commit, the others know.
    for _ in 0..3 {
        refused(within(gateway.chat(CHAT)).await, 503, "audit_unavailable").await;
        // Neither may a denial go unwritten.
        let absent = CHAT.replace("\"m\"", "\"ns/absent\"");
        refused(within(gateway.chat(&absent)).await, 503, "audit_unavailable").await;
    }
    let body = json!({"id": "r", "kind": "thumbs", "value": "up"}).to_string();
    let feedback = gateway.request(Method::POST, "/v1/feedback").body(body);
    refused(within(feedback.send()).await.unwrap(), 503, "feedback_unavailable").await;
    assert_eq!(worker.received().len(), 1, "the model is not asked");
    server.restart();
    until_up(&log).await;
    assert_eq!(within(gateway.chat(CHAT)).await.status(), 200);
    let rows = rows(&test, &log).await;
    let served = rows
        .iter()
        .filter(|(kind, _, event)| kind == "closed" && event["status"] == 200);
    assert_eq!(served.count(), 2);
    // Whatever was opened is closed.
    let count = |wanted: &str| rows.iter().filter(|(kind, ..)| kind == wanted).count();
    assert_eq!(count("opened"), count("closed"));
}

#[tokio::test]
async fn buffered_serves_without_the_database_and_says_so() {
    let server = Postgres::start();
    let test = server.database().await;
    let spool = tempfile::tempdir().unwrap();
    let worker = Worker::answering(StatusCode::OK, "application/json", ANSWER).await;
    let mode = Mode::Buffered {
        spool: Path::new(spool.path()).into(),
    };
    let (gateway, log) = gateway(&test, mode, &[&worker]).await;
    server.kill();
    for _ in 0..32 {
        let response = within(gateway.chat(CHAT)).await;
        assert_eq!(response.status(), 200);
        within(response.text()).await.unwrap();
    }
    // The queue is full.
    refused(within(gateway.chat(CHAT)).await, 503, "audit_unavailable").await;
    let text = || {
        prometheus::TextEncoder::new()
            .encode_to_string(&gateway.metrics.registry.gather())
            .unwrap()
    };
    assert!(text().contains("atelier_audit_rows_queued 64"), "{}", text());
    server.restart();
    until_up(&log).await;
    assert_eq!(rows(&test, &log).await.len(), 64);
    let text = text();
    assert!(text.contains("atelier_audit_rows_queued 0"), "{text}");
    assert!(text.contains("atelier_audit_rows_written_total 64"), "{text}");
    assert!(text.contains("atelier_audit_up 1"), "{text}");
}
