//! Objects that the tests share.

use api::{LlmModel, Room};
use serde_json::{Value, json};

use super::{
    Settings,
    validate::{Owner, Wanted, validate},
};
use crate::controllers::llmmodel::testing;

/// A Room whose spec has these fields; without others it reads a volume.
pub fn room(fields: Value) -> Room {
    let mut spec = json!({
        "embedding": {"name": "embedder"},
        "sources": [{"name": "handbook", "pvc": {"claimName": "docs"}}],
    });
    for (field, value) in fields.as_object().unwrap() {
        spec[field] = value.clone();
    }
    serde_json::from_value(json!({
        "apiVersion": "atelier.dev/v1alpha1",
        "kind": "Room",
        "metadata": {
            "name": "hr", "namespace": "ns", "uid": "room-uid", "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": spec,
    }))
    .unwrap()
}

/// The validated form of [`room`].
pub fn wanted(fields: Value) -> Wanted {
    validate(&room(fields), &settings()).unwrap()
}

/// The owner of children of [`room`].
pub fn the_owner() -> Owner {
    Owner::new(&room(json!({}))).unwrap()
}

/// An installation.
pub fn settings() -> Settings {
    Settings {
        common: testing::settings(),
        gateway_url: "http://atelier-gateway.atelier-system.svc".into(),
        audience: "atelier".into(),
        keeps_rooms: true,
    }
}

/// A model with this task whose version serves.
pub fn model(name: &str, task: &str) -> LlmModel {
    let mut model = testing::model(json!({"task": task}));
    model.metadata.name = Some(name.into());
    model.status = serde_json::from_value(json!({
        "currentVersion": "v-0123456789",
        "versions": [{"name": "v-0123456789", "state": "Serving"}],
    }))
    .unwrap();
    model
}
