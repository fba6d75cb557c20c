//! Who may use what, and what the others get to hear.

use std::time::Instant;

use axum::http::StatusCode;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{CHAT, refusal, refused, within};
use crate::testing::{TestGateway, Worker, model};

async fn gateway() -> (TestGateway, Worker) {
    let worker = Worker::answering(StatusCode::OK, "application/json", "{}").await;
    (TestGateway::with_workers(&[&worker]).await, worker)
}

#[rstest]
#[case::none(None)]
#[case::empty(Some("Bearer "))]
#[case::unknown(Some("Bearer foreign"))]
#[case::other_scheme(Some("Basic Z29vZDpnb29k"))]
#[tokio::test]
async fn without_a_good_token_nothing_is_answered(#[case] authorization: Option<&str>) {
    let (gateway, worker) = gateway().await;
    for (method, path) in [
        (Method::POST, "/v1/chat/completions"),
        (Method::POST, "/v1/completions"),
        (Method::GET, "/v1/models"),
        (Method::GET, "/v1/models/m"),
    ] {
        let mut request = gateway
            .client
            .request(method, format!("http://{}{path}", gateway.address))
            .body(CHAT);
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let response = within(request.send()).await.unwrap();
        assert!(
            response.headers()["www-authenticate"]
                .to_str()
                .unwrap()
                .starts_with("Bearer")
        );
        let message = refused(response, 401, "invalid_api_key").await;
        assert!(!message.contains("foreign"), "the token is not repeated: {message}");
    }
    assert!(worker.received().is_empty());
}

#[tokio::test]
async fn identity_headers_of_a_client_count_for_nothing() {
    let (gateway, worker) = gateway().await;
    let request = gateway
        .client
        .post(format!("http://{}/v1/chat/completions", gateway.address))
        .bearer_auth("other")
        .header("x-remote-user", "jane")
        .header("impersonate-user", "jane")
        .header("x-forwarded-user", "jane")
        .body(CHAT);
    refused(within(request.send()).await.unwrap(), 403, "model_forbidden").await;
    assert!(worker.received().is_empty());
}

#[rstest]
#[case("m", "n")]
#[case("ns/m", "ns/n")]
#[case("ns/m@v-0123456789", "ns/n@v-0123456789")]
#[tokio::test]
async fn forbidden_and_unknown_are_the_same_answer(#[case] known: &str, #[case] unknown: &str) {
    let (gateway, _worker) = gateway().await;
    let mut answers = Vec::new();
    for name in [known, unknown] {
        let body = json!({"model": name}).to_string();
        let request = gateway
            .client
            .post(format!("http://{}/v1/chat/completions", gateway.address))
            .bearer_auth("other")
            .body(body);
        let response = within(request.send()).await.unwrap();
        let mut headers: Vec<_> = response.headers().keys().map(|k| k.to_string()).collect();
        headers.sort();
        let (status, error) = refusal(response).await;
        let quoted = format!("\\\"{}\\\"", name.split('@').next().unwrap());
        let error = error.to_string();
        assert!(error.contains(&quoted), "{error}");
        answers.push((status, headers, error.replace(&quoted, "NAME")));
    }
    assert_eq!(answers[0].0, StatusCode::FORBIDDEN);
    assert_eq!(answers[0], answers[1]);
}

#[rstest]
#[case("none", 403, "model_forbidden")]
#[case("ns/none", 404, "model_not_found")]
#[case("other/m", 403, "model_forbidden")]
#[case("m@v-9999999999", 404, "version_not_found")]
#[case("a/b/c", 400, "invalid_model_name")]
#[tokio::test]
async fn names_that_lead_nowhere_say_why(#[case] name: &str, #[case] status: u16, #[case] code: &str) {
    let (gateway, worker) = gateway().await;
    let response = within(gateway.chat(&json!({"model": name}).to_string())).await;
    refused(response, status, code).await;
    assert!(worker.received().is_empty());
}

#[tokio::test]
async fn the_same_name_in_two_namespaces_must_be_qualified_only_by_who_may_use_both() {
    let worker = Worker::answering(StatusCode::OK, "application/json", "{}").await;
    let gateway = TestGateway::with_workers(&[&worker]).await;
    // jane may not use other/m, so that "m" means ns/m for her.
    gateway.catalog.apply_model(model("other", "m"));
    assert_eq!(within(gateway.chat(CHAT)).await.status(), 200);
    let models: Value = within(gateway.request(Method::GET, "/v1/models").send())
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(models["data"].as_array().unwrap().len(), 1);
    assert_eq!(models["data"][0]["id"], "m");
}

