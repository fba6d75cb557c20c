//! Providers that refuse, break off or fall silent, and models that nobody may ask.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use bytes::Bytes;
use rstest::rstest;
use tokio::net::TcpListener;

use super::{ANSWER, CHAT, EVENTS, KEY, STREAM, asking, compatible, gateway, metrics, refused, within};
use crate::testing::{VERSION, Worker};

#[rstest]
#[case::bad_key(
    401,
    r#"{"error":{"message":"Incorrect API key provided: sk-the-key-of-the-company"}}"#,
    502,
    "provider_refused_key"
)]
#[case::no_right(403, "{}", 502, "provider_refused_key")]
#[case::limited(429, r#"{"error":{"message":"organization org-1"}}"#, 429, "provider_rate_limited")]
#[case::invalid(
    400,
    r#"{"error":{"message":"max_tokens is too large, sk-the-key-of-the-company"}}"#,
    400,
    "provider_invalid_request"
)]
#[case::unknown(404, r#"{"error":{"message":"no such deployment"}}"#, 502, "provider_unknown_model")]
#[case::overloaded(529, "overloaded", 502, "provider_failed")]
#[case::failed(500, "{}", 502, "provider_failed")]
#[case::moved(302, "", 502, "provider_failed")]
#[case::garbage(200, "<html>", 502, "provider_failed")]
#[case::nonsense(200, r#"{"choices":null}"#, 502, "provider_failed")]
#[tokio::test]
async fn a_provider_s_refusal_is_told_without_its_secrets(
    #[case] status: u16,
    #[case] body: &'static str,
    #[case] told: u16,
    #[case] code: &str,
) {
    let provider = Worker::start(move || {
        let response = Response::builder().status(status).header("retry-after", "7");
        let response = response
            .header("location", "http://127.0.0.1:1/")
            .header("x-secret", KEY);
        response.body(Body::from(body)).unwrap()
    });
    let provider = provider.await;
    let gateway = asking(&provider).await;
    let response = within(gateway.chat(CHAT)).await;
    let after = response.headers().get("retry-after").cloned();
    assert_eq!(after.is_some_and(|after| after == "7"), told == 429);
    assert!(!response.headers().contains_key("x-secret"));
    let message = refused(response, told, code).await;
    assert!(!message.contains(KEY) && !message.contains("org-1"), "{message}");
    if status == 400 {
        assert!(message.contains("max_tokens is too large, [redacted]"), "{message}");
    }
    // A stream is refused before it begins, in the same way.
    refused(within(gateway.chat(STREAM)).await, told, code).await;
    assert!(!metrics(&gateway).contains(KEY));
}

#[tokio::test]
async fn a_provider_that_breaks_off_ends_the_stream_with_an_error_event() {
    let (provider, pieces) = Worker::streaming(EVENTS).await;
    let gateway = asking(&provider).await;
    let mut response = within(gateway.chat(STREAM)).await;
    let half = b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"ha";
    pieces.send(Bytes::from_static(half)).await.unwrap();
    within(response.chunk()).await.unwrap().unwrap();
    drop(pieces);
    let rest = within(response.text()).await.unwrap();
    assert!(
        rest.starts_with("event: error\ndata: ") && rest.contains("provider_failed"),
        "{rest}"
    );
}

#[tokio::test]
async fn a_silent_provider_is_given_up() {
    let short = Duration::from_millis(200);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let patient = gateway(compatible(address), |timing| timing.upstream.first_byte = short).await;
    refused(within(patient.chat(CHAT)).await, 504, "provider_timeout").await;

    let (provider, pieces) = Worker::streaming(EVENTS).await;
    let patient = gateway(compatible(provider.address), |timing| timing.upstream.idle = short).await;
    let response = within(patient.chat(STREAM)).await;
    let text = within(response.text()).await.unwrap();
    assert!(text.contains("provider_timeout"), "{text}");
    within(pieces.closed()).await;

    // There is TLS, and nobody here who speaks it.
    let mut spec = compatible(provider.address);
    spec["openAICompatible"]["url"] = format!("https://{}/v1", provider.address).into();
    let secured = gateway(spec, |_| {}).await;
    refused(within(secured.chat(CHAT)).await, 502, "provider_unreachable").await;

    drop(silent);
    let gone = gateway(compatible(address), |_| {}).await;
    refused(within(gone.chat(CHAT)).await, 502, "provider_unreachable").await;
}

#[rstest]
#[case::by_address("127.0.0.1")]
#[case::by_name("localhost")]
#[tokio::test]
async fn a_worker_is_no_provider_for_those_who_may_not_ask_it(#[case] host: &str) {
    let worker = Worker::answering(StatusCode::OK, "application/json", ANSWER).await;
    let gateway = gateway(compatible(format!("{host}:{}", worker.address.port())), |_| {}).await;
    gateway.set_workers("secret", VERSION, &[worker.address, "[::1]:8080".parse().unwrap()]);
    refused(within(gateway.chat(CHAT)).await, 502, "provider_address").await;
    assert!(worker.received().is_empty());
}

#[rstest]
#[case(r#"{"model":"m@v-0123456789"}"#, "version_not_found")]
#[case(r#"{"model":"m:polite"}"#, "model_not_found")]
#[tokio::test]
async fn there_are_no_versions_and_no_adapters(#[case] body: &str, #[case] code: &str) {
    let provider = Worker::answering(StatusCode::OK, "application/json", ANSWER).await;
    let gateway = asking(&provider).await;
    refused(within(gateway.chat(body)).await, 404, code).await;
    assert!(provider.received().is_empty());
}

#[tokio::test]
async fn who_may_not_use_it_hears_what_everybody_hears_of_nothing() {
    let provider = Worker::answering(StatusCode::OK, "application/json", ANSWER).await;
    let gateway = asking(&provider).await;
    let ask = async |name: &str| {
        let url = format!("http://{}/v1/chat/completions", gateway.address);
        let request = gateway.client.post(url).bearer_auth("other");
        let request = request.body(format!(r#"{{"model":"{name}"}}"#)).send();
        let message = refused(within(request).await.unwrap(), 403, "model_forbidden").await;
        message.replace(name, "NAME")
    };
    assert_eq!(ask("ns/m").await, ask("ns/nothing").await);
    assert!(provider.received().is_empty());
    assert_eq!(gateway.secrets.reads(), 0);
}
