//! The last words of `atelier-worker prepare`: one JSON object in the pod's termination message.
//!
//! Kubernetes keeps at most 4096 bytes of it, so the report holds facts and never lists of tensors.

use serde::{Deserialize, Serialize};

/// What `prepare` found out about the weights, or why it gave up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum PrepareOutcome {
    /// The weights are complete, match their digest and can be served.
    Ready(PrepareReport),
    /// They are not; nothing may serve them.
    Failed(PrepareFailure),
    /// Still at work (written now and then, so that a killed pod leaves its progress).
    Running(Progress),
}

/// Verified weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PrepareReport {
    /// `sha256:` and 64 hex digits, over the bytes of a GGUF file; for a directory of safetensors files
    /// over its sorted lines `<name> <sha256>`, one for each file that makes up the model.
    pub digest: String,
    /// Size of the weights in bytes.
    pub bytes: u64,
    /// Path of the model inside the mounted source: `model.gguf`, a directory, or `.` for the whole.
    pub file: String,
    /// The commit that a revision of a repository stood for, the digest that a tag of an artifact stood for, or
    /// the version of a file of an object store that keeps several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// What the header says.
    pub model: ModelFacts,
    /// How the file came from its source, if it was compressed; the other fields are of the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<CompressionReport>,
}

/// What compressing changed, and what it cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompressionReport {
    /// Digest of the source's weights, in the form of [`PrepareReport::digest`].
    pub source_digest: String,
    /// Size of the source's weights in bytes.
    pub source_bytes: u64,
    /// What the weights became: `None`, `BF16`, `FP16`, `Int8` or `Int4`.
    pub quantization: String,
    /// How 4-bit weights were chosen: `RTN`, `HQQ`, `AWQ` or `GPTQ`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// What was pruned by: `Magnitude`, `Wanda` or `Structured`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pruning: Option<String>,
    /// The parts that structured pruning left out: `Channels` or `Layers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structure: Option<String>,
    /// Share of the weights, or of those parts, that pruning took: `0.5`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sparsity: Option<String>,
    /// Perplexity of the source on text that was not calibrated on, with 4 decimals.
    pub perplexity_before: String,
    /// Perplexity of the result on the same text.
    pub perplexity_after: String,
    /// How much it rose, in percent of that before: `2.31%`.
    pub increase: String,
    /// The most that it may rise, if there is a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
}

/// The facts of a model that its file's header states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelFacts {
    /// Format of the files: `gguf` or `safetensors`.
    pub format: String,
    /// Architecture name as the file gives it: `llama`.
    pub architecture: String,
    /// The most common type of the weight matrices: `Q4_1`, `BF16`.
    pub quantization: String,
    /// Number of weights, tied embeddings counted once.
    pub parameters: u64,
    /// Bytes of the weights as the engine keeps them to generate text: as small as in the file, or nearly
    /// so. Older reports lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packed_bytes: Option<u64>,
    /// Transformer blocks.
    pub layers: u64,
    /// Width of the residual stream.
    pub hidden_size: u64,
    /// Width of the feed-forward layer.
    pub feed_forward_size: u64,
    /// Query heads.
    pub heads: u64,
    /// Key and value heads (fewer than `heads` with grouped-query attention).
    pub kv_heads: u64,
    /// Width of one head.
    pub head_dim: u64,
    /// Longest context the model was trained for, in tokens.
    pub context_length: u64,
    /// Number of tokens in the vocabulary.
    pub vocabulary_size: u64,
}

impl ModelFacts {
    /// Whether it turns texts into vectors or scores instead of continuing them.
    pub fn is_encoder(&self) -> bool {
        self.architecture == "bert"
    }
}

/// Why `prepare` gave up. `reason` is CamelCase and becomes the reason of a condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}: {message}")]
#[serde(rename_all = "camelCase")]
pub struct PrepareFailure {
    /// One of [`reasons`].
    pub reason: String,
    /// What failed, where, and what to do about it.
    pub message: String,
    /// Whether trying again without a change of the spec can help.
    pub retryable: bool,
    /// What was measured, for [`reasons::PERPLEXITY_EXCEEDED`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Box<CompressionReport>>,
}

/// How far `prepare` is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// What it does.
    #[serde(default)]
    pub stage: Stage,
    /// Bytes on disk.
    pub bytes: u64,
    /// Bytes in all, when that is known.
    pub total: Option<u64>,
    /// Recent speed.
    pub bytes_per_second: u64,
    /// Transformer blocks that are finished, once weights are compressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<u64>,
    /// Transformer blocks in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_layers: Option<u64>,
}

impl Progress {
    /// Seconds that the rest takes at the recent speed; at least one, as something is left.
    pub fn remaining_seconds(&self) -> Option<u64> {
        let left = self.total?.checked_sub(self.bytes).filter(|left| *left > 0)?;
        (self.bytes_per_second > 0).then(|| left.div_ceil(self.bytes_per_second))
    }
}

/// What `prepare` does at a time. Compressing goes through the last four for each block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Fetching the source.
    #[default]
    Downloading,
    /// Reading the source and writing the result.
    Converting,
    /// Computing what the weights do to the calibration text.
    Calibrating,
    /// Choosing the new weights.
    Quantizing,
    /// Computing perplexities.
    Evaluating,
}

