//! A version: everything that changes answers, under a name that follows from it.

use k8s_openapi::api::apps::v1::ControllerRevision;
use kube::ResourceExt;
use protocol::{CompressionReport, MemoryEstimate, ModelFacts, PrepareReport, ServingShape};
use serde::{Deserialize, Serialize};
use serde_json::json;

use api::{
    llmmodel::{DEFAULT_CONTEXT_LENGTH, ForeignEngine, Task},
    names::{ANNOTATION_EVALUATION, ANNOTATION_SOURCE, ANNOTATION_STOPPED, LABEL_VERSION},
};

use super::{
    canonical, compression::Compression, evaluation::Evaluation, source::Source, trouble::Trouble, validate::Wanted,
};

/// The number format that text is generated with.
const BF16: &str = "bf16";
/// That of vectors and scores: encoders are small, and rounding shows in what is compared.
const FP32: &str = "fp32";

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
    /// Whether beginnings of prompts are kept for later ones. Not written where they are, as always
    /// before there was the choice: the names of versions follow from what is written.
    #[serde(default = "kept", skip_serializing_if = "is_kept")]
    pub prefix_cache: bool,
    /// Number format: `bf16` or `fp32`.
    pub dtype: String,
    /// System message of conversations that bring none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_prompt: Option<String>,
    /// Chat template instead of the file's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat_template: Option<String>,
    /// What computes instead of our own engine. All of it belongs to the name: a wrong port or path is found by a
    /// version on its way in, not by one that serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<ForeignEngine>,
}

fn kept() -> bool {
    true
}

fn is_kept(prefix_cache: &bool) -> bool {
    *prefix_cache
}

/// A version and where its weights are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// `v-` and ten hex digits.
    pub name: String,
    /// Where the weights are, or come from when they are compressed.
    pub source: Source,
    /// What the prepare step found there, or made of it.
    pub report: PrepareReport,
    /// How they are served.
    pub served: Served,
    /// How they are compressed.
    pub compression: Option<Compression>,
    /// The adapter that every request is computed with which names none.
    pub tuned: Option<Tuned>,
    /// Why they are never served; the report is then the source's.
    pub rejection: Option<Rejection>,
    /// Why it was stopped on trial.
    pub stopped: Option<Trouble>,
    /// What it scored.
    pub evaluation: Option<Evaluation>,
}

/// An adapter that a FineTuneJob has published, as a part of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tuned {
    /// `sha256:` and 64 hex digits, as its manifest has it.
    pub digest: String,
    /// Where it is.
    pub place: TunedPlace,
}

/// Where the adapter of a version is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TunedPlace {
    /// The PersistentVolumeClaim.
    pub claim: String,
    /// The directory on its volume.
    pub path: String,
}

/// The evidence against a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rejection {
    /// What was measured.
    pub measured: CompressionReport,
}

/// What a ControllerRevision holds: immutable.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    digest: String,
    bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    model: ModelFacts,
    served: Served,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    compression: Option<Compression>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    measured: Option<CompressionReport>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rejection: Option<Rejection>,
    /// Digest of the adapter that belongs to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tuned: Option<String>,
}

