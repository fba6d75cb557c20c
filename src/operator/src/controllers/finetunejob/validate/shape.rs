//! What tells how pods run, and changes no result.

use api::finetunejob::FineTuneJobSpec;
use serde_json::json;

use crate::controllers::{common::canonical, llmmodel::validate::Settings};

/// `r-` and ten hex digits over everything by which pods may fail to start: what hangs is made anew when it changes.
pub fn of(spec: &FineTuneJobSpec, settings: &Settings) -> String {
    let reached = spec.dataset.sources.iter().filter_map(|source| {
        let oci = source.oci.as_ref()?;
        Some((&source.name, &oci.pull_policy, &oci.pull_secrets))
    });
    let parts = json!({
        "resources": spec.resources,
        "placement": spec.placement,
        "podOverrides": spec.pod_overrides,
        "queueName": spec.queue_name,
        "storage": spec.storage.as_ref().map(|storage| &storage.access_modes),
        "sources": reached.collect::<Vec<_>>(),
        "images": [Some(&settings.worker_image), settings.data_image.as_ref()],
    });
    format!("r-{}", canonical::digest(&parts, 10))
}
