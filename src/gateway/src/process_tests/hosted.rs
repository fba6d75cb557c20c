//! Models that somebody else hosts: real HTTP to a provider on loopback.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use bytes::Bytes;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{CHAT, EVENTS, STREAM, refused, within};
use crate::{
    catalog::Model,
    hosted::NoKey,
    testing::{TestGateway, Timing, VERSION, Worker, model},
};

const KEY: &str = "sk-the-key-of-the-company";
const ANSWER: &str = r#"{"id":"x","model":"theirs","choices":[{"index":0,"message":{"content":"hi"}}],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9},"system_fingerprint":"fp"}"#;

/// A gateway that knows `ns/m`, hosted by `provider`.
async fn gateway(provider: Value, adjust: impl FnOnce(&mut Timing)) -> TestGateway {
    let gateway = TestGateway::start(&[], adjust).await;
    gateway.catalog.apply_model(Model {
        current_version: None,
        hosted: Some(serde_json::from_value(provider).unwrap()),
        ..model("ns", "m")
    });
    gateway.secrets.set("keys", Ok(KEY));
    gateway
}

/// A service with OpenAI's API at `address`.
fn compatible(address: impl std::fmt::Display) -> Value {
    json!({
        "openAICompatible": {
            "url": format!("http://{address}/v1"), "model": "theirs",
            "credentialsSecretRef": {"name": "keys", "key": "api"},
        },
        "pricing": {"inputPerMillion": "1", "outputPerMillion": "10", "currency": "EUR"},
    })
}

async fn asking(worker: &Worker) -> TestGateway {
    gateway(compatible(worker.address), |_| {}).await
}

fn metrics(gateway: &TestGateway) -> String {
    let families = gateway.metrics.registry.gather();
    prometheus::TextEncoder::new().encode_to_string(&families).unwrap()
}

