//! Whole answers.

use axum::{
    body::Body,
    http::{Response, StatusCode, header},
};
use rstest::rstest;

use super::*;

/// An answer with that content.
fn answer(content: &str) -> Value {
    let message = json!({"role": "assistant", "content": content, "reasoning_content": "to a@b.de"});
    json!({
        "id": "x", "model": "m", "prompt_logprobs": [IBAN],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "token_ids": [1]}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    })
}

async fn worker_saying(answer: Value) -> Worker {
    let answer = answer.to_string();
    Worker::start(move || {
        let response = Response::builder().header(header::CONTENT_TYPE, "application/json");
        response.body(Body::from(answer.clone())).unwrap()
    })
    .await
}

async fn asked(gateway: &TestGateway) -> (Value, Option<String>) {
    let response = within(gateway.chat(&chat("hello").to_string())).await;
    assert_eq!(response.status(), 200);
    let header = response.headers().get("x-atelier-guardrails");
    let header = header.map(|it| it.to_str().unwrap().to_owned());
    (serde_json::from_str(&response.text().await.unwrap()).unwrap(), header)
}

#[tokio::test]
async fn what_is_redacted_does_not_reach_the_caller() {
    let worker = worker_saying(answer(&format!("It is {IBAN}."))).await;
    let gateway = gateway(&worker, people("output", "Redact")).await;
    let (answer, header) = asked(&gateway).await;
    let message = json!({"role": "assistant", "content": "It is [IBAN].", "reasoning_content": "to [EMAIL]"});
    let notes = json!([{
        "check": "people", "direction": "output", "action": "redact", "found": {"IBAN": 1, "EMAIL": 1},
    }]);
    assert_eq!(
        answer,
        json!({
            "id": "x", "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
            "atelier": {"guardrails": notes},
        })
    );
    assert_eq!(header.as_deref(), Some("output.people"));
}

#[tokio::test]
async fn a_refused_answer_says_so_and_nothing_else() {
    let worker = worker_saying(answer(&format!("It is {IBAN}."))).await;
    let gateway = gateway(&worker, people("output", "Refuse")).await;
    let (answer, _) = asked(&gateway).await;
    assert_eq!(
        answer["choices"],
        json!([{
            "index": 0, "finish_reason": "content_filter", "message": {"role": "assistant", "content": null},
        }])
    );
    assert_eq!(answer["atelier"]["guardrails"][0]["action"], "refuse");
    assert!(!answer.to_string().contains("DE89"));
    assert_eq!(violations(&gateway, "people", "refuse"), 1);
}

#[tokio::test]
async fn what_is_annotated_passes_and_is_told() {
    let worker = worker_saying(answer(IBAN)).await;
    let gateway = gateway(&worker, people("output", "Annotate")).await;
    let (answer, header) = asked(&gateway).await;
    assert_eq!(answer["choices"][0]["message"]["content"], IBAN);
    assert_eq!(answer["atelier"]["guardrails"][0]["found"]["IBAN"], 1);
    assert_eq!(header.as_deref(), Some("output.people"));
}

#[rstest]
#[case::plain("text/plain", "DE89 3704 0044 0532 0130 00")]
#[case::no_json("application/json", "DE89 3704 0044 0532 0130 00")]
#[case::no_choices("application/json", "{\"text\":\"DE89 3704 0044 0532 0130 00\"}")]
#[tokio::test]
async fn an_answer_in_another_form_does_not_pass(#[case] kind: &'static str, #[case] body: &'static str) {
    let worker = Worker::answering(StatusCode::OK, kind, body).await;
    let gateway = gateway(&worker, people("output", "Refuse")).await;
    let response = within(gateway.chat(&chat("hello").to_string())).await;
    let message = refused(response, 502, "answer_unchecked").await;
    assert!(!message.contains("DE89"), "{message}");
}

#[tokio::test]
async fn a_hosted_model_has_the_same_guardrails() {
    let worker = worker_saying(answer(IBAN)).await;
    // No provider may be where a worker is.
    let gateway = TestGateway::with_workers(&[]).await;
    let check = json!([{"name": "people", "detector": "PersonalData", "onViolation": "Redact"}]);
    let provider = json!({"openAICompatible": {"url": format!("http://{}/v1", worker.address), "model": "theirs"}});
    gateway.catalog.apply_model(Model {
        current_version: None,
        hosted: Some(serde_json::from_value(provider).unwrap()),
        guards: Some(Guards::of(&json!({"input": check, "output": check}))),
        ..model("ns", "m")
    });
    let response = within(gateway.chat(&chat("from a@b.de").to_string())).await;
    let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "[IBAN]");
    assert!(worker.received()[0].body.contains("from [EMAIL]"));
}
