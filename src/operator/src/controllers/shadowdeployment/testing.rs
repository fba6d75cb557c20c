//! Objects that the tests share.

use api::{LlmModel, ShadowDeployment};
use serde_json::{Value, json};

use super::Settings;
use crate::controllers::llmmodel::testing;

/// The version that serves.
pub const PRIMARY: &str = "v-0000000001";
/// The version that answers in the dark.
pub const CANDIDATE: &str = "v-0000000002";

/// A ShadowDeployment whose spec has these fields.
pub fn shadow(fields: Value) -> ShadowDeployment {
    let mut spec = json!({
        "model": {"name": "m"},
        "candidate": {"version": CANDIDATE},
        "compare": {"primary": {"metric": "RougeL"}},
    });
    for (field, value) in fields.as_object().unwrap() {
        spec[field] = value.clone();
    }
    serde_json::from_value(json!({
        "apiVersion": "atelier.dev/v1alpha1",
        "kind": "ShadowDeployment",
        "metadata": {"name": "s", "namespace": "ns", "uid": "shadow-uid", "generation": 1},
        "spec": spec,
    }))
    .unwrap()
}

/// An installation.
pub fn settings() -> Settings {
    Settings { collects: true }
}

/// A model with a version that serves and one on its way.
pub fn model(spec: Value) -> LlmModel {
    let mut model = testing::model(spec);
    model.status = serde_json::from_value(json!({
        "currentVersion": PRIMARY,
        "candidateVersion": CANDIDATE,
        "conditions": [{"type": "Ready", "status": "True", "reason": "Serving", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}],
        "versions": [{"name": PRIMARY, "state": "Serving"}, {"name": CANDIDATE, "state": "Shadowing"}],
    }))
    .unwrap();
    model
}
