//! How documents become chunks.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::finetunejob::{Dedup, PersonalData};

/// How documents become chunks.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ingestion {
    /// Remove headers, footers and navigation, and bring text to one form. Default: true.
    #[serde(default = "yes")]
    pub clean: bool,
    /// Documents that count as the same; never across Rooms. Default: equal ones.
    pub dedup: Option<Dedup>,
    /// Size of chunks.
    pub chunk: Option<Chunking>,
    /// What becomes of personal data. Default: Keep.
    #[serde(default)]
    pub pii: PersonalData,
}

fn yes() -> bool {
    true
}

/// Size of chunks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.overlap < self.tokens")
    .message("ingestion.chunk.overlap must be less than ingestion.chunk.tokens"))]
pub struct Chunking {
    /// Most tokens in a chunk, as the embedding model counts them. Default: 512.
    #[serde(default = "default_tokens")]
    #[schemars(range(min = 16, max = 8192))]
    pub tokens: i32,
    /// Tokens that a chunk shares with the one before. Default: 64.
    #[serde(default = "default_overlap")]
    #[schemars(range(min = 0, max = 4096))]
    pub overlap: i32,
}

fn default_tokens() -> i32 {
    512
}

fn default_overlap() -> i32 {
    64
}
