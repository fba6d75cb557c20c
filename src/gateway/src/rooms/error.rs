//! Errors of the store, as callers are told of them.

use ::rooms::search::Refused;
use store::rooms::Error as StoreError;

use super::Service;
use crate::error::Error;

impl Service {
    /// What a caller is told. Whatever says more than that goes to the log.
    pub fn told(&self, error: StoreError) -> Error {
        match error {
            StoreError::Expired => Error::AuthorizationUnavailable,
            StoreError::NoGeneration(number) => Error::GenerationNotFound { number },
            StoreError::Fenced => Error::GenerationFenced,
            StoreError::Unverified => Error::GenerationUnverified,
            StoreError::Incomplete { documents, vectors } => Error::GenerationIncomplete { documents, vectors },
            StoreError::Unfit(unfit) => Error::Unfit {
                detail: unfit.to_string(),
            },
            StoreError::Vector { .. } => Error::Unfit {
                detail: error.to_string(),
            },
            StoreError::Full { most } => Error::RoomSourceFull { limit: most },
            StoreError::Disagreement(disagreement) => {
                self.alarm(&disagreement.to_string(), disagreement.id);
                Error::RoomDisagreement
            }
            StoreError::NoRoom | StoreError::Database(_) => {
                tracing::warn!(%error, "a Room cannot be reached");
                Error::RoomsUnavailable
            }
            error => {
                tracing::error!(%error, "a Room cannot be used");
                Error::RoomsUnavailable
            }
        }
    }

    /// What a caller is told of a search that is refused.
    pub fn refused(&self, refused: Refused) -> Error {
        match refused {
            Refused::Expired => Error::AuthorizationUnavailable,
            Refused::Disagreement(chunk) => {
                self.alarm(&refused.to_string(), chunk.0);
                Error::RoomDisagreement
            }
            refused => {
                tracing::error!(error = %refused, "an index cannot be searched");
                Error::RoomsUnavailable
            }
        }
    }

    /// Two nets disagree: an error of ours that somebody has to look at.
    fn alarm(&self, what: &str, id: i64) {
        tracing::error!(what, id, "the nets around a Room disagree; the request was refused");
        self.metrics.disagreements.inc();
    }
}
