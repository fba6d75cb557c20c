//! What callers may spend in a month, with a real database.

use axum::http::StatusCode;
use reqwest::Response;
use serde_json::json;
use store::testing::{Postgres, TestDatabase};

use super::{CHAT, EVENTS, STREAM, hosted, quotas::replicas, refusal, refused, within};
use crate::{
    catalog::Model,
    limits::{Allowance, Amount, Limits, Money},
    testing::{TestGateway, Worker, model},
};

/// At 1 and 10 EUR for a million tokens, 0.0003 EUR for the prompt and 0.001 EUR for the answer.
const ANSWER: &str =
    r#"{"id":"x","model":"theirs","choices":[],"usage":{"prompt_tokens":300,"completion_tokens":100}}"#;
/// It may cost 0.0011 EUR and a little.
const SHORT: &str = r#"{"model":"m","messages":[],"max_tokens":110}"#;

fn money(amount: &str) -> Allowance {
    Allowance {
        per_month: Money::parse(amount),
        ..Amount::UNLIMITED.into()
    }
}

/// `ns/m` at a provider, of which each user may have so much.
fn limit(gateway: &TestGateway, provider: &Worker, limits: Limits) {
    gateway.secrets.set("keys", Ok("sk-key"));
    let provider = hosted::compatible(provider.address);
    gateway.catalog.apply_model(Model {
        current_version: None,
        hosted: Some(serde_json::from_value(provider).unwrap()),
        limits,
        ..model("ns", "m")
    });
}

fn per_user(amount: &str) -> Limits {
    Limits {
        per_user: Some(money(amount)),
        ..Limits::default()
    }
}

async fn database() -> (TestDatabase, Worker) {
    let provider = Worker::answering(StatusCode::OK, "application/json", ANSWER).await;
    (Postgres::shared().database().await, provider)
}

async fn gateway(test: &TestDatabase, provider: &Worker, limits: Limits) -> TestGateway {
    let gateway = TestGateway::start(&[], |timing| timing.database = Some(test.database.clone())).await;
    limit(&gateway, provider, limits);
    gateway
}

/// Asks until all is written down that was spent.
async fn settled(gateway: &TestGateway, body: &str) -> Response {
    let response = within(gateway.chat(body)).await;
    gateway.gateway.limiter().drain().await;
    response
}

#[tokio::test]
async fn who_has_spent_it_all_is_told_as_openai_does() {
    let (test, provider) = database().await;
    let gateway = gateway(&test, &provider, per_user("0.005")).await;
    for _ in 0..3 {
        assert_eq!(settled(&gateway, SHORT).await.status(), 200);
    }
    // 0.0039 of 0.005 are spent, and this would be a little more.
    let response = within(gateway.chat(SHORT)).await;
    assert_eq!(response.headers()["x-should-retry"], "false");
    let (status, error) = refusal(response).await;
    assert_eq!(status, 429);
    assert_eq!(
        (&error["type"], &error["code"]),
        (&json!("insufficient_quota"), &json!("insufficient_quota"))
    );
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("you may spend 0.005 EUR"), "{message}");
    assert_eq!(provider.received().len(), 3);
    assert_eq!(test.number("SELECT sum(nanos)::bigint FROM spending").await, 3_900_000);
    assert_eq!(
        test.number("SELECT count(*) FROM spending WHERE currency = 'EUR'")
            .await,
        1
    );
}

#[tokio::test]
async fn what_was_spent_outlives_the_gateway_and_ends_with_the_month() {
    let (test, provider) = database().await;
    let first = gateway(&test, &provider, per_user("0.002")).await;
    assert_eq!(settled(&first, SHORT).await.status(), 200);
    drop(first);
    let second = gateway(&test, &provider, per_user("0.002")).await;
    refused(within(second.chat(SHORT)).await, 429, "insufficient_quota").await;
    test.tamper("UPDATE spending SET month = month - interval '1 month'")
        .await;
    let third = gateway(&test, &provider, per_user("0.002")).await;
    assert_eq!(settled(&third, SHORT).await.status(), 200);
}

#[tokio::test]
async fn groups_spend_together_and_what_fails_costs_nothing() {
    let (test, _) = database().await;
    let broken = Worker::answering(
        StatusCode::BAD_REQUEST,
        "application/json",
        r#"{"error":{"message":"no"}}"#,
    )
    .await;
    let gateway = gateway(&test, &broken, per_user("0.002")).await;
    for _ in 0..5 {
        assert_eq!(settled(&gateway, SHORT).await.status(), 400);
    }
    assert_eq!(rows(&test).await, 0);
    let provider = Worker::answering(StatusCode::OK, "application/json", ANSWER).await;
    let team = Limits {
        per_group: vec![("system:authenticated".into(), money("0.002"))],
        ..Limits::default()
    };
    limit(&gateway, &provider, team);
    assert_eq!(settled(&gateway, SHORT).await.status(), 200);
    let message = refused(within(gateway.chat(SHORT)).await, 429, "insufficient_quota").await;
    assert!(
        message.contains("the members of group \"system:authenticated\""),
        "{message}"
    );
}

