//! What the gateway knows of the cluster: models and the workers that serve them. Fed by watches,
//! read by every request, and kept when the API server is away.

mod activity;
mod endpoints;
mod first_bytes;
mod handover;
mod lease;
mod models;
mod outliers;
mod stats;
pub mod watch;
mod watched;

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use k8s_openapi::api::discovery::v1::EndpointSlice;
use protocol::{Held, HeldModel, ModelTraffic, Traffic};
use tokio::sync::watch as signal;

pub use activity::{Active, Retry, Waiting};
pub use endpoints::{Endpoint, ServedVersion};
pub use lease::Lease;
pub use models::{Adapter, Canary, Model, Readiness};
pub use outliers::{Outliers, OutliersCollector};
pub use stats::Stats;

use crate::balance::{self, Preference};
use activity::Activities;
use endpoints::{Endpoints, SliceKey};
use handover::Handovers;
use models::Models;

/// The shared index of models and endpoints.
pub struct Catalog {
    state: RwLock<State>,
    changes: signal::Sender<()>,
}

#[derive(Default)]
struct State {
    models: Models,
    endpoints: Endpoints,
    handovers: Handovers,
    activities: Activities,
}

impl State {
    fn apply_model(&mut self, model: Model) {
        let model = Arc::new(model);
        self.activities.know(&model.namespace, &model.name);
        if let Some(old) = self.models.apply(model.clone()) {
            self.handovers.replace(&old, &model);
        }
    }

    /// What the operator has to know of the models that may have no workers.
    fn sleepers(&self) -> impl Iterator<Item = ModelTraffic> {
        let models = self.models.all().into_iter();
        models.filter_map(|model| self.activity(&model))
    }

    /// What the operator has to know of a model that may have no workers.
    fn activity(&self, model: &Model) -> Option<ModelTraffic> {
        let activity = self.activities.of(&model.namespace, &model.name)?;
        model.hold?;
        Some(ModelTraffic {
            namespace: model.namespace.clone(),
            model: model.name.clone(),
            gateways: 1,
            held: activity.held(),
            idle_seconds: activity.idle().as_secs(),
        })
    }
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            state: RwLock::default(),
            changes: signal::Sender::new(()),
        }
    }
}

impl Catalog {
    /// The LlmModel `name` in `namespace`.
    pub fn model(&self, namespace: &str, name: &str) -> Option<Arc<Model>> {
        self.read().models.get(namespace, name)
    }

    /// The LlmModels called `name`, in the order of their namespaces.
    pub fn models_named(&self, name: &str) -> Vec<Arc<Model>> {
        self.read().models.named(name)
    }

    /// All LlmModels, ordered by name and namespace.
    pub fn models(&self) -> Vec<Arc<Model>> {
        self.read().models.all()
    }

    /// Whether `version` of `model` has workers, ready or not.
    pub fn is_live(&self, version: &ServedVersion) -> bool {
        self.read().endpoints.is_live(version)
    }

    /// Whether a worker of any model is at `address`.
    pub fn is_worker(&self, address: IpAddr) -> bool {
        self.read().endpoints.has(address)
    }

    /// The worker to send the next request for `version` to, other than those in `tried`.
    pub fn pick(&self, version: &ServedVersion, tried: &[Arc<Endpoint>], preference: Preference<'_>) -> Option<Lease> {
        balance::pick(self.read().endpoints.of(version), tried, preference)
    }

    /// As [`Self::pick`], for the current version of `model`, or for the one before it as long as no
    /// worker of the current one has been seen ready.
    pub fn pick_current(&self, model: &Model, tried: &[Arc<Endpoint>], preference: Preference<'_>) -> Option<Lease> {
        let state = self.read();
        let versions = [model.current(), state.handovers.stand_in(model)];
        let mut workers = versions.iter().flatten().map(|version| state.endpoints.of(version));
        workers.find_map(|workers| balance::pick(workers, tried, preference))
    }

    /// The worker of `version` for a copy of a request, which counts nowhere.
    pub fn nearest(&self, version: &ServedVersion, prefix: [u8; 16]) -> Option<SocketAddr> {
        balance::nearest(self.read().endpoints.of(version), prefix)
    }

    /// What is counted of the versions that have workers.
    pub fn traffic(&self) -> Traffic {
        let state = self.read();
        Traffic {
            gateways: 1,
            versions: state.endpoints.traffic(),
            models: state.sleepers().collect(),
        }
    }

    /// The requests that wait for the first worker of a model.
    pub fn held(&self) -> Held {
        let state = self.read();
        let held = state.sleepers().map(|it| HeldModel {
            namespace: it.namespace,
            model: it.model,
            held: it.held,
        });
        held.collect()
    }

    /// Counts a request for `model` until the guard is dropped.
    pub fn begin(&self, model: &Model) -> Active {
        self.read().activities.begin(&model.namespace, &model.name)
    }

    /// Adds or replaces a model.
    pub fn apply_model(&self, model: Model) {
        self.update(|state| state.apply_model(model));
    }

    /// Removes a model.
    pub fn remove_model(&self, namespace: &str, name: &str) {
        self.update(|state| {
            state.models.remove(namespace, name);
            state.activities.forget(namespace, name);
        });
    }

    /// Removes the models that `keep` does not hold for, and says which.
    pub fn retain_models(&self, keep: impl Fn(&Model) -> bool) -> Vec<Arc<Model>> {
        self.update(|state| {
            let gone = state.models.retain(keep);
            for model in &gone {
                state.activities.forget(&model.namespace, &model.name);
            }
            gone
        })
    }

    /// Adds or replaces the endpoints of a slice.
    pub fn apply_slice(&self, slice: &EndpointSlice) {
        self.update(|state| state.endpoints.apply(slice));
    }

    /// Removes the endpoints of a slice.
    pub fn remove_slice(&self, key: &SliceKey) {
        self.update(|state| state.endpoints.remove(key));
    }

    /// Removes the endpoints of the slices that `keep` does not hold for.
    pub fn retain_slices(&self, keep: impl Fn(&SliceKey) -> bool) {
        self.update(|state| state.endpoints.retain(keep));
    }

    /// Completes its `changed()` after each change of anything in the catalog.
    pub fn subscribe(&self) -> signal::Receiver<()> {
        self.changes.subscribe()
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = {
            let mut state = self.write();
            let result = change(&mut state);
            let State {
                models,
                endpoints,
                handovers,
                ..
            } = &mut *state;
            handovers.settle(models, endpoints);
            result
        };
        self.changes.send_replace(());
        result
    }
}
