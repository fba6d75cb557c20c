//! What `atelier-data prepare` is asked, and what it answers.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::PrepareFailure;

/// What to read, how to clean it and where to leave it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DataPlan {
    /// Where records come from; they are mixed.
    pub sources: Vec<DataSource>,
    /// What a record looks like.
    pub format: DataFormat,
    /// Cleaning.
    #[serde(default)]
    pub stages: Stages,
    /// Parts held back for measuring.
    pub split: Split,
    /// Files with texts that must not be learned from (evaluation suites): one text a line, or JSONL.
    #[serde(default)]
    pub decontaminate: Vec<Contaminant>,
    /// Directory for the result. One that is complete and answers the same plan is kept.
    pub to: PathBuf,
    /// Directory for what does not fit the memory. Default: beside `to`.
    #[serde(default)]
    pub scratch: Option<PathBuf>,
    /// Bytes of one record at most; longer ones are dropped. Default: 16 MiB.
    #[serde(default)]
    pub max_record_bytes: Option<u64>,
}

/// A file with texts that must not be learned from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Contaminant {
    /// Where.
    pub path: PathBuf,
    /// What is mounted there: an image, or a claim. Other texts come with another one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub identity: String,
}

/// A place that records come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DataSource {
    /// Its name, for reports.
    pub name: String,
    /// How often its records are seen, relative to the other sources.
    pub weight: u32,
    /// Where it is.
    pub kind: DataSourceKind,
}

/// The ways to get at records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum DataSourceKind {
    /// A file, or all files of a directory, that is mounted.
    #[serde(rename_all = "camelCase")]
    Mounted {
        /// Where.
        path: PathBuf,
        /// What is mounted there: an image, or a claim. Other data come with another one.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        identity: String,
    },
    /// A file from an HTTP server.
    #[serde(rename_all = "camelCase")]
    Http {
        /// Where.
        url: String,
        /// SHA-256 that it must have.
        #[serde(default)]
        sha256: Option<String>,
        /// Directory of files named like request headers.
        #[serde(default)]
        headers_dir: Option<PathBuf>,
    },
    /// A file or folder of an object store.
    #[serde(rename_all = "camelCase")]
    ObjectStore {
        /// Where.
        uri: String,
        /// Directory of files named like the store's environment variables.
        #[serde(default)]
        credentials_dir: Option<PathBuf>,
    },
    /// Rows of a PostgreSQL database, read in a read-only transaction.
    #[serde(rename_all = "camelCase")]
    Sql {
        /// File with the connection URL.
        connection_file: PathBuf,
        /// Exactly one query.
        query: String,
        /// What columns mean, by their names in the result; the text of a record names them so.
        #[serde(default)]
        descriptions: BTreeMap<String, String>,
    },
}

/// What a record looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataFormat {
    /// `{"messages": [{"role", "content"}]}`.
    Chat,
    /// `{"prompt", "completion"}`.
    PromptCompletion,
    /// `{"prompt", "chosen", "rejected"}`.
    Preference,
    /// `{"text"}`.
    Text,
}

/// Cleaning, in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Stages {
    /// Repair broken encodings, NFC, and no invisible or control characters.
    pub normalize_unicode: bool,
    /// One form each of quotation marks, dashes and spaces.
    pub punctuation: bool,
    /// Languages to keep, by ISO 639-1; all when empty. Texts too short to tell stay.
    pub language: Vec<String>,
    /// Limits of good text.
    pub quality: Option<Quality>,
    /// Personal data.
    pub pii: PersonalData,
    /// Records like others.
    pub dedup: Dedup,
}

/// Limits outside of which a record is dropped. Everything else that recipes know is a flag in the report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Quality {
    /// Fewest words.
    pub min_words: Option<u32>,
    /// Most words.
    pub max_words: Option<u32>,
    /// Most characters that are neither letters, digits nor spaces, between 0 and 1.
    pub max_symbols: Option<f64>,
    /// Most lines that occur more than once, between 0 and 1.
    pub max_repeated_lines: Option<f64>,
}

/// What becomes of personal data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PersonalData {
    /// It stays.
    #[default]
    Keep,
    /// It is replaced by its kind.
    Redact,
    /// The record is dropped.
    Drop,
}

/// Which records count as the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Dedup {
    /// Equal ones.
    pub exact: bool,
    /// Similar ones.
    pub minhash: Option<MinHash>,
}

impl Default for Dedup {
    fn default() -> Self {
        Self {
            exact: true,
            minhash: None,
        }
    }
}

/// Near-duplicates by MinHash and locality-sensitive hashing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MinHash {
    /// Jaccard similarity from which two records count as the same.
    pub threshold: f64,
    /// Words in one shingle.
    pub shingle: u32,
}

/// Parts held back, by a hash of each record: equal seeds split equal records equally, whatever is around them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Split {
    /// Share for measuring during the training, between 0 and 1.
    pub validation: f64,
    /// Share for measuring at the end.
    pub test: f64,
    /// Seed.
    pub seed: u64,
}

/// `manifest.json` of a cleaned data set, written last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatasetManifest {
    /// Facts that fit into a pod's last words.
    #[serde(flatten)]
    pub report: DataReport,
    /// SHA-256 of the plan that it answers, without places: another one is answered anew.
    pub plan: String,
    /// Some records of each kind, for a human.
    pub samples: Vec<Sample>,
    /// How often quality rules would have struck that drop nothing, by rule.
    pub flags: BTreeMap<String, u64>,
    /// Documents that were set aside, with the reason: bad scans, broken files. The first hundred.
    pub quarantined: BTreeMap<String, String>,
}

/// A record for a human to look at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// `kept`, or the reason why it was dropped.
    pub fate: String,
    /// Where it came from: `source/file:line`.
    pub origin: String,
    /// The record as it was read, shortened.
    pub before: String,
    /// The record as it is learned from, shortened; nothing if it was dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// What came of the data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataReport {
    /// `sha256:` and 64 hex digits over the record files of all parts.
    pub digest: String,
    /// Records in each part.
    pub parts: SplitCounts,
    /// Records read.
    pub read: u64,
    /// Records dropped, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Bytes of all record files.
    pub bytes: u64,
    /// What was read of each source.
    pub sources: Vec<SourceReport>,
}

/// Records in each part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SplitCounts {
    /// To learn from.
    pub train: u64,
    /// To measure on during the training.
    pub validation: u64,
    /// To measure on at the end.
    pub test: u64,
}

/// What was read of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceReport {
    /// Its name.
    pub name: String,
    /// `sha256:` and 64 hex digits over what was read.
    pub digest: String,
    /// Records read.
    pub read: u64,
    /// Records that are learned from.
    pub kept: u64,
}

/// How far the cleaning is: a line of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataProgress {
    /// Records read so far.
    pub read: u64,
    /// Records kept so far.
    pub kept: u64,
    /// Bytes read so far.
    pub bytes: u64,
}

/// The last words of `atelier-data prepare`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DataOutcome {
    /// The data are ready.
    Ready(DataReport),
    /// They are not; nothing may learn from them.
    Failed(PrepareFailure),
    /// Still at work.
    Running(DataProgress),
}

impl DataOutcome {
    /// Parses last words or a line of the log; `None` when it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text.trim()).ok()
    }
}
