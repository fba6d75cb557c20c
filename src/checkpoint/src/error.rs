//! What can be wrong with a model's files.

use std::io;
use std::path::{Path, PathBuf};

/// Why a model could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A GGUF file, or what a directory says in the terms of one.
    #[error(transparent)]
    Header(#[from] gguf::Error),
    /// The operating system refused.
    #[error("failed to read {}: {source}", file.display())]
    Io {
        /// The file or directory.
        file: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file that the model needs is not there.
    #[error("failed to find {}: {advice}", file.display())]
    Missing {
        /// The file.
        file: PathBuf,
        /// What to do about it.
        advice: String,
    },
    /// A file ends before its header says it should.
    #[error(
        "failed to read {}: {what}: the file is truncated, expected at least {expected} bytes, it has {actual}; fetch it again",
        file.display()
    )]
    Truncated {
        /// The file.
        file: PathBuf,
        /// What was being read.
        what: String,
        /// Bytes that the file should have at least.
        expected: u64,
        /// Bytes that it has.
        actual: u64,
    },
    /// A file contradicts itself, another file or its format.
    #[error("failed to read {}: {what}: {why}", file.display())]
    Invalid {
        /// The file.
        file: PathBuf,
        /// The field or tensor.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// Something that other programs know and we would compute wrongly.
    #[error("failed to find support for {}: {what}: {why}", file.display())]
    Unsupported {
        /// The file.
        file: PathBuf,
        /// The field or tensor, with its value.
        what: String,
        /// What is supported instead.
        why: String,
    },
}

impl Error {
    pub(crate) fn io(file: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            file: file.into(),
            source,
        }
    }

    pub(crate) fn missing(file: &Path, advice: impl Into<String>) -> Self {
        Self::Missing {
            file: file.into(),
            advice: advice.into(),
        }
    }

    pub(crate) fn invalid(file: &Path, what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Invalid {
            file: file.into(),
            what: shortened(what.into()),
            why: why.into(),
        }
    }

    pub(crate) fn unsupported(file: &Path, what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Unsupported {
            file: file.into(),
            what: shortened(what.into()),
            why: why.into(),
        }
    }
}

/// Names come out of files; messages must stay readable.
fn shortened(text: String) -> String {
    match text.char_indices().nth(160) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
