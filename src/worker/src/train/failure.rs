//! Why a training breaks off, as the operator hears it.

use std::{error::Error, io, path::Path};

use artifacts::space;
use protocol::{PrepareFailure, tune::TrainFailure};

/// Longest message that fits the termination message with room to spare.
const MAX_MESSAGE: usize = 2048;

/// The reasons that a [`TrainFailure`] can carry, beside those of [`protocol::report::reasons`].
pub mod reasons {
    pub use protocol::report::reasons::{INTERNAL, NO_SPACE};

    /// The plan cannot be read, or contradicts itself, the data or the base.
    pub const INVALID_PLAN: &str = "InvalidPlan";
    /// The base cannot be read, or is of a kind that cannot be trained.
    pub const INVALID_BASE: &str = "InvalidBase";
    /// A record cannot be learned from.
    pub const INVALID_DATA: &str = "InvalidData";
    /// There is nothing to learn from.
    pub const NO_DATA: &str = "NoData";
    /// The loss or the gradient is no number.
    pub const LOSS_NOT_FINITE: &str = "LossNotFinite";
    /// Another process of the training is gone.
    pub const MEMBER_LOST: &str = "MemberLost";
    /// Another attempt of the same run is at work.
    pub const ALREADY_RUNNING: &str = "AlreadyRunning";
}

/// A failure that only a change of the spec can mend.
pub fn permanent(reason: &str, message: impl Into<String>) -> TrainFailure {
    failure(reason, message.into(), false)
}

/// A failure worth another try.
pub fn temporary(reason: &str, message: impl Into<String>) -> TrainFailure {
    failure(reason, message.into(), true)
}

fn failure(reason: &str, mut message: String, retryable: bool) -> TrainFailure {
    if message.len() > MAX_MESSAGE {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE));
        message.push('…');
    }
    TrainFailure {
        reason: reason.into(),
        message,
        retryable,
    }
}

/// A file that cannot be read or written. A full disk has a reason of its own.
pub fn of_io(doing: &str, path: &Path, error: &io::Error) -> TrainFailure {
    let message = format!("failed to {doing} {}: {error}", path.display());
    match space::is_full(error) {
        true => temporary(reasons::NO_SPACE, message),
        false => temporary(reasons::INTERNAL, message),
    }
}

/// The same for closures of `map_err`.
pub fn io_at<'a>(doing: &'a str, path: &'a Path) -> impl FnOnce(io::Error) -> TrainFailure + 'a {
    move |error| of_io(doing, path, &error)
}

/// A failure of `prepare` and of `evaluate`, which have the same fields.
pub fn of_prepare(failure: PrepareFailure) -> TrainFailure {
    TrainFailure {
        reason: failure.reason,
        message: failure.message,
        retryable: failure.retryable,
    }
}

/// A failure of the trainer.
pub fn of_train(error: train::Error) -> TrainFailure {
    use train::Error as E;
    let message = error.to_string();
    match error {
        E::Plan { .. } => permanent(reasons::INVALID_PLAN, message),
        E::Model(_) => permanent(reasons::INVALID_BASE, message),
        E::Work(_) => permanent(reasons::INVALID_DATA, message),
        E::NotFinite { .. } => permanent(reasons::LOSS_NOT_FINITE, message),
        E::Lost(_) => temporary(reasons::MEMBER_LOST, message),
        error if is_full(&error) => temporary(reasons::NO_SPACE, message),
        _ => temporary(reasons::INTERNAL, message),
    }
}

/// A failure of another process of the training.
pub fn of_lost(lost: train::collective::Lost) -> TrainFailure {
    temporary(reasons::MEMBER_LOST, lost.to_string())
}

/// Whether a full disk is behind an error, however deep.
pub fn is_full(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<io::Error>().is_some_and(space::is_full) {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    #[test]
    fn a_full_disk_is_found_behind_other_errors() {
        assert!(is_full(&Outer(io::Error::from_raw_os_error(28))));
        assert!(!is_full(&Outer(io::Error::from_raw_os_error(13))));
        let failure = of_io("write", Path::new("/x"), &io::Error::from_raw_os_error(28));
        assert!(failure.reason == reasons::NO_SPACE && failure.retryable, "{failure}");
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let failure = permanent(reasons::INTERNAL, "é".repeat(4000));
        assert!(failure.message.len() <= MAX_MESSAGE + 3 && failure.message.ends_with('…'));
    }
}
