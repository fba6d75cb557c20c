//! The gateway as its clients and workers meet it: real HTTP on loopback, only Kubernetes is scripted.

mod access;
mod adapters;
mod audit;
mod behind_tls;
mod canary;
mod concurrency;
mod console;
mod content;
mod deadlines;
mod drain;
mod fallback;
mod faults;
mod feedback;
mod grpc;
mod guard;
mod hedges;
mod hold;
mod hosted;
mod limits;
mod oidc;
mod openapi;
mod outliers;
mod passage;
mod quotas;
mod rollout;
mod rooms;
mod shadows;
mod spending;
mod tls;
mod trace;
mod usage;
mod wire;
mod workers;

use std::{future::Future, time::Duration};

use axum::http::StatusCode;
use reqwest::Response;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A minimal good request.
const CHAT: &str = r#"{"model":"m","messages":[]}"#;
/// The same, streaming.
const STREAM: &str = r#"{"model":"m","messages":[],"stream":true}"#;

/// The type of a stream of server-sent events.
const EVENTS: &str = "text/event-stream";

/// Fails a test that hangs. Nothing is measured.
async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future)
        .await
        .expect("the test hangs")
}

/// Status and error object of a refusal.
async fn refusal(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let text = response.text().await.unwrap();
    let json: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}"));
    let error = json["error"].clone();
    for field in ["message", "type", "code"] {
        assert!(error[field].is_string(), "{field} in {json}");
    }
    (status, error)
}

/// Asserts a refusal's status and code, and returns its message.
async fn refused(response: Response, status: u16, code: &str) -> String {
    let (got, error) = refusal(response).await;
    assert_eq!((got.as_u16(), error["code"].as_str()), (status, Some(code)), "{error}");
    error["message"].as_str().unwrap().to_owned()
}

/// Reads the head of an HTTP request with a `content-length` body, and the body.
async fn read_request(stream: &mut TcpStream) {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await.unwrap();
        assert_ne!(count, 0, "the gateway left early");
        seen.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&seen).to_ascii_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
        if body.len() >= length.parse().unwrap() {
            return;
        }
    }
}

/// Answers a request with `body`; the connection stays open.
async fn answer(stream: &mut TcpStream, body: &str) {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes()).await.unwrap();
}
