//! How many requests may be under way at once.

use std::convert::Infallible;

use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use bytes::Bytes;
use futures::{StreamExt, future::join_all, stream};

use super::{CHAT, EVENTS, STREAM, quotas::replicas, refused, within};
use crate::{
    catalog::Model,
    limits::{Allowance, Amount, Limits},
    testing::{TestGateway, Worker, model},
};

/// A worker whose streams begin and never end.
async fn endless() -> Worker {
    Worker::start(|| {
        let first = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"data: {}\n\n"))]);
        Response::builder()
            .header("content-type", EVENTS)
            .body(Body::from_stream(first.chain(stream::pending())))
            .unwrap()
    })
    .await
}

fn at_once(limit: u32) -> Allowance {
    Allowance {
        concurrent: Some(limit),
        ..Amount::UNLIMITED.into()
    }
}

fn limit(gateway: &TestGateway, limits: Limits) {
    gateway.catalog.apply_model(Model {
        limits,
        ..model("ns", "m")
    });
}

fn per_user(requests: u32) -> Limits {
    Limits {
        per_user: Some(at_once(requests)),
        ..Limits::default()
    }
}

#[tokio::test]
async fn streams_beyond_the_limit_are_refused_until_a_client_leaves() {
    let worker = endless().await;
    let gateway = TestGateway::with_workers(&[&worker]).await;
    limit(&gateway, per_user(2));
    let first = within(gateway.chat(STREAM)).await;
    let _second = within(gateway.chat(STREAM)).await;
    let response = within(gateway.chat(STREAM)).await;
    assert_eq!(response.headers()["retry-after"], "1");
    let message = refused(response, 429, "concurrency_limit_exceeded").await;
    assert!(message.contains("you may have 2 requests"), "{message}");
    drop(first);
    within(async { while gateway.chat(STREAM).await.status() != 200 {} }).await;
}

#[tokio::test]
async fn whatever_ends_a_request_frees_its_place() {
    let worker = Worker::answering(StatusCode::OK, "application/json", "{}").await;
    let gateway = TestGateway::with_workers(&[&worker]).await;
    limit(&gateway, per_user(1));
    for _ in 0..5 {
        assert_eq!(within(gateway.chat(CHAT)).await.text().await.unwrap(), "{}");
    }
    worker.kill();
    gateway.set_workers("m", crate::testing::VERSION, &[]);
    let mut off = model("ns", "m");
    off.limits = per_user(1);
    off.readiness.ready = false;
    gateway.catalog.apply_model(off);
    for _ in 0..3 {
        refused(within(gateway.chat(CHAT)).await, 503, "model_not_ready").await;
    }
}

#[tokio::test]
async fn replicas_count_streams_together() {
    let worker = endless().await;
    let replicas = replicas(&[&worker], 3, |_| {}).await;
    replicas.iter().for_each(|gateway| limit(gateway, per_user(20)));
    let asked = (0..60).map(|i| replicas[i % 3].chat(STREAM));
    let mut answers = within(join_all(asked)).await;
    answers.retain(|answer| answer.status() == 200);
    assert_eq!(answers.len(), 20);
    // What is held is asked for again, at whoever counts, and taken twice by nobody.
    for gateway in &replicas {
        gateway.gateway.limiter().renew().await;
    }
    refused(
        within(replicas[0].chat(STREAM)).await,
        429,
        "concurrency_limit_exceeded",
    )
    .await;
    answers.truncate(15);
    let mut again = Vec::new();
    within(async {
        while again.len() < 5 {
            let answer = replicas[again.len() % 3].chat(STREAM).await;
            again.extend((answer.status() == 200).then_some(answer));
        }
    })
    .await;
    refused(
        within(replicas[1].chat(STREAM)).await,
        429,
        "concurrency_limit_exceeded",
    )
    .await;
}

#[tokio::test]
async fn a_new_counter_learns_of_the_streams_under_way() {
    let worker = endless().await;
    let replicas = replicas(&[&worker], 2, |_| {}).await;
    replicas.iter().for_each(|gateway| limit(gateway, per_user(4)));
    let mut streams = Vec::new();
    for i in 0..4 {
        streams.push(within(replicas[i % 2].chat(STREAM)).await);
    }
    // From now on each sees the other one gone, and counts for itself.
    for gateway in &replicas {
        gateway.peers.set([]);
        gateway.gateway.limiter().renew().await;
    }
    let mut admitted = Vec::new();
    for gateway in &replicas {
        let more = join_all((0..3).map(|_| gateway.chat(STREAM)));
        let more = within(more).await.into_iter().filter(|answer| answer.status() == 200);
        admitted.push(more.collect::<Vec<_>>());
    }
    admitted.sort_by_key(Vec::len);
    // Who counted before knows of all four, the other one of the two that it holds.
    assert_eq!((admitted[0].len(), admitted[1].len()), (0, 2));
}
