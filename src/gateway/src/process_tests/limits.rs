//! Requests that are too large or too slow.

use std::{convert::Infallible, time::Duration};

use axum::http::StatusCode;
use futures::{StreamExt, stream};
use reqwest::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{CHAT, refused, within};
use crate::testing::{TestGateway, Worker};

async fn gateway() -> TestGateway {
    TestGateway::with_workers(&[]).await
}

#[tokio::test]
async fn an_announced_giant_is_refused_unread() {
    let gateway = gateway().await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nauthorization: Bearer good\r\n\
                content-length: 1000000000\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    within(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn an_endless_body_is_refused_and_the_client_gets_to_know() {
    let gateway = gateway().await;
    let piece = "x".repeat(64 << 10);
    // 8 MiB in chunks, against a limit of 1 MiB; the client reads only after it has sent it all.
    let pieces = stream::repeat(piece).take(128).map(Ok::<_, Infallible>);
    let request = gateway
        .request(Method::POST, "/v1/chat/completions")
        .body(reqwest::Body::wrap_stream(pieces));
    refused(within(request.send()).await.unwrap(), 413, "request_too_large").await;
}

#[tokio::test]
async fn who_may_not_ask_cannot_send_a_body_either() {
    let gateway = gateway().await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ncontent-length: 1000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    within(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 401");
}

#[tokio::test]
async fn a_giant_head_is_refused() {
    let gateway = gateway().await;
    let request = gateway
        .request(Method::GET, "/v1/models")
        .header("x-padding", "x".repeat(100 << 10));
    // The server may close before all is sent; then there is no answer to read.
    if let Ok(response) = within(request.send()).await {
        assert_eq!(response.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
}

#[tokio::test]
async fn a_head_that_drips_is_cut_off() {
    let gateway = TestGateway::start(&[], |timing| timing.server.head_timeout = Duration::from_millis(200)).await;
    for sent in ["", "GET /v1/models HTTP/1.1\r\nx-slow: "] {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = within(stream.read_to_end(&mut answer)).await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_their_turn() {
    let worker = Worker::answering(StatusCode::OK, "application/json", "{}").await;
    let gateway = TestGateway::start(&[&worker], |timing| timing.server.max_connections = 1).await;
    let first = TcpStream::connect(gateway.address).await.unwrap();
    let second = gateway.chat(CHAT);
    let leave = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(first);
    };
    let (response, ()) = within(futures::future::join(second, leave)).await;
    assert_eq!(response.status(), 200);
}
