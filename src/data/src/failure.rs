//! Why data cannot be prepared, as the operator is told.

use std::{io, path::Path};

use artifacts::space::is_full;
use protocol::{PrepareFailure, report::reasons};

/// What can fail here.
pub type Result<T> = std::result::Result<T, PrepareFailure>;

/// The records, or the settings for them, cannot be used.
pub const INVALID_DATASET: &str = "InvalidDataset";
/// No record is left to learn from.
pub const EMPTY_DATASET: &str = "EmptyDataset";
/// The database refuses the query.
pub const QUERY_FAILED: &str = "QueryFailed";

/// For `map_err`: what was done to which path.
pub fn disk(action: &str, path: &Path) -> impl FnOnce(io::Error) -> PrepareFailure {
    let message = format!("failed to {action} {}", path.display());
    move |error| match is_full(&error) {
        true => {
            let advice = "free some space or give the volume more storage";
            PrepareFailure::new(reasons::NO_SPACE, format!("{message}: {error}; {advice}"), true)
        }
        false => PrepareFailure::new(reasons::INTERNAL, format!("{message}: {error}"), true),
    }
}

/// What only a change of the data or of the spec mends.
pub fn invalid(message: impl Into<String>) -> PrepareFailure {
    PrepareFailure::new(INVALID_DATASET, message, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_has_its_own_reason() {
        let failure = |number| disk("write", Path::new("/d/train.jsonl"))(io::Error::from_raw_os_error(number));
        assert_eq!(failure(28).reason, reasons::NO_SPACE);
        assert_eq!(failure(13).reason, reasons::INTERNAL);
        assert!(failure(28).message.contains("write /d/train.jsonl") && failure(28).retryable);
    }
}
