//! Refusals of providers.

use rstest::rstest;
use serde_json::json;

use super::{each, provider};
use crate::provider::{
    Service,
    failure::{Failure, read},
};

/// What each provider says of a wrong request, as it says it.
fn recorded(name: &str) -> serde_json::Value {
    match name {
        "anthropic" => json!({
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "max_tokens: 100000 > 8192"},
            "request_id": "req_1",
        }),
        "gemini" => {
            json!([{"error": {"code": 400, "message": "max_tokens: 100000 > 8192", "status": "INVALID_ARGUMENT"}}])
        }
        "openAICompatible" => json!({"object": "error", "message": "max_tokens: 100000 > 8192", "code": 400}),
        _ => json!({"error": {
            "message": "max_tokens: 100000 > 8192", "type": "invalid_request_error", "param": "max_tokens", "code": null,
        }}),
    }
}

#[test]
fn every_provider_s_own_words_are_found() {
    each(|name, service| {
        let body = recorded(name).to_string();
        let message = "max_tokens: 100000 > 8192".to_owned();
        let found = |status| read(service, status, None, body.as_bytes(), "key");
        assert_eq!(found(400), Failure::Invalid(message.clone()), "{name}");
        assert_eq!(found(404), Failure::UnknownModel(message.clone()), "{name}");
    });
}

#[test]
fn every_status_means_the_same_with_every_provider() {
    let golden = |service: Service<'_>| {
        let statuses = [302, 400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 503, 529];
        let read = |status| format!("{status} {:?}", read(service, status, Some("7"), b"<html>", "key"));
        statuses.map(read)
    };
    each(|_, service| {
        insta::allow_duplicates! {
            insta::assert_json_snapshot!("failures", golden(service));
        }
    });
}

#[test]
fn gemini_calls_a_wrong_key_a_wrong_request() {
    let provider = provider("gemini");
    let details = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]);
    let error = json!({"error": {"code": 400, "message": "API key not valid.", "details": details}}).to_string();
    let failure = read(Service::of(&provider).unwrap(), 400, None, error.as_bytes(), "key");
    assert_eq!(failure, Failure::Credentials { is_unknown: true });
}

#[rstest]
#[case("sk-123456 is wrong: sk-123456", "sk-123456", "[redacted] is wrong: [redacted]")]
#[case("plain", "", "plain")]
fn keys_are_removed_from_what_is_told(#[case] text: &str, #[case] key: &str, #[case] told: &str) {
    each(|_, service| {
        let body = json!({"error": {"message": text}}).to_string();
        let failure = read(service, 400, None, body.as_bytes(), key);
        assert_eq!(failure, Failure::Invalid(told.into()));
    });
}

#[test]
fn an_endless_message_is_cut() {
    let body = json!({"error": "é".repeat(5000)}).to_string();
    let provider = provider("openAI");
    let failure = read(Service::of(&provider).unwrap(), 400, None, body.as_bytes(), "");
    assert_eq!(failure, Failure::Invalid("é".repeat(1024)));
}
