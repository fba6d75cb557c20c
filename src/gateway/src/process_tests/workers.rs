//! Which worker a request goes to, and when it is offered to another.

use std::{net::SocketAddr, time::Duration};

use axum::http::StatusCode;
use tokio::net::{TcpListener, TcpStream};

use super::{CHAT, answer, read_request, refused, within};
use crate::{
    catalog::Readiness,
    testing::{TestGateway, VERSION, Worker, model},
};

async fn answering(body: &'static str) -> Worker {
    Worker::answering(StatusCode::OK, "application/json", body).await
}

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Takes requests and closes the connection instead of an answer; tells of each on the channel.
async fn breaker() -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            let _ = sender.send(());
        }
    });
    (address, receiver)
}

#[tokio::test]
async fn a_worker_that_refuses_connections_is_passed_over() {
    let worker = answering("fine").await;
    let gateway = TestGateway::with_workers(&[]).await;
    gateway.set_workers("m", VERSION, &[nobody().await, nobody().await, worker.address]);
    for _ in 0..10 {
        let response = within(gateway.chat(CHAT)).await;
        assert_eq!(response.text().await.unwrap(), "fine");
    }
}

#[tokio::test]
async fn a_stopping_worker_is_passed_over() {
    let stopping = Worker::answering(StatusCode::SERVICE_UNAVAILABLE, "application/json", "{}").await;
    let worker = answering("fine").await;
    let gateway = TestGateway::with_workers(&[&stopping, &worker]).await;
    for _ in 0..10 {
        assert_eq!(within(gateway.chat(CHAT)).await.text().await.unwrap(), "fine");
    }
}

#[tokio::test]
async fn a_broken_connection_is_mended_once() {
    let worker = answering("fine").await;
    let (broken, _seen) = breaker().await;
    let gateway = TestGateway::with_workers(&[]).await;
    gateway.set_workers("m", VERSION, &[broken, worker.address]);
    for _ in 0..10 {
        assert_eq!(within(gateway.chat(CHAT)).await.text().await.unwrap(), "fine");
    }
}

#[tokio::test]
async fn a_request_that_kills_workers_does_not_kill_them_all() {
    let mut breakers = Vec::new();
    for _ in 0..4 {
        breakers.push(breaker().await);
    }
    let gateway = TestGateway::with_workers(&[]).await;
    let addresses: Vec<_> = breakers.iter().map(|(address, _)| *address).collect();
    gateway.set_workers("m", VERSION, &addresses);
    refused(within(gateway.chat(CHAT)).await, 502, "upstream_failed").await;
    let seen: usize = breakers
        .iter_mut()
        .map(|(_, seen)| usize::from(seen.try_recv().is_ok()))
        .sum();
    assert_eq!(seen, 2);
}

#[tokio::test]
async fn when_nobody_answers_the_client_hears_so() {
    let gateway = TestGateway::start(&[], |timing| timing.patience = Duration::ZERO).await;
    gateway.set_workers("m", VERSION, &[nobody().await]);
    let response = within(gateway.chat(CHAT)).await;
    assert!(response.headers().contains_key("retry-after"));
    refused(response, 503, "upstream_unavailable").await;
}

#[tokio::test]
async fn a_model_that_is_not_ready_says_why() {
    let gateway = TestGateway::with_workers(&[]).await;
    let mut pending = model("ns", "m");
    pending.current_version = None;
    pending.readiness = Readiness {
        ready: false,
        reason: "DigestMismatch".into(),
        message: "the file is another one".into(),
    };
    gateway.catalog.apply_model(pending);
    let response = within(gateway.chat(CHAT)).await;
    assert_eq!(response.headers()["retry-after"], "5");
    let message = refused(response, 503, "model_not_ready").await;
    assert!(message.contains("DigestMismatch: the file is another one"), "{message}");
}

/// Answers a request on a connection, then reads the next one there and closes without an answer.
async fn forgetful(mut connection: TcpStream) {
    read_request(&mut connection).await;
    answer(&mut connection, "fine").await;
    read_request(&mut connection).await;
}

#[tokio::test]
async fn a_kept_connection_that_its_worker_closes_costs_no_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = TestGateway::with_workers(&[]).await;
    gateway.set_workers("m", VERSION, &[listener.local_addr().unwrap()]);
    tokio::spawn(async move {
        loop {
            tokio::spawn(forgetful(listener.accept().await.unwrap().0));
        }
    });
    for _ in 0..4 {
        assert_eq!(within(gateway.chat(CHAT)).await.text().await.unwrap(), "fine");
    }
}

#[tokio::test]
async fn the_only_worker_is_tried_again_when_it_was_out_of_reach() {
    let address = nobody().await;
    let gateway = TestGateway::with_workers(&[]).await;
    gateway.set_workers("m", VERSION, &[address]);
    let late = async {
        // Any time is right; after the first try is the interesting one.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let (mut connection, _) = TcpListener::bind(address).await.unwrap().accept().await.unwrap();
        read_request(&mut connection).await;
        answer(&mut connection, "fine").await;
    };
    let (response, ()) = within(futures::future::join(gateway.chat(CHAT), late)).await;
    assert_eq!(response.text().await.unwrap(), "fine");
}

#[tokio::test]
async fn a_wanted_version_is_served_beside_the_current_one() {
    let (current, previous) = (answering("current").await, answering("previous").await);
    let gateway = TestGateway::with_workers(&[&current]).await;
    gateway.set_workers("m", "v-old", &[previous.address]);
    let response = within(gateway.chat(r#"{"model":"m@v-old"}"#)).await;
    assert_eq!(response.text().await.unwrap(), "previous");
    assert_eq!(within(gateway.chat(CHAT)).await.text().await.unwrap(), "current");
}
