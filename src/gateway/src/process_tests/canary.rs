//! A version on trial gets its share, and nobody pays for it.

use axum::http::StatusCode;
use rstest::rstest;
use serde_json::json;

use super::within;
use crate::{
    catalog::Canary,
    testing::{TestGateway, VERSION, Worker, model},
};

const NEXT: &str = "v-9876543210";

async fn answering(status: StatusCode, body: &'static str) -> Worker {
    Worker::answering(status, "application/json", body).await
}

async fn gateway(current: &Worker, canary: &Worker, weight: u8) -> TestGateway {
    let gateway = TestGateway::with_workers(&[current]).await;
    gateway.set_workers("m", NEXT, &[canary.address]);
    let mut on_trial = model("ns", "m");
    on_trial.canary = Some(Canary {
        version: NEXT.into(),
        weight,
    });
    gateway.catalog.apply_model(on_trial);
    gateway
}

fn question(i: usize) -> String {
    json!({"model": "m", "messages": [{"role": "user", "content": format!("question {i}")}]}).to_string()
}

#[tokio::test]
async fn a_share_of_the_conversations_goes_to_the_new_version() {
    let (old, new) = (
        answering(StatusCode::OK, "old").await,
        answering(StatusCode::OK, "new").await,
    );
    let gateway = gateway(&old, &new, 50).await;
    let mut answers = Vec::new();
    for i in 0..40 {
        let answer = within(gateway.chat(&question(i))).await.text().await.unwrap();
        // A conversation stays where it is.
        assert_eq!(
            within(gateway.chat(&question(i))).await.text().await.unwrap(),
            answer,
            "{i}"
        );
        answers.push(answer);
    }
    for side in ["old", "new"] {
        let count = answers.iter().filter(|answer| *answer == side).count();
        assert!((5..=35).contains(&count), "{side}: {count}");
    }
    // Whoever names a version gets it.
    for (version, expected) in [(VERSION, "old"), (NEXT, "new")] {
        let body = question(0).replace("\"m\"", &format!("\"m@{version}\""));
        assert_eq!(within(gateway.chat(&body)).await.text().await.unwrap(), expected);
    }
    let traffic = gateway.catalog.traffic();
    let new_ones = answers.iter().filter(|answer| *answer == "new").count() as u64;
    let seen = traffic.of("ns", "m", NEXT).unwrap();
    assert_eq!((seen.succeeded, seen.failed, seen.in_flight), (2 * new_ones + 1, 0, 0));
}

#[rstest]
#[case::server_error(StatusCode::INTERNAL_SERVER_ERROR)]
#[case::bad_gateway(StatusCode::BAD_GATEWAY)]
#[case::what_the_other_would_not_refuse(StatusCode::BAD_REQUEST)]
#[case::overloaded(StatusCode::TOO_MANY_REQUESTS)]
#[tokio::test]
async fn what_the_new_version_fails_the_current_one_answers(#[case] status: StatusCode) {
    let (old, new) = (
        answering(StatusCode::OK, "old").await,
        answering(status, "broken").await,
    );
    let gateway = gateway(&old, &new, 100).await;
    for i in 0..5 {
        let response = within(gateway.chat(&question(i))).await;
        assert_eq!(
            (response.status(), response.text().await.unwrap().as_str()),
            (StatusCode::OK, "old")
        );
    }
    let traffic = gateway.catalog.traffic();
    let of = |version| traffic.of("ns", "m", version).unwrap();
    assert_eq!((of(NEXT).failed, of(NEXT).succeeded), (5, 0));
    assert_eq!((of(VERSION).failed, of(VERSION).succeeded), (0, 5));
}

#[tokio::test]
async fn a_new_version_that_cannot_be_reached_costs_no_request() {
    let (old, new) = (
        answering(StatusCode::OK, "old").await,
        answering(StatusCode::OK, "new").await,
    );
    let gateway = gateway(&old, &new, 100).await;
    new.kill();
    for i in 0..5 {
        let response = within(gateway.chat(&question(i))).await;
        assert_eq!(response.text().await.unwrap(), "old");
    }
    // Nor one without workers.
    gateway.set_workers("m", NEXT, &[]);
    assert_eq!(within(gateway.chat(&question(9))).await.text().await.unwrap(), "old");
}

#[tokio::test]
async fn what_a_client_did_wrong_is_told_and_counts_for_no_version() {
    let (old, new) = (
        answering(StatusCode::BAD_REQUEST, "no").await,
        answering(StatusCode::BAD_REQUEST, "neither").await,
    );
    let gateway = gateway(&old, &new, 100).await;
    let response = within(gateway.chat(&question(0))).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(response.text().await.unwrap(), "no");
    assert_eq!(gateway.catalog.traffic().of("ns", "m", NEXT).unwrap().failed, 0);
}
