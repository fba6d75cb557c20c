//! Roll-outs as the gateway sees them.
//!
//! Models and endpoints are watched apart, so a gateway may learn that another version serves before
//! it learns where. Until it does, the version before goes on.

use std::collections::HashMap;

use super::{
    Model,
    endpoints::{Endpoints, ServedVersion},
    models::Models,
};

/// The version each model served before, while no worker of its current version has been seen ready.
#[derive(Default)]
pub struct Handovers(HashMap<(String, String), String>);

impl Handovers {
    /// The version that stands in for the current one of `model`.
    pub fn stand_in(&self, model: &Model) -> Option<ServedVersion> {
        let version = self.0.get(&key(model))?;
        Some(model.served(version))
    }

    /// Notes that `new` replaces `old`.
    pub fn replace(&mut self, old: &Model, new: &Model) {
        if let Some(before) = &old.current_version
            && new.current_version != old.current_version
        {
            // When the version before was itself never seen ready, the one before that goes on.
            self.0.entry(key(new)).or_insert_with(|| before.clone());
        }
    }

    /// Forgets what is over: the current version is seen ready, or there is none any more.
    pub fn settle(&mut self, models: &Models, endpoints: &Endpoints) {
        self.0.retain(|(namespace, name), _| {
            let model = models.get(namespace, name);
            let current = model.as_deref().and_then(Model::current);
            current.is_some_and(|current| !endpoints.serves(&current))
        });
    }
}

fn key(model: &Model) -> (String, String) {
    (model.namespace.clone(), model.name.clone())
}
