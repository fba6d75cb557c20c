//! Bytes on the wire that no honest client or worker sends, or that networks cut where it hurts.

use axum::http::StatusCode;
use rstest::rstest;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{CHAT, EVENTS, STREAM, read_request, refused, within};
use crate::testing::{TestGateway, VERSION, Worker};

/// What a whole answer of the worker's is.
const ANSWER: &str = r#"{"id":"x"}"#;

async fn worker() -> Worker {
    Worker::answering(StatusCode::OK, "application/json", ANSWER).await
}

/// The head of a request, with these headers beside what every one has.
fn head(headers: &str) -> String {
    format!("POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer good\r\n{headers}\r\n")
}

/// What the gateway says to these bytes until it hangs up or has answered `answers` times.
async fn says(gateway: &TestGateway, bytes: &[u8], answers: usize) -> String {
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    said(&mut stream, answers).await
}

async fn said(stream: &mut TcpStream, answers: usize) -> String {
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    within(async {
        while text.matches(ANSWER).count() < answers {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(count) => text.push_str(std::str::from_utf8(&buffer[..count]).unwrap()),
            }
        }
        text
    })
    .await
}

#[rstest]
#[case::two_lengths("content-length: 27\r\ncontent-length: 28\r\n", CHAT)]
#[case::a_length_with_a_sign("content-length: +27\r\n", CHAT)]
#[case::a_length_that_is_none("content-length: 0x1b\r\n", CHAT)]
#[case::chunked_before_another("transfer-encoding: chunked, gzip\r\n", "0\r\n\r\n")]
#[case::an_unknown_encoding("transfer-encoding: xchunked\r\n", "0\r\n\r\n")]
#[case::a_blank_before_the_colon("content-length : 27\r\n", CHAT)]
#[case::a_folded_header("content-length: 27\r\nx-a: 1\r\n 2\r\n", CHAT)]
#[case::a_naked_end_of_line("content-length: 27\r\nx-a: 1\rx-b: 2\r\n", CHAT)]
#[case::a_nul("content-length: 27\r\nx-a: \0\r\n", CHAT)]
#[tokio::test]
async fn heads_that_two_servers_may_read_differently_are_refused(#[case] headers: &str, #[case] body: &str) {
    let worker = worker().await;
    let gateway = TestGateway::with_workers(&[&worker]).await;
    let answer = says(&gateway, format!("{}{body}", head(headers)).as_bytes(), 1).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(worker.received().is_empty());
}

#[rstest]
#[case::no_size("\r\n\r\n")]
#[case::a_size_that_is_none("1g\r\n{\r\n0\r\n\r\n")]
#[case::a_negative_size("-1\r\n{\r\n0\r\n\r\n")]
#[case::a_size_beyond_all("fffffffffffffffff\r\n{\r\n0\r\n\r\n")]
#[case::more_than_it_says("1\r\n{}{}\r\n0\r\n\r\n")]
#[tokio::test]
async fn chunks_that_are_none_reach_no_worker(#[case] chunks: &str) {
    let worker = worker().await;
    let gateway = TestGateway::with_workers(&[&worker]).await;
    let request = head("transfer-encoding: chunked\r\n") + chunks;
    let answer = says(&gateway, request.as_bytes(), 1).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(worker.received().is_empty());
}

/// A server before ours that goes by the length takes the second request for a body; ours must not let it through as
/// what it is to the worker.
#[tokio::test]
async fn a_request_in_the_body_of_another_stays_there() {
    let worker = worker().await;
    let gateway = TestGateway::with_workers(&[&worker]).await;
    let hidden = "POST /metrics HTTP/1.1\r\nhost: worker\r\ncontent-length: 0\r\n\r\n";
    let chunked = format!("{:x}\r\n{CHAT}\r\n0\r\n\r\n{hidden}", CHAT.len());
    let headers = format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", chunked.len());
    let answer = says(&gateway, (head(&headers) + &chunked).as_bytes(), 2).await;
    // RFC 9112, 6.1: such a request is an attack, or its connection is closed behind it.
    assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{answer}");
    for received in worker.received() {
        assert_eq!(
            (received.path.as_str(), received.headers.get("content-length").is_some()),
            ("/v1/chat/completions", true)
        );
        assert!(received.headers.get("transfer-encoding").is_none());
        assert!(!received.body.contains("metrics"), "{}", received.body);
    }
}

#[tokio::test]
async fn a_request_means_the_same_wherever_the_network_cuts_it() {
    let worker = worker().await;
    let gateway = TestGateway::with_workers(&[&worker]).await;
    // A character of four bytes, and one that JSON writes as two.
    let body = r#"{"model":"m","messages":[{"role":"user","content":"🦀 \ud83e\udd80"}]}"#;
    let request = head(&format!("content-length: {}\r\n", body.len())) + body;
    let bytes = request.as_bytes();
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for place in 1..bytes.len() {
        stream.write_all(&bytes[..place]).await.unwrap();
        tokio::task::yield_now().await;
        stream.write_all(&bytes[place..]).await.unwrap();
        let answer = said(&mut stream, 1).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "cut at {place}: {answer}");
    }
    let received = worker.received();
    assert_eq!(received.len(), bytes.len() - 1);
    assert!(received.iter().all(|it| it.body == received[0].body));
    assert!(received[0].body.contains("🦀"), "{}", received[0].body);
}

/// Answers each connection's request with these bytes, and hangs up.
async fn blurting(bytes: Vec<Vec<u8>>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for bytes in bytes {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            stream.write_all(&bytes).await.unwrap();
        }
    });
    address
}

#[rstest]
#[case::another_protocol("SSH-2.0-OpenSSH_9.2\r\n")]
#[case::an_endless_head("HTTP/1.1 200 OK\r\nx-a: a")]
#[case::a_length_that_is_none("HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\nabc")]
#[case::nothing("")]
#[tokio::test]
async fn a_worker_that_speaks_no_http_is_the_worker_s_fault(#[case] bytes: &str) {
    // There is one more try after one that broke the connection.
    let address = blurting(vec![bytes.into(); 2]).await;
    let gateway = TestGateway::start(&[], |timing| timing.patience = std::time::Duration::ZERO).await;
    gateway.set_workers("m", VERSION, &[address]);
    let answer = within(gateway.chat(CHAT)).await;
    refused(answer, 502, "upstream_failed").await;
}

#[tokio::test]
async fn a_stream_cut_at_any_byte_ends_in_whole_events_and_an_error() {
    let events = "data: {\"a\":\"ż\"}\n\ndata: {\"b\":1}\n\n";
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {EVENTS}\r\ntransfer-encoding: chunked\r\n\r\n");
    let whole = format!("{head}{:x}\r\n{events}\r\n", events.len()).into_bytes();
    let cuts = head.len()..whole.len();
    let address = blurting(cuts.clone().map(|cut| whole[..cut].to_vec()).collect()).await;
    let gateway = TestGateway::start(&[], |timing| timing.patience = std::time::Duration::ZERO).await;
    gateway.set_workers("m", VERSION, &[address]);
    for cut in cuts {
        let answer = within(gateway.chat(STREAM)).await;
        assert_eq!(answer.status(), 200, "cut at {cut}");
        let text = within(answer.text()).await.unwrap();
        let passed: Vec<_> = text.split_inclusive("\n\n").collect();
        let (last, before) = passed.split_last().unwrap();
        assert!(last.contains(r#""code":"upstream_failed""#), "cut at {cut}: {text}");
        assert!(events.starts_with(&before.concat()), "cut at {cut}: {text}");
    }
}
