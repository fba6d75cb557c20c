//! Webhooks that give no verdict.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use axum::http::StatusCode;
use rstest::rstest;
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::Notify};

use super::{super::super::read_request, *};
use crate::testing::VERSION;

/// A server that does one thing with each connection.
async fn server<A>(act: impl Fn(TcpStream) -> A + Send + 'static) -> SocketAddr
where
    A: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(ELSEWHERE).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(act(stream));
        }
    });
    address
}

/// Writes `answer` after the request, and hangs up.
async fn saying(answer: &'static str) -> SocketAddr {
    server(async move |mut stream| {
        read_request(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await
}

async fn asking(worker: &Worker, webhook: Value) -> TestGateway {
    gateway(
        worker,
        json!({"input": [{"name": "ours", "detector": "Webhook", "webhook": webhook}]}),
    )
    .await
}

/// Whatever happens, it does not let a request pass that nobody has judged, unless the spec wants that.
async fn gives_no_verdict(url: String, outcome: &str) {
    let worker = Worker::answering(StatusCode::OK, "application/json", "{\"choices\":[]}").await;
    let strict = asking(&worker, json!({"url": url, "timeoutSeconds": 1})).await;
    let message = refused(
        within(strict.chat(&chat("hello").to_string())).await,
        503,
        "guardrail_unavailable",
    );
    let message = message.await;
    assert!(
        message.contains("\"ours\"") && !message.contains("127.0.0"),
        "{message}"
    );
    assert!(worker.received().is_empty());
    assert_eq!(verdicts(&strict, outcome), 1);

    let lax = asking(
        &worker,
        json!({"url": url, "timeoutSeconds": 1, "failurePolicy": "Ignore"}),
    )
    .await;
    assert_eq!(within(lax.chat(&chat("hello").to_string())).await.status(), 200);
    assert_eq!(worker.received().len(), 1);
    assert_eq!(verdicts(&lax, outcome), 1);
}

#[rstest]
#[case::garbage("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n<html", "nonsense")]
#[case::another_verdict("HTTP/1.1 200 OK\r\ncontent-length: 19\r\n\r\n{\"verdict\":\"maybe\"}", "nonsense")]
#[case::out_of_the_text(
    "HTTP/1.1 200 OK\r\ncontent-length: 54\r\n\r\n{\"verdict\":\"redact\",\"spans\":[{\"start\":0,\"end\":1000}]} ",
    "nonsense"
)]
#[case::no_http("hello\r\n\r\n", "failed")]
#[case::broken("HTTP/1.1 500 Oh No\r\ncontent-length: 0\r\n\r\n", "status")]
#[case::empty("HTTP/1.1 204 No Content\r\n\r\n", "status")]
#[case::cut("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{\"verdict\":\"al", "failed")]
#[case::nothing("", "failed")]
#[tokio::test]
async fn a_bad_answer_is_no_verdict(#[case] answer: &'static str, #[case] outcome: &str) {
    let address = saying(answer).await;
    gives_no_verdict(format!("http://{address}/"), outcome).await;
}

#[tokio::test]
async fn silence_is_no_verdict() {
    let hanging = server(async |stream| {
        std::future::pending::<()>().await;
        drop(stream);
    });
    gives_no_verdict(format!("http://{}/", hanging.await), "timeout").await;
    let dripping = server(async |mut stream| {
        read_request(&mut stream).await;
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n";
        let mut sent = stream.write_all(head).await;
        while sent.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            sent = stream.write_all(b" ").await;
        }
    });
    gives_no_verdict(format!("http://{}/", dripping.await), "timeout").await;
}

#[tokio::test]
async fn nobody_and_endless_answers_are_no_verdict() {
    let listener = TcpListener::bind(ELSEWHERE).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    gives_no_verdict(format!("http://{address}/"), "unreachable").await;
    let endless = Judge::start(async |_| Response::new(" ".repeat(2 << 20).into())).await;
    gives_no_verdict(format!("http://{}/", endless.address), "nonsense").await;
}

#[tokio::test]
async fn it_leads_nowhere_else() {
    let target = Judge::finding("x", "refuse").await;
    let address = target.address;
    let moved = Judge::start(move |_| async move {
        let response = Response::builder()
            .status(307)
            .header("location", format!("http://{address}/"));
        response.body("{\"verdict\":\"allow\"}".into()).unwrap()
    });
    gives_no_verdict(format!("http://{}/", moved.await.address), "status").await;
    assert!(target.asked().is_empty());
}

#[rstest]
#[case("127.0.0.1")]
#[case("localhost")]
#[tokio::test]
async fn a_worker_is_no_webhook(#[case] host: &str) {
    let secret = Worker::answering(StatusCode::OK, "application/json", "{\"verdict\":\"allow\"}").await;
    let worker = Worker::answering(StatusCode::OK, "application/json", "{}").await;
    let url = format!("http://{host}:{}/", secret.address.port());
    let gateway = asking(&worker, json!({"url": url})).await;
    gateway.set_workers("other", VERSION, &[secret.address, "[::1]:8080".parse().unwrap()]);
    let response = within(gateway.chat(&chat("hello").to_string())).await;
    refused(response, 503, "guardrail_unavailable").await;
    assert_eq!(verdicts(&gateway, "address"), 1);
    assert!(secret.received().is_empty());
}

#[tokio::test]
async fn no_more_than_so_many_ask_at_once() {
    const MORE: usize = 80;
    const MAX: usize = 64;
    #[derive(Default)]
    struct Crowd {
        now: AtomicUsize,
        most: AtomicUsize,
        done: AtomicUsize,
        full: Notify,
    }
    let crowd = Arc::new(Crowd::default());
    let seen = crowd.clone();
    let judge = Judge::start(move |_| {
        let crowd = crowd.clone();
        async move {
            let now = crowd.now.fetch_add(1, Ordering::SeqCst) + 1;
            crowd.most.fetch_max(now, Ordering::SeqCst);
            let full = crowd.full.notified();
            // The first wait until no more may come; the rest would wait in vain.
            if now + crowd.done.load(Ordering::SeqCst) < MAX {
                full.await;
            } else {
                crowd.full.notify_waiters();
            }
            crowd.now.fetch_sub(1, Ordering::SeqCst);
            crowd.done.fetch_add(1, Ordering::SeqCst);
            said(&json!({"verdict": "allow"}))
        }
    });
    let judge = judge.await;
    let worker = Worker::answering(StatusCode::OK, "application/json", "{}").await;
    let gateway = asking(
        &worker,
        json!({"url": format!("http://{}/", judge.address), "timeoutSeconds": 30}),
    )
    .await;
    let body = chat("hello").to_string();
    let asking = futures::future::join_all((0..MORE).map(|_| gateway.chat(&body)));
    let answers = within(asking).await;
    assert!(answers.iter().all(|answer| answer.status() == 200));
    assert_eq!((judge.asked().len(), seen.most.load(Ordering::SeqCst)), (MORE, MAX));
}
