//! What the status promised along the way.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use api::{LlmModel, conditions::types};
use futures::StreamExt as _;
use kube::{
    Api, Client,
    runtime::{watcher, watcher::Event},
};
use tokio::task::JoinHandle;

/// A promise: the generation that Ready=True was said of, and the version that served then.
pub type Promise = (i64, String);

/// Follows the models of a namespace.
pub struct Ready {
    promises: Arc<Mutex<BTreeSet<Promise>>>,
    task: JoinHandle<()>,
}

impl Ready {
    /// From now on, by a watch of its own: no state that lasted is missed.
    pub fn follow(client: Client, namespace: &str) -> Self {
        let promises = Arc::new(Mutex::new(BTreeSet::new()));
        let models = Api::<LlmModel>::namespaced(client, namespace);
        let seen = promises.clone();
        let task = tokio::spawn(async move {
            let mut events = watcher(models, watcher::Config::default()).boxed();
            while let Some(event) = events.next().await {
                if let Ok(Event::Apply(model) | Event::InitApply(model)) = event {
                    let promise = promise(&model);
                    seen.lock().unwrap_or_else(PoisonError::into_inner).extend(promise);
                }
            }
        });
        Self { promises, task }
    }

    /// All promises so far.
    pub fn promises(&self) -> BTreeSet<Promise> {
        self.promises.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn promise(model: &LlmModel) -> Option<Promise> {
    let status = model.status.as_ref()?;
    let ready = status.conditions.iter().find(|it| it.type_ == types::READY)?;
    let version = status.current_version.clone().unwrap_or_default();
    (ready.status == "True").then(|| (ready.observed_generation.unwrap_or_default(), version))
}
