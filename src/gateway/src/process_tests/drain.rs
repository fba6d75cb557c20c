//! SIGTERM: nobody who was let in is thrown out before the deadline.

use std::time::Duration;

use axum::http::StatusCode;
use bytes::Bytes;
use tokio::net::TcpStream;

use super::{CHAT, EVENTS, STREAM, within};
use crate::testing::{TestGateway, Worker};

#[tokio::test]
async fn streams_are_finished_and_new_connections_refused() {
    let (worker, tokens) = Worker::streaming(EVENTS).await;
    let mut gateway = TestGateway::with_workers(&[&worker]).await;
    let mut response = within(gateway.chat(STREAM)).await;
    let serving = gateway.stop();
    within(async {
        while TcpStream::connect(gateway.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    for token in ["data: 1\n\n", "data: [DONE]\n\n"] {
        tokens.send(Bytes::from_static(token.as_bytes())).await.unwrap();
        assert_eq!(within(response.chunk()).await.unwrap().unwrap(), token);
    }
    assert!(!serving.is_finished());
    drop(tokens);
    assert_eq!(within(response.chunk()).await.unwrap(), None);
    within(serving).await.unwrap();
}

#[tokio::test]
async fn until_the_news_has_spread_requests_are_served_and_clients_sent_away() {
    let worker = Worker::answering(StatusCode::OK, "application/json", "{}").await;
    let adjust = |timing: &mut crate::testing::Timing| timing.server.drain_delay = Duration::from_secs(1);
    let mut gateway = TestGateway::start(&[&worker], adjust).await;
    assert!(!within(gateway.chat(CHAT)).await.headers().contains_key("connection"));
    let serving = gateway.stop();
    loop {
        let response = within(gateway.chat(CHAT)).await;
        assert_eq!(response.status(), 200);
        if response
            .headers()
            .get("connection")
            .is_some_and(|value| value == "close")
        {
            break;
        }
    }
    within(serving).await.unwrap();
}

#[tokio::test]
async fn the_deadline_ends_what_does_not_end() {
    let (worker, _tokens) = Worker::streaming(EVENTS).await;
    let adjust = |timing: &mut crate::testing::Timing| timing.server.drain_deadline = Duration::from_millis(200);
    let mut gateway = TestGateway::start(&[&worker], adjust).await;
    let response = within(gateway.chat(STREAM)).await;
    within(gateway.stop()).await.unwrap();
    assert!(
        within(response.text()).await.is_err(),
        "a cut stream must not look complete"
    );
}
