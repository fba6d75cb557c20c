//! What ails the pods of Jobs that are no LlmModel's. Pure.

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Event, Pod},
};

use super::trouble::Trouble;
use crate::controllers::llmmodel::{
    build::PREPARE_MEMORY,
    diagnose::{self, Asked},
    source::Source,
};

/// What a pod was asked to be, for messages.
#[derive(Clone, Copy, Debug)]
pub struct Pods<'a> {
    /// Those of a Job, newest first.
    pub pods: &'a [&'a Pod],
    /// Events about those that hang.
    pub events: &'a [Event],
    /// Image of the main container.
    pub image: &'a str,
    /// Memory and CPU of the main container.
    pub size: (&'a str, &'a str),
}

/// What ails the pods of a Job, or keeps it from having any; `claim` is what their own claim is called.
pub fn diagnosed(job: &Job, pods: Pods<'_>, claim: &str) -> Option<Trouble> {
    let neutral = neutral();
    let asked = Asked {
        source: &neutral,
        worker_image: pods.image,
        engine_image: None,
        accelerator: None,
        memory: pods.size.0,
        cpu: pods.size.1,
        prepare_memory: PREPARE_MEMORY,
        compresses: true,
    };
    let trouble = diagnose::pods(pods.pods, pods.events, &asked).or_else(|| diagnose::pods_of_job(job, pods.events))?;
    // The words were made for another claim.
    let message = trouble.message.replace("the claim for the compressed weights", claim);
    Some(Trouble { message, ..trouble })
}

/// A source of which diagnoses say nothing: they speak of fields that only LlmModels have.
fn neutral() -> Source {
    Source::Oci(api::common::OciSource {
        image: String::new(),
        type_: Some(api::common::OciType::Artifact),
        path: None,
        sha256: None,
        pull_policy: None,
        plain_http: None,
        pull_secrets: Vec::new(),
    })
}
