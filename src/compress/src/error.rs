//! What can go wrong.

use std::{io, path::Path, path::PathBuf};

use protocol::{CompressionReport, PrepareFailure, report::reasons};
use tch::TchError;

/// Why a model was not compressed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Arguments that do not fit.
    #[error("failed to read the arguments: {0}")]
    Options(String),
    /// A text that nothing can be measured on.
    #[error("failed to use the calibration text: {0}")]
    Calibration(String),
    /// The source is not what it should be.
    #[error("failed to read the source: {0}")]
    Source(#[from] gguf::Error),
    /// The source's files are not what they should be.
    #[error("failed to read the source: {0}")]
    Files(#[from] checkpoint::Error),
    /// The engine cannot compute the source.
    #[error(transparent)]
    Load(#[from] engine::LoadError),
    /// Weights that cannot become what they should.
    #[error("failed to convert tensor {tensor:?}: {why}")]
    Tensor {
        /// Its name.
        tensor: String,
        /// What is wrong with it, and what would work.
        why: String,
    },
    /// The operating system refused.
    #[error("failed to {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The store has no room for the result.
    #[error(
        "failed to store the compressed model in {}: it needs {needed} bytes{}; free some or give a larger volume",
        store.display(), free.map(|free| format!(", {free} are free")).unwrap_or_default()
    )]
    NoSpace {
        /// The store.
        store: PathBuf,
        /// Bytes that the result and the work on it take.
        needed: u64,
        /// Bytes that are free, where known.
        free: Option<u64>,
    },
    /// The result is worse than allowed.
    #[error(
        "refused the compressed model: perplexity went from {} to {}, {}{}; \
         use more bits, less pruning or another method, or allow more",
        .0.perplexity_before, .0.perplexity_after, .0.increase,
        .0.limit.as_ref().map(|limit| format!(", the limit is {limit}")).unwrap_or_default()
    )]
    PerplexityExceeded(Box<CompressionReport>),
    /// libtorch refused.
    #[error("failed to compute: libtorch: {0}")]
    Torch(#[from] TchError),
}

impl Error {
    /// For `map_err`: what was tried with which file.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// A fault of one tensor.
    pub(crate) fn tensor(name: &str, why: impl Into<String>) -> Self {
        let (tensor, why) = (name.into(), why.into());
        Self::Tensor { tensor, why }
    }

    /// If the disk is full: that the store needs `needed` bytes.
    pub(crate) fn or_no_space(self, store: &Path, needed: u64) -> Self {
        match self {
            Self::Io { source, .. } if artifacts::space::is_full(&source) => Self::NoSpace {
                store: store.to_owned(),
                needed,
                free: artifacts::space::free_bytes(store).ok(),
            },
            other => other,
        }
    }

    fn reason(&self) -> (&'static str, bool) {
        match self {
            Self::Options(_) => (reasons::INTERNAL, false),
            Self::Calibration(_) => (reasons::INVALID_CALIBRATION, false),
            Self::Source(gguf::Error::Io { .. }) => (reasons::INTERNAL, true),
            Self::Source(gguf::Error::Truncated { .. }) => (reasons::TRUNCATED, false),
            Self::Files(checkpoint::Error::Io { .. }) => (reasons::INTERNAL, true),
            Self::Source(_) | Self::Files(_) | Self::Tensor { .. } => (reasons::INVALID_FILE, false),
            Self::Load(_) => (reasons::UNSUPPORTED_FORMAT, false),
            Self::Io { .. } | Self::Torch(_) => (reasons::INTERNAL, true),
            Self::NoSpace { .. } => (reasons::NO_SPACE, true),
            Self::PerplexityExceeded(_) => (reasons::PERPLEXITY_EXCEEDED, false),
        }
    }
}

impl From<Error> for PrepareFailure {
    fn from(error: Error) -> Self {
        let (reason, retryable) = error.reason();
        let failure = Self::new(reason, error.to_string(), retryable);
        match error {
            Error::PerplexityExceeded(report) => Self {
                evidence: Some(report),
                ..failure
            },
            _ => failure,
        }
    }
}

/// How much perplexity rose, for people: `2.31%`.
pub(crate) fn increase(before: f64, after: f64) -> String {
    percent(after / before - 1.0)
}

/// A share in percent, with two decimals at most.
pub(crate) fn percent(share: f64) -> String {
    // Without a minus sign in front of zero.
    format!("{:.2}%", (share * 100.0 * 100.0).round() / 100.0 + 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_both_perplexities_increase_and_limit() {
        let report = CompressionReport {
            source_digest: String::new(),
            source_bytes: 1,
            quantization: "Int4".into(),
            method: None,
            pruning: None,
            structure: None,
            sparsity: None,
            perplexity_before: "10.0000".into(),
            perplexity_after: "10.5000".into(),
            increase: increase(10.0, 10.5),
            limit: Some(percent(0.001)),
        };
        let failure = PrepareFailure::from(Error::PerplexityExceeded(Box::new(report.clone())));
        assert_eq!(failure.evidence.as_deref(), Some(&report));
        assert_eq!(
            (failure.reason.as_str(), failure.retryable),
            ("PerplexityExceeded", false)
        );
        for part in ["10.0000", "10.5000", "5.00%", "0.10%"] {
            assert!(failure.message.contains(part), "{failure}");
        }
    }

    #[test]
    fn a_full_disk_is_worth_another_try_and_says_how_much_it_needs() {
        let error = Error::NoSpace {
            store: "/store".into(),
            needed: 1234,
            free: Some(99),
        };
        let failure = PrepareFailure::from(error);
        assert_eq!((failure.reason.as_str(), failure.retryable), (reasons::NO_SPACE, true));
        assert!(
            failure.message.contains("1234") && failure.message.contains("99"),
            "{failure}"
        );
    }

    #[test]
    fn no_increase_has_no_sign() {
        assert_eq!(
            (percent(-0.0000001), percent(0.02312)),
            ("0.00%".into(), "2.31%".into())
        );
    }
}
