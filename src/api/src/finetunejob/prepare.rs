//! Cleaning of training data. Rooms clean their documents in the same way.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::common::pattern;

/// Cleaning of data, in the order of the fields.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Prepare {
    /// Bring text to Unicode's normal form NFC and remove control characters. Default: false.
    #[serde(default)]
    pub normalize_unicode: bool,
    /// Bring quotation marks, dashes and spaces to one form each. Default: false.
    #[serde(default)]
    pub punctuation: bool,
    /// Languages to keep, by ISO 639-1. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 2), regex(pattern = "^[a-z]{2}$")), extend("x-kubernetes-list-type" = "set"))]
    pub language: Vec<String>,
    /// Records to drop because they are no good text. Default: none.
    pub quality: Option<Quality>,
    /// What becomes of personal data. Default: Keep.
    #[serde(default)]
    pub pii: PersonalData,
    /// Records to drop because there are others like them. Default: equal records are dropped.
    pub dedup: Option<Dedup>,
}

/// Limits outside of which a record is dropped.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Quality {
    /// Fewest words. Default: no limit.
    #[schemars(range(min = 0))]
    pub min_words: Option<i32>,
    /// Most words. Default: no limit.
    #[schemars(range(min = 1))]
    pub max_words: Option<i32>,
    /// Most characters that are neither letters, digits nor spaces, as a share. Default: no limit.
    #[schemars(length(max = 12), regex(pattern = pattern::PERCENT))]
    pub max_symbols: Option<String>,
    /// Most lines that occur more than once, as a share. Default: no limit.
    #[schemars(length(max = 12), regex(pattern = pattern::PERCENT))]
    pub max_repeated_lines: Option<String>,
}

/// What becomes of personal data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dedup {
    /// Equal ones. Default: true.
    #[serde(default = "yes")]
    pub exact: bool,
    /// Similar ones, found by MinHash. Default: they all stay.
    pub minhash: Option<MinHash>,
}

fn yes() -> bool {
    true
}

/// Near-duplicates by MinHash and locality-sensitive hashing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MinHash {
    /// Jaccard similarity from which two records count as the same, as a decimal string. Default: `0.8`.
    #[serde(default = "default_threshold")]
    #[schemars(length(max = 12), regex(pattern = pattern::FRACTION))]
    pub threshold: String,
    /// Words in one shingle. Default: 5.
    #[serde(default = "five")]
    #[schemars(range(min = 1, max = 20))]
    pub shingle: i32,
}

fn default_threshold() -> String {
    "0.8".into()
}

fn five() -> i32 {
    5
}
