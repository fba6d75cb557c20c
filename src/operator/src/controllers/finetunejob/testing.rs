//! Objects that the tests share.

use api::FineTuneJob;
use serde_json::{Value, json};

use super::validate::{Owner, Wanted, validate};
use crate::controllers::llmmodel::{
    testing::{report, settings},
    version::Version,
};

/// A FineTuneJob whose spec has these fields; without others it trains LoRA on an image's data.
pub fn job(fields: Value) -> FineTuneJob {
    let mut spec = json!({
        "base": {"name": "small"},
        "method": "LoRA",
        "dataset": {"sources": [{"name": "chats", "oci": {"image": "data/chats:1"}}], "format": "Chat"},
    });
    for (field, value) in fields.as_object().unwrap() {
        spec[field] = value.clone();
    }
    serde_json::from_value(json!({
        "apiVersion": "atelier.dev/v1alpha1",
        "kind": "FineTuneJob",
        "metadata": {
            "name": "tune", "namespace": "ns", "uid": "job-uid", "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": spec,
    }))
    .unwrap()
}

/// The validated form of [`job`].
pub fn wanted(fields: Value) -> Wanted {
    validate(&job(fields), &settings()).unwrap()
}

/// The owner of children of [`job`].
pub fn the_owner() -> Owner {
    Owner::new(&job(json!({}))).unwrap()
}

/// A version of the base, which is an image.
pub fn base() -> Version {
    let model = crate::controllers::llmmodel::testing::wanted(json!({}));
    Version::new(&model, report())
}