#[tokio::test]
async fn an_answer_comes_under_the_name_that_was_asked() {
    let provider = Worker::answering(StatusCode::OK, "application/json", ANSWER).await;
    let gateway = asking(&provider).await;
    let request = gateway
        .request(Method::POST, "/v1/chat/completions")
        .header("cookie", "session=1")
        .header("openai-organization", "theirs")
        .body(r#"{"model":"ns/m","messages":[],"unknown":{"a":[null]}}"#);
    let response = within(request.send()).await.unwrap();
    assert_eq!(response.status(), 200);
    let answer: Value = response.json().await.unwrap();
    assert_eq!(
        (&answer["model"], &answer["system_fingerprint"]),
        (&json!("ns/m"), &json!("fp"))
    );
    let [received] = &provider.received()[..] else {
        panic!("one request")
    };
    assert_eq!(received.path, "/v1/chat/completions");
    let body: Value = serde_json::from_str(&received.body).unwrap();
    assert_eq!(
        body,
        json!({"model": "theirs", "messages": [], "unknown": {"a": [null]}})
    );
    assert_eq!(received.headers["authorization"], format!("Bearer {KEY}"));
    for header in ["cookie", "openai-organization", "x-atelier-user"] {
        assert!(!received.headers.contains_key(header), "{header}");
    }
    let metrics = metrics(&gateway);
    let cost = r#"atelier_cost_total{currency="EUR",model="m",namespace="ns"} 0.000027"#;
    assert!(metrics.contains(cost), "{metrics}");
    assert!(metrics.contains(r#"gen_ai_token_type="input"} 7"#), "{metrics}");
    gateway.metrics.forget(&model("ns", "m"));
    assert!(!self::metrics(&gateway).contains("atelier_cost_total{"));
}

const CHUNKS: &str = concat!(
    "data: {\"model\":\"theirs\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":null}],\"usage\":null}\n\n",
    "data: {\"model\":\"theirs\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n",
    "data: {\"model\":\"theirs\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}\n\n",
    "data: [DONE]\n\n",
);

#[tokio::test]
async fn a_stream_is_counted_and_tells_of_tokens_only_when_asked() {
    let provider = Worker::answering(StatusCode::OK, EVENTS, CHUNKS).await;
    let gateway = asking(&provider).await;
    let response = within(gateway.chat(STREAM)).await;
    assert_eq!(response.headers()["content-type"], EVENTS);
    let text = within(response.text()).await.unwrap();
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert!(
        !text.contains("usage") && !text.contains("theirs") && text.contains("\"hi\""),
        "{text}"
    );
    let asks = r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#;
    let text = within(gateway.chat(asks).await.text()).await.unwrap();
    assert!(text.contains("\"completion_tokens\":2"), "{text}");
    for received in provider.received() {
        assert!(
            received.body.contains(r#""stream_options":{"include_usage":true}"#),
            "{}",
            received.body
        );
    }
    let metrics = metrics(&gateway);
    assert!(metrics.contains("model=\"m\",namespace=\"ns\"} 0.000054"), "{metrics}");
}

#[tokio::test]
async fn tokens_pass_as_they_come() {
    let (provider, pieces) = Worker::streaming(EVENTS).await;
    let gateway = asking(&provider).await;
    let mut response = within(gateway.chat(STREAM)).await;
    let finish = [
        r#"{"content":"a"},"finish_reason":null"#,
        r#"{},"finish_reason":"stop""#,
    ];
    for choice in finish {
        let event = format!("data: {{\"choices\":[{{\"delta\":{choice}}}]}}\n\n");
        pieces.send(event.into()).await.unwrap();
        // The next one is not even made before this one has arrived.
        let chunk = within(response.chunk()).await.unwrap().unwrap();
        assert!(std::str::from_utf8(&chunk).unwrap().contains(choice), "{chunk:?}");
    }
    drop(pieces);
    assert_eq!(within(response.text()).await.unwrap(), "data: [DONE]\n\n");
}

#[tokio::test]
async fn anthropic_streams_as_openai_does() {
    let events = [
        r#"{"type":"message_start","message":{"id":"msg_1","usage":{"input_tokens":7,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    let events: String = events
        .iter()
        .map(|data| format!("event: x\ndata: {data}\n\n"))
        .collect();
    let provider = Worker::answering(StatusCode::OK, EVENTS, events.leak()).await;
    let spec = json!({"anthropic": {"model": "claude", "credentialsSecretRef": {"name": "keys", "key": "api"}}});
    let gateway = gateway(spec, |timing| timing.provider = Some(provider.address)).await;
    let text = within(gateway.chat(STREAM).await.text()).await.unwrap();
    assert!(
        text.contains(r#""content":"hi""#) && text.ends_with("data: [DONE]\n\n"),
        "{text}"
    );
    let [received] = &provider.received()[..] else {
        panic!("one request")
    };
    assert_eq!(
        (received.path.as_str(), &received.headers["x-api-key"].to_str().unwrap()),
        ("/v1/messages", &KEY)
    );
    assert!(!received.headers.contains_key("authorization"));
}

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
async fn a_key_is_read_again_when_it_is_refused() {
    let answers = Mutex::new([401, 401, 200].into_iter());
    let provider = Worker::start(move || {
        let status = answers.lock().unwrap().next().unwrap_or(200);
        Response::builder().status(status).body(Body::from(ANSWER)).unwrap()
    });
    let provider = provider.await;
    let gateway = asking(&provider).await;
    // The key that is read again is the same: another try would be in vain.
    refused(within(gateway.chat(CHAT)).await, 502, "provider_refused_key").await;
    assert_eq!((provider.received().len(), gateway.secrets.reads()), (1, 2));
    gateway.secrets.set("keys", Ok("new"));
    for _ in 0..2 {
        assert_eq!(within(gateway.chat(CHAT)).await.status(), 200);
    }
    let shown: Vec<_> = provider
        .received()
        .iter()
        .map(|it| it.headers["authorization"].clone())
        .collect();
    assert_eq!(shown[1..], [&format!("Bearer {KEY}"), "Bearer new", "Bearer new"]);
    assert_eq!(gateway.secrets.reads(), 3);
}

#[tokio::test]
async fn gemini_s_own_way_to_refuse_a_key_is_understood() {
    let answers = Mutex::new([400, 200].into_iter());
    let provider = Worker::start(move || {
        let status = answers.lock().unwrap().next().unwrap_or(200);
        let body = match status {
            400 => r#"{"error":{"code":400,"details":[{"reason":"API_KEY_INVALID"}]}}"#,
            _ => r#"{"candidates":[{"content":{"parts":[{"text":"hi"}]},"finishReason":"STOP"}],"responseId":"r"}"#,
        };
        Response::builder().status(status).body(Body::from(body)).unwrap()
    });
    let provider = provider.await;
    let spec = json!({"gemini": {"model": "pro", "credentialsSecretRef": {"name": "keys", "key": "api"}}});
    let gateway = gateway(spec, |timing| timing.provider = Some(provider.address)).await;
    refused(within(gateway.chat(CHAT)).await, 502, "provider_refused_key").await;
    let answer: Value = within(gateway.chat(CHAT)).await.json().await.unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "hi");
    let received = provider.received();
    assert_eq!(received[1].path, "/v1beta/models/pro:generateContent");
    assert_eq!(received[1].headers["x-goog-api-key"], KEY);
}

#[rstest]
#[case(NoKey::Forbidden, "gateway.providerSecrets.namespaces")]
#[case(NoKey::NoSecret, "does not exist")]
#[case(NoKey::NoEntry, "has no key \"api\"")]
#[case(NoKey::Malformed, "printable")]
#[case(NoKey::Unavailable, "API server")]
#[tokio::test]
async fn a_key_that_cannot_be_read_is_named(#[case] why: NoKey, #[case] text: &str) {
    let provider = Worker::answering(StatusCode::OK, "application/json", ANSWER).await;
    let gateway = asking(&provider).await;
    gateway.secrets.set("keys", Err(why));
    let message = refused(within(gateway.chat(CHAT)).await, 503, "provider_credentials").await;
    for part in ["\"ns/m\"", "Secret \"keys\"", text] {
        assert!(message.contains(part), "{message}");
    }
    assert!(provider.received().is_empty());
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

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_log_has_the_key() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    for status in [200, 401, 400, 500] {
        let provider = Worker::start(move || {
            let response = Response::builder().status(status);
            let body = format!("{{\"error\":{{\"message\":\"{KEY}\"}}}}");
            response.body(Body::from(body)).unwrap()
        });
        let provider = provider.await;
        let gateway = asking(&provider).await;
        within(gateway.chat(CHAT)).await;
    }
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("refused a request"), "{text}");
    assert!(!text.contains(KEY), "{text}");
}
