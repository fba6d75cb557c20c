//! How passes end: when they look again, and why they fail.

use std::time::Duration;

use kube::api::ObjectMeta;

use super::{apply::ApplyError, dereference::DereferenceError};
use crate::{cluster::ClusterError, gateway_call::CallError};

/// Between looks at something that tells how far it is, and between two writes of that.
pub const PROGRESS: Duration = Duration::from_secs(5);
/// Between looks at a pod whose trouble only Events tell.
pub const LOOK_AGAIN: Duration = Duration::from_secs(3);
/// Until an API server that lags has caught up.
pub const BEHIND: Duration = Duration::from_secs(1);
/// Between looks at something that waits, or is on its way: watches tell sooner.
pub const WAITING: Duration = Duration::from_secs(30);
/// Between looks at something that is as it should be: a watch can miss something.
pub const SETTLED: Duration = Duration::from_secs(600);

/// When to look again at something that is as it should be: others look at the same time otherwise, after a restart.
pub fn settled() -> Duration {
    SETTLED.mul_f64(1.0 - rand::random::<f64>() / 4.0)
}

/// Why a pass failed.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// What exists could not be read.
    #[error(transparent)]
    Dereference(#[from] DereferenceError),
    /// What should exist could not be written.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The status could not be written.
    #[error(transparent)]
    Status(ClusterError),
    /// What is in a Room could not be taken away.
    #[error("failed to empty a Room: {0}")]
    Contents(CallError),
    /// What was measured for a ShadowDeployment could not be forgotten.
    #[error("failed to have pairs forgotten: {0}")]
    Pairs(CallError),
    /// The report of a ShadowDeployment could not be left with the gateway.
    #[error("failed to have a report kept: {0}")]
    Report(CallError),
    /// A defect of this program, which must not keep other objects from being looked at.
    #[error("a pass panicked: this is a defect of the operator, please report it with its log")]
    Panicked,
}

impl ReconcileError {
    /// A short name for metrics.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Dereference(DereferenceError::Foreign { .. }) => "foreign",
            Self::Apply(ApplyError::NameConflict { .. }) => "name_conflict",
            Self::Apply(ApplyError::Leftover { .. }) => "leftover",
            Self::Contents(_) => "contents",
            Self::Pairs(_) => "pairs",
            Self::Report(_) => "report",
            Self::Panicked => "panic",
            Self::Dereference(DereferenceError::Cluster(error))
            | Self::Apply(ApplyError::Cluster(error))
            | Self::Status(error) => error.category(),
        }
    }
}

/// Whether an older spec was read than the watch has shown: an API server may answer from a cache that lags. What an
/// old spec asks for, children of the new one included, is not to be done again.
pub fn is_behind(read: &ObjectMeta, seen: &ObjectMeta) -> bool {
    read.uid == seen.uid && read.generation < seen.generation
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(uid: &str, generation: i64) -> ObjectMeta {
        ObjectMeta {
            uid: Some(uid.into()),
            generation: Some(generation),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn an_older_spec_than_was_seen_is_not_acted_upon() {
        assert!(is_behind(&meta("a", 1), &meta("a", 2)));
        assert!(!is_behind(&meta("a", 2), &meta("a", 2)));
        // The watch lags as well.
        assert!(!is_behind(&meta("a", 3), &meta("a", 2)));
        // Another one of the same name.
        assert!(!is_behind(&meta("b", 1), &meta("a", 2)));
    }
}
