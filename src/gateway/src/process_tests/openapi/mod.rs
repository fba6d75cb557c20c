//! The surface against its description.

mod schemathesis;

use axum::http::StatusCode;
use jsonschema::Validator;
use reqwest::Method;
use serde_json::{Value, json};
use telemetry::Readiness;
use tokio::net::TcpListener;

use super::{CHAT, within};
use crate::testing::{TestGateway, Worker};

/// The document as anybody gets it.
async fn document(gateway: &TestGateway) -> Value {
    let url = format!("http://{}/openapi.json", gateway.address);
    let response = within(gateway.client.get(url).send()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    response.json().await.unwrap()
}

/// The schema of an answer.
fn schema(document: &Value, path: &str, method: &str, status: u16) -> Validator {
    let response = &document["paths"][path][method]["responses"][status.to_string()];
    let mut schema = response["content"]["application/json"]["schema"].clone();
    assert!(schema.is_object(), "{method} {path} {status} is not described");
    schema["components"] = document["components"].clone();
    jsonschema::validator_for(&schema).unwrap()
}

#[tokio::test]
async fn methods_are_those_that_are_described() {
    let gateway = TestGateway::with_workers(&[]).await;
    let document = document(&gateway).await;
    let methods = ["get", "post", "put", "patch", "delete", "options", "trace"];
    for (path, item) in document["paths"].as_object().unwrap() {
        if item.get("servers").is_some() {
            continue;
        }
        for method in methods {
            let verb = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let response = within(gateway.request(verb, &path.replace("{id}", "m")).send())
                .await
                .unwrap();
            let is_allowed = response.status() != StatusCode::METHOD_NOT_ALLOWED;
            assert_eq!(is_allowed, item.get(method).is_some(), "{method} {path}");
            // RFC 9110 wants it.
            assert!(
                is_allowed || response.headers().contains_key("allow"),
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn answers_look_as_they_are_described() {
    let worker = Worker::answering(StatusCode::OK, "application/json", r#"{"choices":[]}"#).await;
    let gateway = TestGateway::with_workers(&[&worker]).await;
    let document = document(&gateway).await;
    for (method, path, asked, body, token, status) in [
        ("get", "/v1/models", "/v1/models", "", "good", 200),
        ("get", "/v1/models", "/v1/models", "", "bad", 401),
        ("get", "/v1/models/{id}", "/v1/models/ns/m", "", "good", 200),
        ("get", "/v1/models/{id}", "/v1/models/ns%2Fm", "", "good", 200),
        ("get", "/v1/models/{id}", "/v1/models/a/b/c", "", "good", 400),
        ("get", "/v1/models/{id}", "/v1/models/ns/m", "", "other", 403),
        ("get", "/v1/models/{id}", "/v1/models/m:none", "", "good", 404),
        (
            "post",
            "/v1/chat/completions",
            "/v1/chat/completions",
            CHAT,
            "good",
            200,
        ),
        (
            "post",
            "/v1/chat/completions",
            "/v1/chat/completions",
            "{}",
            "good",
            400,
        ),
        ("post", "/v1/embeddings", "/v1/embeddings", CHAT, "good", 400),
        ("post", "/v1/feedback", "/v1/feedback", "{}", "good", 501),
    ] {
        let verb = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let url = format!("http://{}{asked}", gateway.address);
        let request = gateway.client.request(verb, url).bearer_auth(token).body(body);
        let response = within(request.send()).await.unwrap();
        assert_eq!(response.status(), status, "{method} {asked}");
        assert_eq!(status == 401, response.headers().contains_key("www-authenticate"));
        let answer: Value = response.json().await.unwrap();
        let schema = schema(&document, path, method, status);
        let faults: Vec<_> = schema.iter_errors(&answer).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{method} {asked}: {faults:?} in {answer}");
    }
}

#[tokio::test]
async fn the_admin_port_is_as_it_is_described() {
    let gateway = TestGateway::with_workers(&[]).await;
    let document = document(&gateway).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let registry = gateway.metrics.registry.clone();
    let readiness = Readiness::default();
    tokio::spawn(telemetry::admin::serve_on(
        listener,
        registry,
        readiness.clone(),
        std::future::pending(),
    ));
    for ready in [false, true] {
        readiness.set_ready(ready);
        for path in ["/healthz", "/readyz", "/metrics"] {
            let item = &document["paths"][path];
            assert!(item["servers"].is_array());
            let response = within(gateway.client.get(format!("http://{address}{path}")).send())
                .await
                .unwrap();
            let expected = if ready || path != "/readyz" { 200 } else { 503 };
            assert_eq!(response.status(), expected, "{path}");
            let content = &item["get"]["responses"][expected.to_string()]["content"];
            let kind = response.headers()["content-type"].to_str().unwrap();
            let kind = kind.split(';').next().unwrap();
            assert!(content.get(kind).is_some(), "{path} {kind} in {content}");
        }
    }
    assert_eq!(document["paths"]["/metrics"]["get"]["security"], json!([]));
}