/// What a ControllerRevision says of the weights beside its data: it may change.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    source: Source,
    file: String,
    /// A fact of the model that data of earlier releases lack, and data cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    packed_bytes: Option<u64>,
    /// Where the adapter is that belongs to the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tuned: Option<TunedPlace>,
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
            prefix_cache: wanted.engine.prefix_cache,
            dtype: if wanted.task == Task::Generate { BF16 } else { FP32 }.into(),
            system_prompt: wanted.prompt.system.clone(),
            chat_template: wanted.prompt.template_override.clone(),
            engine: wanted.foreign.clone(),
        };
        let compression = wanted.compress.clone();
        // What there is not takes no place in it, so that names of earlier releases stay.
        let mut parts = vec![json!(report.digest), json!(served)];
        parts.extend(compression.as_ref().map(|it| json!(it)));
        parts.extend(wanted.tuned.as_ref().map(|it| json!(it.digest)));
        let digest = canonical::digest(&parts, 10);
        Self {
            name: format!("v-{digest}"),
            source: wanted.source.clone(),
            report,
            served,
            compression,
            tuned: wanted.tuned.clone(),
            rejection: None,
            stopped: None,
            evaluation: None,
        }
    }

    /// The version that a spec describes and that lost too much by compression. `report` is the source's.
    pub fn rejected(wanted: &Wanted, report: PrepareReport, measured: CompressionReport) -> Self {
        Self {
            rejection: Some(Rejection { measured }),
            ..Self::new(wanted, report)
        }
    }

    /// The version that a ControllerRevision describes; `None` when it is not one of ours.
    pub fn from_revision(revision: &ControllerRevision) -> Option<Self> {
        let data: Data = serde_json::from_value(revision.data.as_ref()?.0.clone()).ok()?;
        let place: Place = serde_json::from_str(revision.annotations().get(ANNOTATION_SOURCE)?).ok()?;
        let tuned = match (data.tuned, place.tuned) {
            (None, _) => None,
            (Some(digest), Some(place)) => Some(Tuned { digest, place }),
            // Without its adapter it is another one.
            (Some(_), None) => return None,
        };
        Some(Self {
            name: revision.labels().get(LABEL_VERSION)?.clone(),
            source: place.source,
            report: PrepareReport {
                digest: data.digest,
                bytes: data.bytes,
                file: place.file,
                revision: data.revision,
                model: ModelFacts {
                    packed_bytes: place.packed_bytes,
                    ..data.model
                },
                compression: data.measured,
            },
            served: data.served,
            compression: data.compression,
            tuned,
            rejection: data.rejection,
            stopped: noted(revision, ANNOTATION_STOPPED),
            evaluation: noted(revision, ANNOTATION_EVALUATION),
        })
    }

    /// What goes into the data of its ControllerRevision.
    pub fn data(&self) -> serde_json::Value {
        let data = Data {
            digest: self.report.digest.clone(),
            bytes: self.report.bytes,
            revision: self.report.revision.clone(),
            model: ModelFacts {
                packed_bytes: None,
                ..self.report.model.clone()
            },
            served: self.served.clone(),
            compression: self.compression.clone(),
            measured: self.report.compression.clone(),
            rejection: self.rejection.clone(),
            tuned: self.tuned.as_ref().map(|it| it.digest.clone()),
        };
        serde_json::to_value(data).expect("our own types are representable as JSON")
    }

    /// What goes into the source annotation of its ControllerRevision.
    pub fn place(&self) -> String {
        let place = Place {
            source: self.source.clone(),
            file: self.report.file.clone(),
            packed_bytes: self.report.model.packed_bytes,
            tuned: self.tuned.as_ref().map(|it| it.place.clone()),
        };
        serde_json::to_string(&place).expect("our own types are representable as JSON")
    }

    /// The weights, relative to the root of the volume that is served from.
    pub fn file(&self) -> &str {
        let named = self.source.path().filter(|_| self.compression.is_none());
        named.unwrap_or(&self.report.file)
    }

    /// The key of the compressed weights that it is served from.
    pub fn artifact(&self) -> Option<String> {
        let compression = self.compression.as_ref().filter(|_| self.rejection.is_none())?;
        Some(compression.key(&self.source))
    }

    /// Digest of the weights before any compression: what adapters are trained on.
    pub fn base_digest(&self) -> &str {
        let measured = self.report.compression.as_ref();
        measured.map_or(&self.report.digest, |measured| &measured.source_digest)
    }

    /// What compression did to the perplexity.
    pub fn measured(&self) -> Option<&CompressionReport> {
        let rejected = self.rejection.as_ref().map(|rejection| &rejection.measured);
        rejected.or(self.report.compression.as_ref())
    }

    /// Why it is not served.
    pub fn trouble(&self) -> Option<Trouble> {
        self.lost_too_much().or_else(|| self.stopped.clone())
    }

    /// Why it is never served.
    pub fn lost_too_much(&self) -> Option<Trouble> {
        let measured = &self.rejection.as_ref()?.measured;
        let compression = self.compression.as_ref()?;
        let message = format!(
            "{} raises the perplexity from {} to {}, by {}: more than the {} that \
             spec.compress.maxPerplexityIncrease allows. Choose another method, or allow more",
            compression.describe(),
            measured.perplexity_before,
            measured.perplexity_after,
            measured.increase,
            compression.max_perplexity_increase
        );
        Some(Trouble::new(protocol::report::reasons::PERPLEXITY_EXCEEDED, message))
    }

    /// Memory that one replica takes.
    pub fn estimate(&self) -> MemoryEstimate {
        let shape = ServingShape {
            context_length: self.served.context_length,
            max_concurrent_sequences: self.served.max_concurrent_sequences,
            max_batch_tokens: self.served.max_batch_tokens,
            bytes_per_element: if self.served.dtype == BF16 { 2 } else { 4 },
        };
        MemoryEstimate::new(&self.report.model, &shape)
    }
}

/// What was learned of a version after its snapshot.
fn noted<T: serde::de::DeserializeOwned>(revision: &ControllerRevision, annotation: &str) -> Option<T> {
    serde_json::from_str(revision.annotations().get(annotation)?).ok()
}

#[cfg(test)]
mod tests;