/// The reasons a [`PrepareFailure`] can carry.
pub mod reasons {
    /// The server answered 404 or 410.
    pub const NOT_FOUND: &str = "SourceNotFound";
    /// The server refused the credentials (401 or 403).
    pub const FORBIDDEN: &str = "SourceForbidden";
    /// The server could not be reached, stalled, or broke off more often than we resume.
    pub const DOWNLOAD_FAILED: &str = "DownloadFailed";
    /// The bytes do not have the promised SHA-256.
    pub const DIGEST_MISMATCH: &str = "DigestMismatch";
    /// The path does not exist in the mounted source, or names no single weights file.
    pub const FILE_NOT_FOUND: &str = "FileNotFound";
    /// The file ends before its header says it should.
    pub const TRUNCATED: &str = "FileTruncated";
    /// Not a format we read.
    pub const UNSUPPORTED_FORMAT: &str = "UnsupportedFormat";
    /// A readable file of a model family that the worker cannot run.
    pub const UNSUPPORTED_ARCHITECTURE: &str = "UnsupportedArchitecture";
    /// The header contradicts itself.
    pub const INVALID_FILE: &str = "InvalidFile";
    /// No room left to store the file.
    pub const NO_SPACE: &str = "NoSpace";
    /// The calibration text cannot be used.
    pub const INVALID_CALIBRATION: &str = "InvalidCalibration";
    /// A suite of questions cannot be read, or the model cannot be asked it.
    pub const INVALID_SUITE: &str = "InvalidSuite";
    /// The compressed model is worse than the limit allows.
    pub const PERPLEXITY_EXCEEDED: &str = "PerplexityExceeded";
    /// Anything else on our side.
    pub const INTERNAL: &str = "InternalError";
}

/// Exit code of a failure that only a change of the spec or of the source can mend; the Job's
/// failure policy stops retrying on it (`EX_DATAERR` of sysexits).
pub const EXIT_PERMANENT: i32 = 65;
/// Exit code of a failure worth another try (`EX_TEMPFAIL` of sysexits).
pub const EXIT_TEMPORARY: i32 = 75;
/// Exit code of a training that was told to stop and saved its state: the next pod goes on, and no attempt is used up.
pub const EXIT_INTERRUPTED: i32 = 80;
/// Exit code of a member of a training that ended because another one was gone: whatever ended that one counts, once.
pub const EXIT_MEMBER_LOST: i32 = 81;

/// Longest message that still fits the 4096 bytes of a termination message with room to spare.
const MAX_MESSAGE: usize = 2048;

impl PrepareFailure {
    /// A failure with one of [`reasons`]; long messages are cut so that the report stays readable.
    pub fn new(reason: &str, message: impl Into<String>, retryable: bool) -> Self {
        let mut message = message.into();
        if message.len() > MAX_MESSAGE {
            let cut = (0..=MAX_MESSAGE)
                .rev()
                .find(|i| message.is_char_boundary(*i))
                .unwrap_or(0);
            message.truncate(cut);
            message.push('…');
        }
        Self {
            reason: reason.into(),
            message,
            retryable,
            evidence: None,
        }
    }

    /// The process exit code that goes with it.
    pub fn exit_code(&self) -> i32 {
        if self.retryable { EXIT_TEMPORARY } else { EXIT_PERMANENT }
    }
}

impl PrepareOutcome {
    /// Parses a termination message. `None` when it is not a report (the container was killed, or
    /// the kubelet wrote its own text).
    pub fn parse(termination_message: &str) -> Option<Self> {
        serde_json::from_str(termination_message.trim()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_survives_the_termination_message() {
        let outcome = PrepareOutcome::Failed(PrepareFailure::new(reasons::DIGEST_MISMATCH, "é".repeat(9000), false));
        let text = serde_json::to_string(&outcome).unwrap();
        assert!(text.len() < 4096, "{}", text.len());
        assert_eq!(PrepareOutcome::parse(&text), Some(outcome));
    }

    #[test]
    fn what_is_left_takes_time_at_the_recent_speed() {
        let progress = |bytes, total, bytes_per_second| Progress {
            bytes,
            total,
            bytes_per_second,
            ..Progress::default()
        };
        assert_eq!(progress(100, Some(1000), 90).remaining_seconds(), Some(10));
        assert_eq!(progress(999, Some(1000), 90).remaining_seconds(), Some(1));
        assert_eq!(progress(1000, Some(1000), 90).remaining_seconds(), None);
        assert_eq!(progress(100, Some(1000), 0).remaining_seconds(), None);
        assert_eq!(progress(100, None, 90).remaining_seconds(), None);
        assert_eq!(progress(1001, Some(1000), 90).remaining_seconds(), None);
    }

    #[test]
    fn progress_of_an_older_worker_is_a_download() {
        let text = r#"{"running":{"bytes":5,"total":null,"bytesPerSecond":1}}"#;
        let Some(PrepareOutcome::Running(progress)) = PrepareOutcome::parse(text) else {
            panic!("{text}")
        };
        assert_eq!((progress.stage, progress.layers), (Stage::Downloading, None));
    }

    #[test]
    fn foreign_text_is_no_report() {
        assert_eq!(PrepareOutcome::parse("Error: exec format error"), None);
        assert_eq!(PrepareOutcome::parse(""), None);
    }
}
