//! Stand-ins for what is outside the gateway: the API server's reviews and the workers.

mod gateway;
mod reviewer;
mod secrets;
mod worker;

use api::llmmodel::Task;

use crate::{
    catalog::{Model, Readiness},
    limits::Limits,
};

pub use gateway::{TestGateway, Timing};
pub use reviewer::ScriptedReviewer;
pub use secrets::ScriptedSecrets;
pub use worker::{Received, Worker};

/// The version that [`model`] serves.
pub const VERSION: &str = "v-0123456789";

/// A ready model.
pub fn model(namespace: &str, name: &str) -> Model {
    Model {
        namespace: namespace.into(),
        name: name.into(),
        task: Some(Task::Generate),
        created: 1_767_225_600,
        current_version: Some(VERSION.into()),
        canary: None,
        adapters: Vec::new(),
        readiness: Readiness {
            ready: true,
            reason: "Serving".into(),
            message: String::new(),
        },
        hold: None,
        hosted: None,
        limits: Limits::default(),
        fallback: Vec::new(),
        guards: None,
    }
}
