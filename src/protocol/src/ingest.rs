//! Rooms are filled: what the operator asks of `atelier-data ingest`, and what it answers.
//!
//! The plan travels as JSON in [`PLAN_VARIABLE`](crate::tune::PLAN_VARIABLE). The answer is the last words of the pod,
//! and lines of its log until then. A run reads sources, brings documents and chunks to the gateway, and publishes one
//! generation of the whole Room. Sources that are not to be read, or could not be, keep the documents that they have;
//! of sources that the plan does not name, nothing stays.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    PrepareFailure,
    tune::{Dedup, PersonalData},
};

/// What to read, and where to bring it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IngestPlan {
    /// The Room's namespace.
    pub namespace: String,
    /// Its name.
    pub room: String,
    /// Who takes documents, and embeds.
    pub gateway: GatewayAccess,
    /// What turns text into vectors.
    pub embedding: Embedding,
    /// All of the Room's sources.
    pub sources: Vec<IngestSource>,
    /// What becomes of texts.
    pub cleaning: Cleaning,
    /// Size of chunks.
    pub chunks: ChunkSize,
    /// Generations that stay beside the new one, to go back to.
    pub keep: u32,
    /// `metadata.uid` of the Room, if what its red team looks for is to be planted: see [`crate::redteam`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub red_team: Option<String>,
    /// Directory for what is being read.
    pub scratch: PathBuf,
    /// What a document may take.
    #[serde(default)]
    pub limits: Limits,
}

/// What a document may take. One that takes more is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of its file.
    pub bytes: u64,
    /// Bytes of all that is packed in it.
    pub unpacked_bytes: u64,
    /// Bytes of its text.
    pub text_bytes: u64,
    /// Its pages.
    pub pages: u32,
    /// Pages of it that are recognized; each takes seconds.
    pub ocr_pages: u32,
    /// Seconds until it is read; beside them, each page that is recognized may take [`Self::ocr_page_seconds`].
    pub seconds: u32,
    /// Seconds for a page that is recognized.
    pub ocr_page_seconds: u32,
    /// Pages of it, from the first, of which pictures are kept for those who look at citations. More are kept of pages
    /// that were recognized.
    pub pictures: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 256 << 20,
            unpacked_bytes: 1 << 30,
            text_bytes: 32 << 20,
            pages: 5000,
            ocr_pages: 500,
            seconds: 120,
            ocr_page_seconds: 30,
            pictures: 100,
        }
    }
}

/// How the gateway is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewayAccess {
    /// Its root: `http://atelier-gateway.atelier-system.svc`.
    pub url: String,
    /// Certificates in PEM that vouch for it, beside the usual ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// File with the token to show; it is replaced from time to time.
    pub token_file: PathBuf,
}

/// The model that turns text into vectors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Embedding {
    /// Its name, as requests have it: `namespace/model`, with `@version` where it has versions.
    pub model: String,
    /// What its vectors depend on: another digest, other vectors. For a recipe as it is: of a model that has versions it is
    /// the name of one, by which questions are embedded as well.
    pub digest: String,
}

impl Embedding {
    /// The name of its LlmModel alone, for a recipe.
    pub fn name(&self) -> &str {
        let name = self.model.rsplit('/').next().unwrap_or_default();
        name.split('@').next().unwrap_or_default()
    }
}

/// A place that documents come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IngestSource {
    /// Its name.
    pub name: String,
    /// Clearance that its documents need.
    pub clearance: u8,
    /// Whether it is to be read; else its documents stay as they are.
    pub read: bool,
    /// Reading of scanned pages; without, pages without text are set aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ocr: Option<Ocr>,
    /// Where it is.
    pub kind: IngestSourceKind,
}

/// Reading of scanned pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ocr {
    /// Languages, by the codes of Tesseract.
    pub languages: Vec<String>,
    /// Mean confidence under which a page is set aside, in percent.
    pub min_confidence: u8,
}

/// The ways to get at documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum IngestSourceKind {
    /// A file, or all files of a directory, that is mounted.
    #[serde(rename_all = "camelCase")]
    Mounted {
        /// Where.
        path: PathBuf,
    },
    /// Pages and files of web servers.
    #[serde(rename_all = "camelCase")]
    Http {
        /// Where to begin.
        urls: Vec<String>,
        /// Links to follow from there, within the same host.
        depth: u32,
        /// Directory of files named like request headers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        headers_dir: Option<PathBuf>,
    },
    /// A file or folder of an object store.
    #[serde(rename_all = "camelCase")]
    ObjectStore {
        /// Where.
        uri: String,
        /// Directory of files named like the store's environment variables.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        credentials_dir: Option<PathBuf>,
    },
    /// Files of a Git repository.
    #[serde(rename_all = "camelCase")]
    Git {
        /// Where it is, over HTTPS or SSH.
        url: String,
        /// Branch, tag or commit; its default branch without one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<String>,
        /// Folder to read; all of it without one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
        /// Directory with `username` and `password`, or `ssh-privatekey` and `known_hosts`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        credentials_dir: Option<PathBuf>,
    },
    /// What people brought to the gateway.
    #[serde(rename_all = "camelCase")]
    Upload {
        /// Bytes of one document at most.
        max_bytes: u64,
    },
}

/// What becomes of texts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cleaning {
    /// Remove headers, footers and navigation, and bring text to one form.
    pub clean: bool,
    /// Documents that count as the same.
    pub dedup: Dedup,
    /// Personal data.
    pub pii: PersonalData,
}

/// Size of chunks, in tokens of the embedding model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChunkSize {
    /// Most tokens of one.
    pub tokens: u32,
    /// Tokens that it shares with the one before.
    pub overlap: u32,
}

