//! Time to the first byte, and how it is shared among tries.

use std::{net::SocketAddr, time::Duration};

use axum::http::StatusCode;
use reqwest::{Method, Response};
use tokio::{io::AsyncReadExt, net::TcpListener, sync::mpsc};

use super::{CHAT, EVENTS, STREAM, read_request, refused, within};
use crate::{
    catalog::Model,
    testing::{TestGateway, VERSION, Worker, model},
};

const JSON: &str = "application/json";

/// Takes requests and never answers; tells of each, and of the end of its connection.
async fn hanging() -> (SocketAddr, mpsc::UnboundedReceiver<&'static str>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let sender = sender.clone();
            tokio::spawn(async move {
                read_request(&mut stream).await;
                let _ = sender.send("taken");
                let _ = stream.read(&mut [0]).await;
                let _ = sender.send("left");
            });
        }
    });
    (address, receiver)
}

/// Asks within so many seconds.
async fn hurried(gateway: &TestGateway, body: &str, wait: &str) -> Response {
    let request = gateway
        .request(Method::POST, "/v1/chat/completions")
        .header("prefer", format!("wait={wait}"));
    within(request.body(body.to_owned()).send()).await.unwrap()
}

#[tokio::test]
async fn a_worker_that_hangs_leaves_time_for_another() {
    let (hanging, mut seen) = hanging().await;
    let good = Worker::answering(StatusCode::OK, JSON, "{}").await;
    let gateway = TestGateway::with_workers(&[&good]).await;
    gateway.set_workers("m", VERSION, &[hanging, good.address]);
    // Some of these meet the one that hangs first.
    while seen.try_recv().is_err() {
        let response = hurried(&gateway, CHAT, "2").await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["preference-applied"], "wait=2");
    }
    // It was left, so that it need not go on.
    assert_eq!(within(seen.recv()).await, Some("left"));
}

#[tokio::test]
async fn streams_share_the_time_without_a_wish_too() {
    let (hanging, mut seen) = hanging().await;
    let good = Worker::answering(StatusCode::OK, EVENTS, "data: {}\n\n").await;
    let gateway = TestGateway::start(&[], |timing| timing.upstream.first_byte = Duration::from_secs(2)).await;
    gateway.set_workers("m", VERSION, &[hanging, good.address]);
    while seen.try_recv().is_err() {
        assert_eq!(within(gateway.chat(STREAM)).await.status(), 200);
    }
}

#[tokio::test]
async fn a_request_that_hangs_workers_does_not_hang_them_all() {
    let (mut hangs, mut addresses) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let (address, seen) = hanging().await;
        hangs.push(seen);
        addresses.push(address);
    }
    let gateway = TestGateway::with_workers(&[]).await;
    gateway.set_workers("m", VERSION, &addresses);
    let response = hurried(&gateway, CHAT, "1").await;
    refused(response, 504, "upstream_timeout").await;
    let taken = hangs.iter_mut().filter_map(|seen| seen.try_recv().ok());
    assert_eq!(taken.filter(|what| *what == "taken").count(), 2);
}

#[tokio::test]
async fn a_model_that_hangs_leaves_time_for_its_fallback() {
    let (hanging, _seen) = hanging().await;
    let other = Worker::answering(StatusCode::OK, JSON, "{}").await;
    let gateway = TestGateway::with_workers(&[]).await;
    gateway.set_workers("m", VERSION, &[hanging]);
    gateway.catalog.apply_model(Model {
        fallback: vec!["other".into()],
        ..model("ns", "m")
    });
    gateway.catalog.apply_model(model("ns", "other"));
    gateway.set_workers("other", VERSION, &[other.address]);
    let response = hurried(&gateway, CHAT, "2").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-atelier-answered-by"], "ns/other");
}

#[tokio::test]
async fn who_does_not_wait_for_a_worker_hears_so_in_time() {
    let gateway = TestGateway::with_workers(&[]).await;
    // Patience of 30 s, which is cut short.
    refused(hurried(&gateway, CHAT, "1").await, 503, "model_not_ready").await;
}

#[tokio::test]
async fn what_fails_all_requests_is_not_made_worse() {
    const REQUESTS: usize = 40;
    let (addresses, mut counts): (Vec<_>, Vec<_>) = {
        let workers = [hanging().await, hanging().await, hanging().await];
        workers.into_iter().unzip()
    };
    let gateway = TestGateway::with_workers(&[]).await;
    gateway.set_workers("m", VERSION, &addresses);
    let asked = (0..REQUESTS).map(|_| hurried(&gateway, CHAT, "4"));
    for response in within(futures::future::join_all(asked)).await {
        refused(response, 504, "upstream_timeout").await;
    }
    let mut tries = 0;
    for count in &mut counts {
        tries += std::iter::from_fn(|| count.try_recv().ok())
            .filter(|what| *what == "taken")
            .count();
    }
    // A fifth, or ten, are sent again.
    assert_eq!(tries, REQUESTS + 10);
    let families = gateway.metrics.registry.gather();
    let text = prometheus::TextEncoder::new().encode_to_string(&families).unwrap();
    let refused = "atelier_gateway_upstream_attempts_total{outcome=\"over_retry_budget\"} 30\n";
    assert!(text.contains(refused), "{text}");
}