#[tokio::test]
async fn models_are_listed_in_the_openai_shape() {
    let (gateway, _worker) = gateway().await;
    gateway.catalog.apply_model(model("elsewhere", "secret"));
    let get = async |path: &str| -> Value {
        let response = within(gateway.request(Method::GET, path).send()).await.unwrap();
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    };
    let object = |id: &str| json!({"id": id, "object": "model", "created": 1_767_225_600, "owned_by": "ns"});
    assert_eq!(
        get("/v1/models").await,
        json!({"object": "list", "data": [object("m")]})
    );
    assert_eq!(get("/v1/models/m").await, object("m"));
    assert_eq!(get("/v1/models/ns/m").await, object("ns/m"));
    assert_eq!(get("/v1/models/ns%2Fm").await, object("ns/m"));
    let hidden = within(gateway.request(Method::GET, "/v1/models/secret").send())
        .await
        .unwrap();
    refused(hidden, 403, "model_forbidden").await;
    for (path, code) in [
        ("/v1/models/%ff%fe", "not_found"),
        ("/v1/models/%2e%2e%2f%2e%2e%2fmetrics", "invalid_model_name"),
        ("/v1/models/..%2Fm", "model_forbidden"),
        ("/v1/models/m%00", "invalid_model_name"),
    ] {
        let odd = within(gateway.request(Method::GET, path).send()).await.unwrap();
        let (_, error) = refusal(odd).await;
        assert_eq!(error["code"], code, "{path}");
    }
}

#[tokio::test]
async fn what_was_decided_holds_while_the_api_server_is_away_and_nothing_else_is_let_in() {
    let (gateway, _worker) = gateway().await;
    assert_eq!(within(gateway.chat(CHAT)).await.status(), 200);
    gateway.reviewer.set_down(true);
    assert_eq!(within(gateway.chat(CHAT)).await.status(), 200);
    let undecided = within(gateway.chat(r#"{"model":"ns/m"}"#)).await;
    assert_eq!(undecided.status(), 200, "the same permission by its full name");
    let undecided = within(gateway.chat(r#"{"model":"ns/n"}"#)).await;
    assert!(undecided.headers().contains_key("retry-after"));
    refused(undecided, 503, "authorization_unavailable").await;
    let url = format!("http://{}/v1/models", gateway.address);
    let stranger = within(gateway.client.get(url).bearer_auth("other").send())
        .await
        .unwrap();
    refused(stranger, 503, "authentication_unavailable").await;
    gateway.reviewer.set_down(false);
    refused(
        within(gateway.chat(r#"{"model":"ns/n"}"#)).await,
        404,
        "model_not_found",
    )
    .await;
}

#[tokio::test]
async fn other_paths_and_methods_are_refused_as_json() {
    let (gateway, _worker) = gateway().await;
    for (method, path, status, code) in [
        (Method::GET, "/", 404, "not_found"),
        (Method::POST, "/v1/images/generations", 404, "not_found"),
        (Method::GET, "/metrics", 404, "not_found"),
        (Method::GET, "/v1/chat/completions", 405, "method_not_allowed"),
        (Method::DELETE, "/v1/models/m", 405, "method_not_allowed"),
    ] {
        let response = within(gateway.request(method, path).send()).await.unwrap();
        assert!(response.headers().contains_key("x-request-id"));
        assert_eq!(response.headers().contains_key("allow"), status == 405, "{path}");
        refused(response, status, code).await;
    }
}

fn key_of(user: &str, key: &str) -> Secret {
    let entry = |text: String| ByteString(text.into_bytes());
    let digest = hex::encode(Sha256::digest(key));
    let entries = [("sha256", digest), ("user", user.to_owned())];
    let mut secret = Secret {
        data: Some(entries.map(|(name, text)| (name.to_owned(), entry(text))).into()),
        ..Secret::default()
    };
    secret.metadata.name = Some(user.into());
    secret
}

#[tokio::test]
async fn an_api_key_is_as_good_as_its_owner_s_token_until_it_is_revoked() {
    let (gateway, worker) = gateway().await;
    let ask = async |key: &str| {
        let request = gateway
            .client
            .post(format!("http://{}/v1/chat/completions", gateway.address))
            .bearer_auth(key)
            .body(CHAT);
        within(request.send()).await.unwrap()
    };
    let early = refused(ask("atl-jane").await, 503, "authentication_unavailable").await;
    assert!(!early.contains("atl-jane"), "{early}");
    let keys = [key_of("jane", "atl-jane"), key_of("joe", "atl-joe")];
    assert!(gateway.keys.replace(&keys, Instant::now()).is_empty());
    assert_eq!(ask("atl-jane").await.status(), StatusCode::OK);
    refused(ask("atl-joe").await, 403, "model_forbidden").await;
    refused(ask("atl-other").await, 401, "invalid_api_key").await;
    gateway.keys.replace(&keys[1..], Instant::now());
    refused(ask("atl-jane").await, 401, "invalid_api_key").await;
    assert_eq!(worker.received().len(), 1);
    assert_eq!(gateway.reviewer.token_reviews(), 0, "no key goes to the API server");
}
