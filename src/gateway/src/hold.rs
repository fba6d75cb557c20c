//! Requests for a model that has no worker because nobody asked: they wait here until it has one.

use std::sync::Arc;

use api::reasons;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    catalog::{Active, Model, Waiting},
    error::Error,
};

/// Reasons to be not ready that pass by themselves while a worker starts.
const PASSING: [&str; 4] = [
    reasons::SCALED_TO_ZERO,
    reasons::REPLICAS_NOT_READY,
    reasons::ROLLING_OUT,
    reasons::UNSCHEDULABLE,
];

/// The places for requests that wait.
pub struct Holds(Arc<Semaphore>);

/// A request that waits.
pub struct Hold {
    _place: OwnedSemaphorePermit,
    _waiting: Waiting,
}

impl Holds {
    /// Places for so many requests.
    pub fn new(places: usize) -> Self {
        Self(Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))))
    }

    /// A place for a request, which the operator sees from now on.
    ///
    /// # Errors
    /// When all places are taken.
    pub fn begin(&self, model: &Model, request: &Active) -> Result<Hold, Error> {
        let place = self.0.clone().try_acquire_owned();
        let place = place.map_err(|_| Error::TooManyHeld {
            model: model.qualified(),
        })?;
        Ok(Hold {
            _place: place,
            _waiting: request.hold(),
        })
    }
}

/// Whether `model` has no worker because its spec says so, and gets none.
pub fn is_off(model: &Model) -> bool {
    model.hold.is_none() && model.readiness.reason == reasons::SCALED_TO_ZERO
}

/// Whether a worker of `model` starts when somebody asks.
pub fn wakes(model: &Model) -> bool {
    let readiness = &model.readiness;
    model.hold.is_some()
        && model.current_version.is_some()
        && (readiness.ready || PASSING.contains(&readiness.reason.as_str()))
}