/// The last words of `atelier-data ingest`, and lines of its log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum IngestOutcome {
    /// The generation is published.
    Published(IngestReport),
    /// It is not; the one before answers.
    Failed(PrepareFailure),
    /// Still at work.
    Running(IngestProgress),
}

/// What a published generation holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IngestReport {
    /// Its number.
    pub generation: u64,
    /// Documents that can be found.
    pub documents: u64,
    /// Their chunks.
    pub chunks: u64,
    /// Documents that were set aside, by CamelCase reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub quarantined: BTreeMap<String, u64>,
    /// Share of the ten nearest chunks that a search finds, measured against an exact one, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recall_at_10: Option<String>,
    /// What became of each source.
    pub sources: Vec<IngestedSource>,
}

/// What became of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IngestedSource {
    /// Its name.
    pub name: String,
    /// Whether it was read to its end, with its access rights.
    pub read: bool,
    /// Documents of it that can be found.
    pub documents: u64,
    /// Their chunks.
    pub chunks: u64,
    /// Documents of it that were taken over as they were.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unchanged: u64,
    /// Documents that are gone, because the source has them no more.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub removed: u64,
    /// Documents that are the same as another one, and left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub duplicates: u64,
    /// Documents that were set aside.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub quarantined: u64,
    /// Bytes of documents that were read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bytes: u64,
    /// Seconds that it took.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub seconds: u64,
    /// Why it could not be read; its documents stayed as they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// How far a run is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IngestProgress {
    /// The source that is read now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Documents looked at so far.
    pub documents: u64,
    /// Chunks brought to the gateway so far.
    pub chunks: u64,
}

/// Bytes of a termination message that Kubernetes keeps.
const LAST_WORDS: usize = 4096;

impl IngestOutcome {
    /// Parses last words or a line of the log; `None` when it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text.trim()).ok()
    }

    /// It as JSON that fits a termination message: errors of sources are cut as short as need be.
    pub fn last_words(&self) -> String {
        let mut outcome = self.clone();
        for longest in [400, 100, 30, 0] {
            if let Self::Published(report) = &mut outcome {
                for error in report.sources.iter_mut().filter_map(|source| source.error.as_mut()) {
                    error.truncate(error.floor_char_boundary(longest));
                }
            }
            let text = serde_json::to_string(&outcome).expect("our own types are representable as JSON");
            if text.len() <= LAST_WORDS {
                return text;
            }
        }
        // What nobody decides by goes first.
        if let Self::Published(report) = &mut outcome {
            for source in &mut report.sources {
                *source = IngestedSource {
                    name: std::mem::take(&mut source.name),
                    read: source.read,
                    documents: source.documents,
                    chunks: source.chunks,
                    error: source.error.take(),
                    ..IngestedSource::default()
                };
            }
        }
        let text = serde_json::to_string(&outcome).expect("our own types are representable as JSON");
        if text.len() <= LAST_WORDS {
            return text;
        }
        // Whoever reads it takes what is known of the rest from before.
        while let Self::Published(report) = &mut outcome {
            let is_shorter = report.sources.pop().is_some() || report.quarantined.pop_last().is_some();
            let text = serde_json::to_string(&outcome).expect("our own types are representable as JSON");
            if text.len() <= LAST_WORDS || !is_shorter {
                return text;
            }
        }
        serde_json::to_string(&outcome).expect("our own types are representable as JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::reasons;

    fn source(number: usize, error: Option<&str>) -> IngestedSource {
        IngestedSource {
            name: format!("{number:0>40}"),
            read: error.is_none(),
            documents: 1_000_000,
            chunks: 10_000_000,
            error: error.map(str::to_owned),
            bytes: 1 << 40,
            seconds: 3600,
            ..IngestedSource::default()
        }
    }

    fn published(sources: usize, error: Option<&str>) -> IngestOutcome {
        IngestOutcome::Published(IngestReport {
            generation: 1,
            sources: (0..sources).map(|number| source(number, error)).collect(),
            ..IngestReport::default()
        })
    }

    #[test]
    fn a_recipe_names_the_model_alone() {
        for model in ["ns/e@v-0123456789", "ns/e", "e"] {
            let embedding = Embedding {
                model: model.into(),
                digest: "v-0123456789".into(),
            };
            assert_eq!(embedding.name(), "e");
        }
    }

    #[test]
    fn what_fits_is_said_whole() {
        for outcome in [
            published(3, Some("the server answered 503")),
            IngestOutcome::Failed(PrepareFailure::new(reasons::INTERNAL, "why", true)),
            IngestOutcome::Running(IngestProgress::default()),
        ] {
            assert_eq!(IngestOutcome::parse(&outcome.last_words()), Some(outcome));
        }
    }

    #[test]
    fn last_words_always_fit() {
        for (sources, error) in [(32, Some("é".repeat(3000))), (32, None), (500, Some("x".into()))] {
            let text = published(sources, error.as_deref()).last_words();
            assert!(text.len() <= LAST_WORDS, "{}", text.len());
            let Some(IngestOutcome::Published(report)) = IngestOutcome::parse(&text) else {
                panic!("{text}")
            };
            let most = if sources == 32 && error.is_none() { 32 } else { 1 };
            assert!(report.sources.len() >= most, "{}", report.sources.len());
            assert_eq!(report.sources[0].error.is_some(), error.is_some());
        }
    }

    #[test]
    fn words_of_others_are_none_of_ours() {
        assert_eq!(IngestOutcome::parse("Error: exec format error"), None);
        assert_eq!(IngestOutcome::parse(r#"{"ready": {}}"#), None);
    }
}
