//! What callers may use.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::http::StatusCode;
use reqwest::Response;
use tokio::net::TcpListener;

use super::{CHAT, EVENTS, STREAM, refused, within};
use crate::{
    catalog::Model,
    limits::{
        Amount, Limits,
        peers::{Link, Peers, Token},
    },
    testing::{TestGateway, Timing, Worker, model},
};

const JSON: &str = "application/json";
/// 400 tokens.
const ANSWER: &str = r#"{"choices":[],"usage":{"prompt_tokens":300,"completion_tokens":100}}"#;

/// A gateway whose model allows each user so much.
async fn limited(worker: &Worker, requests: u32, tokens: u32, adjust: impl FnOnce(&mut Timing)) -> TestGateway {
    let gateway = TestGateway::start(&[worker], adjust).await;
    limit(&gateway, requests, tokens);
    gateway
}

fn limit(gateway: &TestGateway, requests: u32, tokens: u32) {
    gateway.catalog.apply_model(Model {
        limits: Limits {
            per_user: Some(Amount { requests, tokens }.into()),
            ..Limits::default()
        },
        ..model("ns", "m")
    });
}

fn header(response: &Response, name: &str) -> Option<String> {
    Some(response.headers().get(name)?.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn requests_beyond_the_limit_are_told_when_to_come_back() {
    let worker = Worker::answering(StatusCode::OK, JSON, ANSWER).await;
    let gateway = limited(&worker, 2, u32::MAX, |_| {}).await;
    for left in ["1", "0"] {
        let response = within(gateway.chat(CHAT)).await;
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "x-ratelimit-limit-requests").as_deref(), Some("2"));
        assert_eq!(
            header(&response, "x-ratelimit-remaining-requests").as_deref(),
            Some(left)
        );
        assert_eq!(header(&response, "x-ratelimit-limit-tokens"), None);
    }
    let response = within(gateway.chat(CHAT)).await;
    let wait: u64 = header(&response, "retry-after").unwrap().parse().unwrap();
    assert!((1..=61).contains(&wait), "{wait}");
    let message = refused(response, 429, "rate_limit_exceeded").await;
    assert!(message.contains("2 requests"), "{message}");
    assert_eq!(worker.received().len(), 2);
}

#[tokio::test]
async fn tokens_count_as_the_worker_states_them() {
    let worker = Worker::answering(StatusCode::OK, JSON, ANSWER).await;
    // First noted with 256 and a few, in the end with 400.
    let gateway = limited(&worker, u32::MAX, 1000, |_| {}).await;
    for _ in 0..2 {
        assert_eq!(within(gateway.chat(CHAT)).await.text().await.unwrap(), ANSWER);
    }
    let message = refused(within(gateway.chat(CHAT)).await, 429, "rate_limit_exceeded").await;
    assert!(message.contains("1000 tokens"), "{message}");
    // A short answer is still within it.
    let short = r#"{"model":"m","messages":[],"max_tokens":10}"#;
    assert_eq!(within(gateway.chat(short)).await.status(), 200);
}

#[tokio::test]
async fn a_stream_without_a_statement_is_counted_by_its_events() {
    let events = "data: {}\n\n".repeat(800);
    let worker = Worker::answering(StatusCode::OK, EVENTS, events.leak()).await;
    let gateway = limited(&worker, u32::MAX, 1000, |_| {}).await;
    let response = within(gateway.chat(STREAM)).await;
    assert_eq!(header(&response, "x-ratelimit-limit-tokens").as_deref(), Some("1000"));
    within(response.text()).await.unwrap();
    refused(within(gateway.chat(STREAM)).await, 429, "rate_limit_exceeded").await;
}

#[tokio::test]
async fn what_failed_costs_a_request_and_no_tokens() {
    let worker = Worker::answering(StatusCode::BAD_REQUEST, JSON, "{}").await;
    let gateway = limited(&worker, 5, 300, |_| {}).await;
    for _ in 0..5 {
        assert_eq!(within(gateway.chat(CHAT)).await.status(), 400);
    }
    let message = refused(within(gateway.chat(CHAT)).await, 429, "rate_limit_exceeded").await;
    assert!(message.contains("5 requests"), "{message}");
}

