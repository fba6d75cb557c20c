//! Guardrails between callers and models.

mod answers;
mod requests;
mod streams;
mod webhooks;

use serde_json::{Value, json};

use super::{EVENTS, refused, within};
use crate::{
    catalog::Model,
    guard::Guards,
    testing::{TestGateway, Worker, model},
};

const IBAN: &str = "DE89 3704 0044 0532 0130 00";

/// A gateway whose model has these guardrails.
async fn gateway(worker: &Worker, guardrails: Value) -> TestGateway {
    let gateway = TestGateway::with_workers(&[worker]).await;
    gateway.catalog.apply_model(Model {
        guards: Some(Guards::of(&guardrails)),
        ..model("ns", "m")
    });
    gateway
}

/// A check for data about people.
fn people(direction: &str, action: &str) -> Value {
    json!({direction: [{"name": "people", "detector": "PersonalData", "onViolation": action}]})
}

/// How often a check found something.
fn violations(gateway: &TestGateway, check: &str, action: &str) -> u64 {
    let labels = ["ns", "m", check, action];
    gateway.metrics.guardrail_violations.with_label_values(&labels).get()
}

/// A chat with one message.
fn chat(content: impl Into<Value>) -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": content.into()}]})
}
