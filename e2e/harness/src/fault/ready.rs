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

/// What the status said.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// What Ready=True was said of.
    pub promises: BTreeSet<Promise>,
    /// The generations for which a version was said to be on its way, with that version.
    pub candidates: BTreeSet<Promise>,
}

/// Follows the models of a namespace.
pub struct Ready {
    said: Arc<Mutex<Said>>,
    task: JoinHandle<()>,
}

impl Ready {
    /// From now on, by a watch of its own: no state that lasted is missed.
    pub fn follow(client: Client, namespace: &str) -> Self {
        let said = Arc::new(Mutex::new(Said::default()));
        let models = Api::<LlmModel>::namespaced(client, namespace);
        let seen = said.clone();
        let task = tokio::spawn(async move {
            let mut events = watcher(models, watcher::Config::default()).boxed();
            while let Some(event) = events.next().await {
                if let Ok(Event::Apply(model) | Event::InitApply(model)) = event {
                    let mut said = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    said.promises.extend(promise(&model));
                    said.candidates.extend(candidate(&model));
                }
            }
        });
        Self { said, task }
    }

    /// All that was said so far.
    pub fn said(&self) -> Said {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn candidate(model: &LlmModel) -> Option<Promise> {
    let status = model.status.as_ref()?;
    Some((status.observed_generation?, status.candidate_version.clone()?))
}

fn promise(model: &LlmModel) -> Option<Promise> {
    let status = model.status.as_ref()?;
    let ready = status.conditions.iter().find(|it| it.type_ == types::READY)?;
    let version = status.current_version.clone().unwrap_or_default();
    (ready.status == "True").then(|| (ready.observed_generation.unwrap_or_default(), version))
}
