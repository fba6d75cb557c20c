//! A second worker for requests whose answer is late.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::http::StatusCode;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

use super::{CHAT, EVENTS, STREAM, read_request, refused, within};
use crate::{
    catalog::Model,
    limits::{Amount, Limits},
    testing::{TestGateway, VERSION, Worker, model},
};

/// A worker that streams an event at once until it is told to hang; tells when a request that hangs is left.
pub(super) struct Moody {
    pub(super) address: SocketAddr,
    pub(super) hangs: Arc<AtomicBool>,
    events: mpsc::UnboundedReceiver<&'static str>,
}

pub(super) async fn moody() -> Moody {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, events) = mpsc::unbounded_channel();
    let hangs = Arc::new(AtomicBool::new(false));
    let mood = hangs.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (sender, mood) = (sender.clone(), mood.clone());
            tokio::spawn(async move {
                read_request(&mut stream).await;
                if mood.load(Ordering::Relaxed) {
                    let _ = sender.send("taken");
                    let _ = stream.read(&mut [0]).await;
                    let _ = sender.send("left");
                    return;
                }
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: {EVENTS}\r\nconnection: close\r\n\r\ndata: {{\"by\":\"moody\"}}\n\n"
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            });
        }
    });
    Moody { address, hangs, events }
}

/// Asks often enough for it to be known what is late.
pub(super) async fn learned(gateway: &TestGateway) {
    for _ in 0..40 {
        within(gateway.chat(STREAM)).await.text().await.unwrap();
    }
}

pub(super) fn attempts(gateway: &TestGateway, outcome: &str) -> u64 {
    gateway.metrics.attempts.with_label_values(&[outcome]).get()
}

#[tokio::test]
async fn a_late_stream_comes_from_another_worker_and_the_first_is_left() {
    let mut moody = moody().await;
    let good = Worker::answering(StatusCode::OK, EVENTS, "data: {\"by\":\"good\"}\n\n").await;
    let gateway = TestGateway::start(&[], |timing| timing.hedges = true).await;
    gateway.set_workers("m", VERSION, &[moody.address, good.address]);
    learned(&gateway).await;
    moody.hangs.store(true, Ordering::Relaxed);
    while attempts(&gateway, "hedge_won") == 0 {
        let text = within(gateway.chat(STREAM)).await.text().await.unwrap();
        assert_eq!(text, "data: {\"by\":\"good\"}\n\n");
    }
    while within(moody.events.recv()).await.unwrap() != "left" {}
    assert_eq!(attempts(&gateway, "timeout"), 0);
}

#[tokio::test]
async fn a_hedge_counts_once() {
    let moody = moody().await;
    let good = Worker::answering(StatusCode::OK, EVENTS, "data: {\"by\":\"good\"}\n\n").await;
    let gateway = TestGateway::start(&[], |timing| timing.hedges = true).await;
    gateway.set_workers("m", VERSION, &[moody.address, good.address]);
    learned(&gateway).await;
    let limit = Amount {
        requests: 30,
        tokens: u32::MAX,
    };
    gateway.catalog.apply_model(Model {
        limits: Limits {
            per_user: Some(limit.into()),
            ..Limits::default()
        },
        ..model("ns", "m")
    });
    moody.hangs.store(true, Ordering::Relaxed);
    let mut asked = 0;
    while attempts(&gateway, "hedge_won") == 0 {
        let response = within(gateway.chat(STREAM)).await;
        asked += 1;
        let left = response.headers()["x-ratelimit-remaining-requests"].to_str().unwrap();
        assert_eq!(left, (30 - asked).to_string());
    }
}

#[tokio::test]
async fn whole_answers_and_gateways_that_shall_not_are_not_hedged() {
    let mut moody = moody().await;
    let good = Worker::answering(StatusCode::OK, EVENTS, "data: {}\n\n").await;
    for (hedges, body) in [(true, CHAT), (false, STREAM)] {
        let gateway = TestGateway::start(&[], |timing| {
            timing.hedges = hedges;
            timing.upstream.first_byte = std::time::Duration::from_secs(1);
        })
        .await;
        gateway.set_workers("m", VERSION, &[moody.address, good.address]);
        moody.hangs.store(false, Ordering::Relaxed);
        learned(&gateway).await;
        moody.hangs.store(true, Ordering::Relaxed);
        while moody.events.try_recv().is_err() {
            within(gateway.chat(body)).await;
        }
        assert_eq!(within(moody.events.recv()).await, Some("left"));
        assert_eq!(
            (attempts(&gateway, "hedged"), attempts(&gateway, "timeout")),
            (0, 1),
            "{body}"
        );
    }
}

#[tokio::test]
async fn when_both_fail_there_is_no_third() {
    let first = moody().await;
    let gateway = TestGateway::start(&[], |timing| {
        timing.hedges = true;
        timing.upstream.first_byte = std::time::Duration::from_secs(1);
    })
    .await;
    gateway.set_workers("m", VERSION, &[first.address]);
    learned(&gateway).await;
    let mut all = vec![first];
    for _ in 0..3 {
        all.push(moody().await);
    }
    let addresses: Vec<_> = all.iter().map(|worker| worker.address).collect();
    gateway.set_workers("m", VERSION, &addresses);
    all.iter()
        .for_each(|worker| worker.hangs.store(true, Ordering::Relaxed));
    refused(within(gateway.chat(STREAM)).await, 504, "upstream_timeout").await;
    let taken = all.iter_mut().map(|worker| worker.events.try_recv() == Ok("taken"));
    assert_eq!(taken.filter(|taken| *taken).count(), 2);
    assert_eq!(attempts(&gateway, "hedged"), 1);
}
