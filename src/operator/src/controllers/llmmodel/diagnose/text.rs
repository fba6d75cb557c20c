//! What the texts of the scheduler and the kubelet tell: their reasons alone are too coarse.

use api::{names, reasons};

use super::Asked;
use crate::controllers::llmmodel::{accelerator::Accelerator, follow, source::Source, trouble::Trouble};

/// The name after `kind` that the text says is not found.
pub fn missing<'a>(text: &'a str, kind: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(kind)?;
    let mut parts = rest.trim_start_matches('"').splitn(2, '"');
    let (object, after) = (parts.next()?, parts.next()?);
    after.trim_start().starts_with("not found").then_some(object)
}

/// A claim, Secret or other object that the text says does not exist.
pub fn missing_reference(text: &str, asked: &Asked<'_>) -> Option<Trouble> {
    for (kind, name) in [
        ("persistentvolumeclaim ", "PersistentVolumeClaim"),
        ("secret ", "Secret"),
        ("serviceaccount ", "ServiceAccount"),
        ("configmap ", "ConfigMap"),
    ] {
        if let Some(object) = missing(text, kind) {
            let field = match (asked.source, name) {
                (source @ Source::PersistentVolumeClaim(_), "PersistentVolumeClaim") if !follow::is_output(source) => {
                    " that spec.source.persistentVolumeClaim.claimName names"
                }
                (Source::Http(_), "Secret") => " that spec.source.http.headersSecretRef names",
                (Source::HuggingFace(_), "Secret") => " that spec.source.huggingFace.tokenSecretRef names",
                (Source::ObjectStore(_), "Secret") => " that spec.source.objectStore.credentialsSecretRef names",
                _ => "",
            };
            let job = names::job_of_tune_claim(object).filter(|_| name == "PersistentVolumeClaim");
            let message = match (job, field) {
                (Some(job), "") => format!(
                    "PersistentVolumeClaim {object} with the outputs of FineTuneJob {job} does not exist in this \
                     namespace: run the job again, or name a version of another one in spec.version"
                ),
                _ => format!("{name} {object}{field} does not exist in this namespace: create it or name another"),
            };
            return Some(Trouble::new(reasons::REFERENCE_NOT_FOUND, message));
        }
    }
    None
}

/// The devices that a replica asks for, and where they would come from.
pub fn devices(asked: &Accelerator) -> (String, String) {
    let (count, name) = (asked.count, asked.name());
    let hint = match asked.class() {
        None => format!(
            ". `kubectl describe nodes` shows under Allocatable which nodes offer {name}: none do without the vendor's \
             device plugin"
        ),
        Some(_) => format!(
            ". `kubectl get deviceclass {name}` and `kubectl get resourceslices` show which nodes offer such devices: \
             none do without the vendor's DRA driver"
        ),
    };
    let what = match asked.class() {
        None => format!("{count} {name}"),
        Some(_) => format!("{count} of the device class {name}"),
    };
    (what, hint)
}

/// The claim for compressed weights waits for a volume that nobody makes.
pub fn unbound_claim(text: &str, asked: &Asked<'_>) -> Option<Trouble> {
    let waits = asked.compresses && text.contains("unbound immediate PersistentVolumeClaims");
    waits.then(|| {
        let message = "the claim for the compressed weights has no volume yet: `kubectl describe pvc` tells why. \
            The cluster needs a default StorageClass, or the chart's value storage.className names another one";
        Trouble::new(reasons::STORAGE_UNAVAILABLE, message)
    })
}

/// A failed pull.
pub fn image_pull(text: &str, asked: &Asked<'_>) -> Trouble {
    // The kubelet alternates between the failure and the pause before the next try: the same story.
    let text = text.split_once("ErrImagePull: ").map_or(text, |(_, detail)| detail);
    let mut images: Vec<&str> = asked.engine_image.into_iter().chain([asked.worker_image]).collect();
    if let Source::Oci(oci) = asked.source
        && !oci.is_artifact()
    {
        images.insert(0, &oci.image);
    }
    let named = images.iter().find(|image| text.contains(**image));
    let image = named.map_or_else(|| images.join(" or "), |image| (*image).to_owned());
    let hint = match asked.source {
        Source::Oci(oci) if image == oci.image => {
            "check spec.source.oci.image, pullPolicy and pullSecrets, and that the registry has it"
        }
        _ if asked.engine_image == Some(&image) => {
            "check spec.engine.openAICompatible.image, and that the registry has it"
        }
        _ => "check that the registry has it, or that the nodes do",
    };
    let text = text.trim().trim_end_matches('.');
    Trouble::new(
        reasons::IMAGE_PULL_FAILED,
        format!("image {image} cannot be pulled: {text}; {hint}"),
    )
}

/// A failed pull, if that is what an Event's text tells.
pub fn image(text: &str, asked: &Asked<'_>) -> Option<Trouble> {
    let words = text.to_ascii_lowercase();
    (words.contains("image") && !words.contains("restarting")).then(|| image_pull(text, asked))
}

/// Whether the container could not even start within its memory.
pub fn is_out_of_memory(text: &str) -> bool {
    text.contains("OOM-killed") || text.contains("memory limit too low")
}
