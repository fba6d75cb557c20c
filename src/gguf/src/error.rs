//! What can be wrong with a file.

use std::io;

/// Why a GGUF file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("failed to {action}: {source}")]
    Io {
        /// What was tried, with the path where known.
        action: String,
        /// The cause.
        source: io::Error,
    },
    /// The first four bytes are not `GGUF`.
    #[error("failed to read the header: the file starts with {found:?}, not with \"GGUF\"; give a GGUF file")]
    WrongMagic {
        /// The first bytes, printable.
        found: String,
    },
    /// A version of the format that we do not read.
    #[error("failed to read the header: GGUF version {version} is not supported (2 and 3 are); convert the file anew")]
    UnsupportedVersion {
        /// The version field.
        version: u32,
    },
    /// The file ends before its header says it should.
    #[error(
        "failed to read {what}: the file is truncated, expected at least {expected} bytes, it has {actual}; fetch it again"
    )]
    Truncated {
        /// What was being read.
        what: String,
        /// Bytes that the file should have at least.
        expected: u64,
        /// Bytes that it has.
        actual: u64,
    },
    /// The header is larger than any sensible one.
    #[error("failed to read {what}: the header needs more than {limit} bytes, which no real model does")]
    HeaderTooLarge {
        /// What was being read.
        what: String,
        /// The most that is accepted, in bytes.
        limit: u64,
    },
    /// The header contradicts itself or the format.
    #[error("failed to read {what}: {why}")]
    Invalid {
        /// The field or tensor.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// A tensor has a type that is not in our table.
    #[error(
        "failed to read tensor {tensor:?}: type {id} is not supported; use a file in F32, F16, BF16, Q8_0, Q4_0 or Q4_1"
    )]
    UnknownTensorType {
        /// The tensor's name.
        tensor: String,
        /// The type's number in the file.
        id: u32,
    },
    /// A metadata key that the model needs is not there.
    #[error("failed to read metadata key {key:?}: the file does not have it")]
    MissingKey {
        /// The key.
        key: String,
    },
    /// A metadata key has another type than the format says.
    #[error("failed to read metadata key {key:?}: expected {expected}, found {found}")]
    WrongType {
        /// The key.
        key: String,
        /// The type it should have.
        expected: &'static str,
        /// The type it has.
        found: &'static str,
    },
    /// A model family that we do not know.
    #[error(
        "failed to find support for the architecture {found:?}: this release serves {}; use a model of such a family",
        crate::Architecture::names()
    )]
    UnsupportedArchitecture {
        /// `general.architecture` of the file.
        found: String,
    },
    /// A tensor that networks of the family do not have.
    #[error(
        "failed to find support for the tensor {tensor:?}: models of the architecture {architecture} as this release \
         knows it have none; use a plain model of that family"
    )]
    UnknownTensor {
        /// The tensor's name.
        tensor: String,
        /// `general.architecture` of the file.
        architecture: &'static str,
    },
    /// A setting of a variant that we do not compute.
    #[error("failed to find support for the model: {key} is {found}, {supported}")]
    Unsupported {
        /// The metadata key.
        key: String,
        /// Its value.
        found: String,
        /// What would work.
        supported: &'static str,
    },
    /// A tensor that the model needs is not there.
    #[error("failed to find tensor {name:?}: the file does not have it")]
    MissingTensor {
        /// The tensor's name.
        name: String,
    },
}

impl Error {
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }

    pub(crate) fn invalid(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Invalid {
            what: what.into(),
            why: why.into(),
        }
    }
}
