//! Keys: where they come from, and where they must not go.

use std::{
    io,
    sync::{Arc, Mutex},
};

use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use rstest::rstest;
use serde_json::{Value, json};

use super::{ANSWER, CHAT, KEY, asking, gateway, refused, within};
use crate::{catalog::Model, guard::Guards, hosted::NoKey, testing::Worker};

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
async fn no_log_has_a_key_or_a_text() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // For all threads, and so for all tests of this process: with one for each thread, an event that another thread
    // met first would be taken for one that nobody listens to.
    tracing::subscriber::set_global_default(subscriber).unwrap();
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
    const TEXT: &str = "what somebody said in confidence";
    let provider = Worker::answering(StatusCode::OK, "application/json", ANSWER).await;
    for verdict in [
        "{\"verdict\":\"refuse\"}",
        "I was told: what somebody said in confidence",
    ] {
        let judge = Worker::answering(StatusCode::OK, "application/json", verdict).await;
        let gateway = asking(&provider).await;
        let url = format!("http://{}/{KEY}", judge.address);
        let webhook = json!({"url": url, "credentialsSecretRef": {"name": "keys", "key": "api"}});
        let guardrails = json!({"input": [{"name": "ours", "detector": "Webhook", "webhook": webhook}]});
        let model = gateway.catalog.model("ns", "m").unwrap();
        gateway.catalog.apply_model(Model {
            guards: Some(Guards::of(&guardrails)),
            ..Model::clone(&model)
        });
        let body = json!({"model": "m", "messages": [{"role": "user", "content": TEXT}]});
        assert!(!within(gateway.chat(&body.to_string())).await.status().is_success());
        assert!(judge.received()[0].body.contains(TEXT));
    }
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("refused a request"), "{text}");
    assert!(text.contains("a webhook gives no verdict"), "{text}");
    for secret in [KEY, TEXT] {
        assert!(!text.contains(secret), "{text}");
    }
}
