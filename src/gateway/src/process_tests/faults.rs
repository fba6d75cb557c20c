//! Workers that die or fall silent, and clients that leave.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use bytes::Bytes;
use futures::{StreamExt, future::join_all, stream};
use tokio::{io::AsyncReadExt, net::TcpListener};

use super::{CHAT, EVENTS, STREAM, read_request, refused, within};
use crate::balance::Preference;
use crate::testing::{TestGateway, VERSION, Worker, model};

/// The data of the `error` event that ends `text`, and what came before it.
fn split_error(text: &str) -> (&str, serde_json::Value) {
    let (before, event) = text
        .split_once("event: error\ndata: ")
        .unwrap_or_else(|| panic!("{text}"));
    let data = event.strip_suffix("\n\n").unwrap();
    (before, serde_json::from_str(data).unwrap())
}

#[tokio::test]
async fn a_worker_killed_in_a_stream_ends_it_with_an_error_event() {
    let (worker, tokens) = Worker::streaming(EVENTS).await;
    let gateway = TestGateway::with_workers(&[&worker]).await;
    let mut response = within(gateway.chat(STREAM)).await;
    tokens
        .send(Bytes::from_static(b"data: {\"n\":1}\n\ndata: {\"ha"))
        .await
        .unwrap();
    let first = within(response.chunk()).await.unwrap().unwrap();
    worker.kill();
    let rest = within(response.text()).await.unwrap();
    assert_eq!(first, "data: {\"n\":1}\n\n");
    let (before, error) = split_error(&rest);
    assert_eq!(before, "", "the half event is not passed on");
    assert_eq!(error["error"]["code"], "upstream_failed");
}

#[tokio::test]
async fn a_worker_silent_in_a_stream_ends_it_with_an_error_event() {
    let (worker, tokens) = Worker::streaming(EVENTS).await;
    let gateway = TestGateway::start(&[&worker], |timing| timing.upstream.idle = Duration::from_millis(200)).await;
    let response = within(gateway.chat(STREAM)).await;
    tokens.send(Bytes::from_static(b"data: {\"n\":1}\n\n")).await.unwrap();
    let text = within(response.text()).await.unwrap();
    let (before, error) = split_error(&text);
    assert_eq!(before, "data: {\"n\":1}\n\n");
    assert_eq!(error["error"]["code"], "upstream_timeout");
    within(tokens.closed()).await;
}

#[tokio::test]
async fn a_whole_answer_cut_short_is_no_whole_answer() {
    let (worker, pieces) = Worker::streaming("application/json").await;
    let gateway = TestGateway::with_workers(&[&worker]).await;
    pieces.send(Bytes::from_static(b"{\"choices\":[")).await.unwrap();
    let response = within(gateway.chat(CHAT)).await;
    worker.kill();
    assert!(within(response.text()).await.is_err());
}

#[tokio::test]
async fn a_worker_that_never_answers_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = TestGateway::start(&[], |timing| timing.upstream.first_byte = Duration::from_millis(200)).await;
    gateway.set_workers("m", VERSION, &[silent.local_addr().unwrap()]);
    refused(within(gateway.chat(CHAT)).await, 504, "upstream_timeout").await;
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_stops_the_worker() {
    let (worker, tokens) = Worker::streaming(EVENTS).await;
    let gateway = TestGateway::with_workers(&[&worker]).await;
    let mut response = within(gateway.chat(STREAM)).await;
    tokens.send(Bytes::from_static(b"data: {\"n\":1}\n\n")).await.unwrap();
    within(response.chunk()).await.unwrap().unwrap();
    drop(response);
    within(tokens.closed()).await;
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_stops_the_worker() {
    let worker = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = TestGateway::with_workers(&[]).await;
    gateway.set_workers("m", VERSION, &[worker.local_addr().unwrap()]);
    let request = gateway
        .request(reqwest::Method::POST, "/v1/chat/completions")
        .body(CHAT);
    let client = tokio::spawn(request.send());
    let (mut connection, _) = within(worker.accept()).await.unwrap();
    within(read_request(&mut connection)).await;
    client.abort();
    let mut rest = Vec::new();
    // The end of the connection, in whatever way it is told.
    let _ = within(connection.read_to_end(&mut rest)).await;
    assert!(rest.is_empty());
    drop(gateway);
}

/// Waits until the worker of `ns/m` has no request under way.
async fn until_idle(gateway: &TestGateway) {
    let model = model("ns", "m");
    within(async {
        // The lease of the look itself is the one that remains.
        while gateway
            .catalog
            .pick_current(&model, &[], Preference::default())
            .unwrap()
            .endpoint()
            .in_flight()
            > 1
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn many_clients_that_leave_leave_no_load_behind() {
    let endless = Worker::start(|| {
        let events = stream::repeat(Bytes::from_static(b"data: {}\n\n")).map(Ok::<_, Infallible>);
        let paced = events.then(async |event| {
            tokio::time::sleep(Duration::from_millis(1)).await;
            event
        });
        Response::builder()
            .header("content-type", EVENTS)
            .body(Body::from_stream(paced))
            .unwrap()
    })
    .await;
    let gateway = TestGateway::with_workers(&[&endless]).await;
    let client = async || {
        let mut response = gateway.chat(STREAM).await;
        response.chunk().await.unwrap().unwrap();
    };
    within(join_all((0..50).map(|_| client()))).await;
    until_idle(&gateway).await;
}

#[tokio::test]
async fn load_is_counted_while_a_stream_lasts() {
    let (busy, tokens) = Worker::streaming(EVENTS).await;
    let gateway = TestGateway::with_workers(&[&busy]).await;
    let response = within(gateway.chat(STREAM)).await;
    let idle = Worker::answering(StatusCode::OK, "application/json", "{}").await;
    gateway.set_workers("m", VERSION, &[busy.address, idle.address]);
    for _ in 0..20 {
        assert_eq!(within(gateway.chat(CHAT)).await.status(), 200);
    }
    assert_eq!((busy.received().len(), idle.received().len()), (1, 20));
    drop(tokens);
    assert_eq!(within(response.bytes_stream().count()).await, 0);
}
