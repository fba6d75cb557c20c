//! A version: everything that changes answers, under a name that follows from it.

use k8s_openapi::api::apps::v1::ControllerRevision;
use kube::ResourceExt;
use protocol::{MemoryEstimate, ModelFacts, PrepareReport, ServingShape};
use serde::{Deserialize, Serialize};

use api::{
    llmmodel::DEFAULT_CONTEXT_LENGTH,
    names::{ANNOTATION_SOURCE, LABEL_VERSION},
};

use super::{canonical, source::Source, validate::Wanted};

/// The number format that weights are computed in.
const DTYPE: &str = "bf16";
const DTYPE_BYTES: u64 = 2;

/// How the weights are served, with all defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Served {
    /// Tokens of one sequence.
    pub context_length: u64,
    /// Tokens of one forward pass.
    pub max_batch_tokens: u64,
    /// Sequences computed at the same time.
    pub max_concurrent_sequences: u64,
    /// Requests that may wait.
    pub max_queue: u64,
    /// Number format: `bf16`.
    pub dtype: String,
    /// System message of conversations that bring none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_prompt: Option<String>,
    /// Chat template instead of the file's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat_template: Option<String>,
}

/// A version and where its weights are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// `v-` and ten hex digits.
    pub name: String,
    /// Where the weights are.
    pub source: Source,
    /// What the prepare step found there.
    pub report: PrepareReport,
    /// How they are served.
    pub served: Served,
}

/// What a ControllerRevision holds: immutable.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    digest: String,
    bytes: u64,
    model: ModelFacts,
    served: Served,
}

/// What a ControllerRevision says of the place of the weights: it may change.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    source: Source,
    file: String,
}

impl Version {
    /// The version that a spec describes, given what was found at its source.
    pub fn new(wanted: &Wanted, report: PrepareReport) -> Self {
        let trained = report.model.context_length;
        let default = u64::from(DEFAULT_CONTEXT_LENGTH.unsigned_abs());
        let served = Served {
            context_length: wanted.engine.context_length.unwrap_or(trained.min(default)),
            max_batch_tokens: wanted.engine.max_batch_tokens,
            max_concurrent_sequences: wanted.engine.max_concurrent_sequences,
            max_queue: wanted.engine.max_queue,
            dtype: DTYPE.into(),
            system_prompt: wanted.prompt.system.clone(),
            chat_template: wanted.prompt.template_override.clone(),
        };
        let name = format!("v-{}", canonical::digest(&(&report.digest, &served), 10));
        Self {
            name,
            source: wanted.source.clone(),
            report,
            served,
        }
    }

    /// The version that a ControllerRevision describes; `None` when it is not one of ours.
    pub fn from_revision(revision: &ControllerRevision) -> Option<Self> {
        let data: Data = serde_json::from_value(revision.data.as_ref()?.0.clone()).ok()?;
        let place: Place = serde_json::from_str(revision.annotations().get(ANNOTATION_SOURCE)?).ok()?;
        Some(Self {
            name: revision.labels().get(LABEL_VERSION)?.clone(),
            source: place.source,
            report: PrepareReport {
                digest: data.digest,
                bytes: data.bytes,
                file: place.file,
                model: data.model,
                compression: None,
            },
            served: data.served,
        })
    }

    /// What goes into the data of its ControllerRevision.
    pub fn data(&self) -> serde_json::Value {
        let data = Data {
            digest: self.report.digest.clone(),
            bytes: self.report.bytes,
            model: self.report.model.clone(),
            served: self.served.clone(),
        };
        serde_json::to_value(data).expect("our own types are representable as JSON")
    }

    /// What goes into the source annotation of its ControllerRevision.
    pub fn place(&self) -> String {
        let place = Place {
            source: self.source.clone(),
            file: self.report.file.clone(),
        };
        serde_json::to_string(&place).expect("our own types are representable as JSON")
    }

    /// The weights file, relative to the root of the source.
    pub fn file(&self) -> &str {
        self.source.path().unwrap_or(&self.report.file)
    }

    /// Memory that one replica takes.
    pub fn estimate(&self) -> MemoryEstimate {
        let shape = ServingShape {
            context_length: self.served.context_length,
            max_concurrent_sequences: self.served.max_concurrent_sequences,
            max_batch_tokens: self.served.max_batch_tokens,
            bytes_per_element: DTYPE_BYTES,
        };
        MemoryEstimate::new(&self.report.model, &shape)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controllers::llmmodel::testing::{report, wanted};

    #[test]
    fn the_name_follows_from_what_changes_answers() {
        let base = Version::new(&wanted(json!({})), report());
        assert_eq!(base.name.len(), 12);
        for (spec, same) in [
            (json!({"replicas": 3}), true),
            (json!({"resources": {"memory": "4Gi"}}), true),
            (json!({"source": {"oci": {"image": "moved:1"}}}), true),
            (json!({"engine": {"atelier": {"contextLength": 4096}}}), true),
            (json!({"engine": {"atelier": {"contextLength": 512}}}), false),
            (json!({"prompt": {"system": "Be brief."}}), false),
            (json!({"prompt": {"templateOverride": "{{ x }}"}}), false),
        ] {
            let other = Version::new(&wanted(spec.clone()), report());
            assert_eq!(other.name == base.name, same, "{spec}");
        }
        let mut changed = report();
        changed.digest = format!("sha256:{}", "1".repeat(64));
        assert_ne!(Version::new(&wanted(json!({})), changed).name, base.name);
    }

    #[test]
    fn a_short_model_gets_its_own_context() {
        let mut short = report();
        short.model.context_length = 1024;
        assert_eq!(Version::new(&wanted(json!({})), short).served.context_length, 1024);
        assert_eq!(Version::new(&wanted(json!({})), report()).served.context_length, 4096);
    }
}
