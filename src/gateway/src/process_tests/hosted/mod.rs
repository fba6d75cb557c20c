//! Models that somebody else hosts: real HTTP to a provider on loopback.

mod answers;
mod faults;
mod identity;
mod keys;
mod trust;

use serde_json::{Value, json};

use super::{CHAT, EVENTS, STREAM, refused, within};
use crate::{
    catalog::Model,
    testing::{TestGateway, Timing, Worker, model},
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
pub(super) fn compatible(address: impl std::fmt::Display) -> Value {
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