async fn rows(test: &TestDatabase) -> i64 {
    // The table is made when it is first needed.
    test.database.migrate().await.unwrap();
    test.number("SELECT count(*) FROM spending").await
}

#[tokio::test]
async fn who_leaves_a_stream_pays_for_what_came() {
    let test = Postgres::shared().database().await;
    let (provider, pieces) = Worker::streaming(EVENTS).await;
    let gateway = gateway(&test, &provider, per_user("1")).await;
    let mut response = within(gateway.chat(STREAM)).await;
    let event = r#"{"id":"x","model":"theirs","choices":[{"index":0,"delta":{"content":"hi"}}]}"#;
    pieces.send(format!("data: {event}\n\n").into()).await.unwrap();
    within(response.chunk()).await.unwrap().unwrap();
    drop(response);
    within(pieces.closed()).await;
    within(async {
        while rows(&test).await == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    // A token for four bytes of the prompt, and one for the event.
    let expected = STREAM.len() as i64 / 4 * 1_000 + 10_000;
    assert_eq!(test.number("SELECT nanos FROM spending").await, expected);
}

#[tokio::test]
async fn replicas_spend_together() {
    let (test, provider) = database().await;
    test.database.migrate().await.unwrap();
    // No provider may be where a worker is, so there is none.
    let replicas = replicas(&[], 3, |timing| timing.database = Some(test.database.clone())).await;
    // What each may cost is what it does cost, 0.0013 EUR, for the prompt is reckoned by its bytes.
    let body = |padding: usize| json!({"model": "m", "messages": [], "max_tokens": 100, "user": "x".repeat(padding)});
    let padding = 1200 - body(0).to_string().len();
    let body = body(padding).to_string();
    replicas
        .iter()
        .for_each(|gateway| limit(gateway, &provider, per_user("0.026")));
    let asked = (0..60).map(|i| replicas[i % 3].chat(&body));
    let answers = within(futures::future::join_all(asked)).await;
    let admitted = answers.iter().filter(|answer| answer.status() == 200).count();
    let codes: Vec<_> = answers.iter().map(|answer| answer.status().as_u16()).collect();
    assert!(codes.iter().all(|code| [200, 429].contains(code)), "{codes:?}");
    // For a moment one that has ended may count as spent and as set aside.
    assert!((19..=20).contains(&admitted), "{admitted}");
    for gateway in &replicas {
        gateway.gateway.limiter().drain().await;
    }
    let spent = test.number("SELECT sum(nanos)::bigint FROM spending").await;
    assert_eq!(spent, i64::try_from(admitted).unwrap() * 1_300_000);
}

#[tokio::test]
async fn without_a_database_a_limit_of_money_is_refused_by_its_field() {
    let provider = Worker::answering(StatusCode::OK, "application/json", ANSWER).await;
    let gateway = TestGateway::with_workers(&[]).await;
    limit(&gateway, &provider, per_user("5"));
    let message = refused(within(gateway.chat(CHAT)).await, 503, "limits_unusable").await;
    assert!(
        message.contains("spendPerMonth") && message.contains("--database-url-file"),
        "{message}"
    );
    assert!(provider.received().is_empty());
}

#[tokio::test]
async fn a_database_that_is_down_lets_nobody_new_in() {
    let (test, provider) = database().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "postgres://nobody@127.0.0.1:1/none").unwrap();
    let down = store::Database::of_file(file.path().into()).unwrap();
    let gateway = TestGateway::start(&[], |timing| timing.database = Some(down)).await;
    limit(&gateway, &provider, per_user("5"));
    refused(within(gateway.chat(CHAT)).await, 503, "spending_unavailable").await;
    assert!(provider.received().is_empty());
    drop(test);
}

#[tokio::test]
async fn while_the_database_is_down_what_is_known_counts_and_nothing_is_lost() {
    let server = Postgres::start();
    let test = server.database().await;
    let provider = Worker::answering(StatusCode::OK, "application/json", ANSWER).await;
    let gateway = gateway(&test, &provider, per_user("0.005")).await;
    assert_eq!(settled(&gateway, SHORT).await.status(), 200);
    server.kill();
    // 0.0013 are spent, and 0.0011 stay set aside for each that cannot be written down.
    for _ in 0..3 {
        assert_eq!(within(gateway.chat(SHORT)).await.status(), 200);
    }
    refused(within(gateway.chat(SHORT)).await, 429, "insufficient_quota").await;
    server.restart();
    within(async {
        while test.number("SELECT sum(nanos)::bigint FROM spending").await < 5_200_000 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
    refused(within(gateway.chat(SHORT)).await, 429, "insufficient_quota").await;
    assert_eq!(test.number("SELECT sum(nanos)::bigint FROM spending").await, 5_200_000);
}