#[tokio::test]
async fn answers_are_cut_to_the_length_that_the_spec_allows() {
    let worker = Worker::answering(StatusCode::OK, JSON, ANSWER).await;
    let gateway = TestGateway::with_workers(&[&worker]).await;
    let mut short = model("ns", "m");
    short.limits.max_tokens = Some(7);
    gateway.catalog.apply_model(short);
    for body in [
        CHAT,
        r#"{"model":"m","messages":[],"max_tokens":900}"#,
        r#"{"model":"m","messages":[],"max_tokens":3}"#,
    ] {
        assert_eq!(within(gateway.chat(body)).await.status(), 200);
    }
    let received: Vec<serde_json::Value> = worker
        .received()
        .iter()
        .map(|it| serde_json::from_str(&it.body).unwrap())
        .collect();
    let cut: Vec<_> = received.iter().map(|body| body["max_tokens"].as_u64()).collect();
    assert_eq!(cut, [Some(7), Some(7), Some(3)]);
}

/// Replicas on loopback addresses that count together; their admin ports are one number.
pub(super) async fn replicas(workers: &[&Worker], count: u8, adjust: impl Fn(&mut Timing)) -> Vec<TestGateway> {
    let address = |i: u8| IpAddr::from([127, 0, 0, 1 + i]);
    let (port, listeners) = listeners((0..count).map(address).collect()).await;
    let token: Token = Arc::new(|| Ok("gateways".into()));
    let mut replicas = Vec::new();
    for (i, listener) in listeners.into_iter().enumerate() {
        let link = Link {
            own: address(i as u8),
            port,
            token: token.clone(),
        };
        let peers = Arc::new(Peers::linked(link).unwrap());
        peers.set((0..count).map(address));
        let with_peers = |timing: &mut Timing| {
            timing.peers = peers;
            adjust(timing);
        };
        let gateway = TestGateway::start(workers, with_peers).await;
        let routes = gateway.gateway.peer_routes(token.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        replicas.push(gateway);
    }
    replicas
}

/// A port that is free at all addresses.
async fn listeners(addresses: Vec<IpAddr>) -> (u16, Vec<TcpListener>) {
    loop {
        let first = TcpListener::bind(SocketAddr::new(addresses[0], 0)).await.unwrap();
        let port = first.local_addr().unwrap().port();
        let mut listeners = vec![first];
        for address in &addresses[1..] {
            listeners.extend(TcpListener::bind(SocketAddr::new(*address, port)).await.ok());
        }
        if listeners.len() == addresses.len() {
            return (port, listeners);
        }
    }
}

#[tokio::test]
async fn replicas_count_together() {
    let worker = Worker::answering(StatusCode::OK, JSON, ANSWER).await;
    let replicas = replicas(&[&worker], 3, |_| {}).await;
    replicas.iter().for_each(|gateway| limit(gateway, 20, u32::MAX));
    let requests = (0..60).map(|i| replicas[i % 3].chat(CHAT));
    let answers = within(futures::future::join_all(requests)).await;
    let admitted = answers.iter().filter(|answer| answer.status() == 200).count();
    assert_eq!(admitted, 20);
    assert!(
        answers
            .iter()
            .all(|answer| [200, 429].contains(&answer.status().as_u16()))
    );
}

#[tokio::test]
async fn only_gateways_may_count() {
    let worker = Worker::answering(StatusCode::OK, JSON, ANSWER).await;
    let token: Token = Arc::new(|| Ok("gateways".into()));
    let peers = Arc::new(Peers::alone());
    let gateway = limited(&worker, 1, 1, |timing| timing.peers = peers).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = gateway.gateway.peer_routes(token);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let settle = |token: &str| {
        let nothing = serde_json::json!({"requests": 0, "tokens": 0});
        let request = gateway
            .client
            .post(format!("http://{address}/peers/limits/settle"))
            .bearer_auth(token);
        request
            .json(&serde_json::json!({"key": "k", "second": 1, "noted": nothing, "used": nothing}))
            .send()
    };
    assert_eq!(settle("gateways").await.unwrap().status(), 200);
    assert_eq!(settle("good").await.unwrap().status(), 404);
    assert_eq!(settle("none").await.unwrap().status(), 401);
}
