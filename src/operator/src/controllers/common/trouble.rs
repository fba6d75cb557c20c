//! Why something does not go ahead.

use serde::{Deserialize, Serialize};

/// A reason and a message for a condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// One of `api::reasons` or of `protocol::report::reasons`.
    pub reason: String,
    /// What failed, where, and what to do about it.
    pub message: String,
}

impl Trouble {
    /// A trouble; `reason` is CamelCase.
    pub fn new(reason: &str, message: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            message: message.into(),
        }
    }
}
