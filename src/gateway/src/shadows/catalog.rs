//! The ShadowDeployments of the cluster, and the comparisons that are under way.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use store::shadows::Key;
use tokio::sync::mpsc;

use super::{
    experiment::Experiment,
    metrics::Metrics,
    pair::Job,
    spec::{Shadow, Words},
};

/// A comparison that has begun, and where its copies come from.
pub type Begun = (Arc<Experiment>, mpsc::UnboundedReceiver<Job>);

/// The ShadowDeployments that there are. Fed by a watch.
pub struct Shadows {
    state: RwLock<State>,
    is_complete: AtomicBool,
    metrics: Metrics,
}

#[derive(Default)]
struct State {
    /// All that there are, whether anything is compared or not.
    known: HashMap<String, Known>,
    experiments: HashMap<String, Arc<Experiment>>,
    /// By namespace and name of the model.
    of_models: HashMap<(String, String), Arc<[Arc<Experiment>]>>,
}

struct Known {
    key: Key,
    words: Words,
}

impl Shadows {
    /// None yet. What is counted is shown by `metrics`.
    pub fn new(metrics: Metrics) -> Self {
        Self {
            state: RwLock::default(),
            is_complete: AtomicBool::new(false),
            metrics,
        }
    }

    /// A ShadowDeployment is there, or has changed; what begins by that.
    pub fn apply(&self, shadow: Shadow) -> Option<Begun> {
        let Shadow { key, active, words } = shadow;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let known = Known {
            key: key.clone(),
            words,
        };
        state.known.insert(key.uid.clone(), known);
        let Some(comparison) = active else {
            state.end(&key.uid);
            return None;
        };
        if let Some(known) = state.experiments.get(&key.uid) {
            known.change(comparison);
            return None;
        }
        let (experiment, jobs) = Experiment::begin(key.clone(), comparison, self.metrics.clone());
        let experiment = Arc::new(experiment);
        state.experiments.insert(key.uid, experiment.clone());
        state.index();
        Some((experiment, jobs))
    }

    /// A ShadowDeployment is gone.
    pub fn remove(&self, key: &Key) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.known.remove(&key.uid);
        state.end(&key.uid);
        // Another one may have its name by now.
        if !state
            .known
            .values()
            .any(|known| known.is_called(&key.namespace, &key.name))
        {
            self.metrics.forget(&key.namespace, &key.name);
        }
    }

    /// There are these and no others: from now on all are known.
    pub fn retain(&self, uids: &HashSet<String>) {
        let gone: Vec<Key> = {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            state
                .known
                .values()
                .map(|known| known.key.clone())
                .filter(|key| !uids.contains(&key.uid))
                .collect()
        };
        for key in gone {
            self.remove(&key);
        }
        self.is_complete.store(true, Ordering::Release);
    }

    /// Whether all are known.
    pub fn is_complete(&self) -> bool {
        self.is_complete.load(Ordering::Acquire)
    }

    /// Whether there is one of that uid.
    pub fn has(&self, uid: &str) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.known.contains_key(uid)
    }

    /// The one that has a name now, and what is kept of its words.
    pub fn named(&self, namespace: &str, name: &str) -> Option<(Key, Words)> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let mut all = state.known.values();
        let known = all.find(|known| known.is_called(namespace, name))?;
        Some((known.key.clone(), known.words))
    }

    /// What is kept of the words of all that there are, by uid.
    pub fn words(&self) -> Vec<(String, Words)> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let all = state.known.iter();
        all.map(|(uid, known)| (uid.clone(), known.words)).collect()
    }

    /// The comparisons of a model.
    pub fn of(&self, namespace: &str, model: &str) -> Option<Arc<[Arc<Experiment>]>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if state.of_models.is_empty() {
            return None;
        }
        state.of_models.get(&(namespace.to_owned(), model.to_owned())).cloned()
    }

    /// All comparisons under way.
    pub fn experiments(&self) -> Vec<Arc<Experiment>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.experiments.values().cloned().collect()
    }

    /// What is shown of them.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

impl Known {
    fn is_called(&self, namespace: &str, name: &str) -> bool {
        (&*self.key.namespace, &*self.key.name) == (namespace, name)
    }
}

impl State {
    fn end(&mut self, uid: &str) {
        if let Some(experiment) = self.experiments.remove(uid) {
            experiment.ended.cancel();
            self.index();
        }
    }

    fn index(&mut self) {
        let mut of_models: HashMap<_, Vec<_>> = HashMap::new();
        for experiment in self.experiments.values() {
            let model = (experiment.key.namespace.clone(), experiment.model.clone());
            of_models.entry(model).or_default().push(experiment.clone());
        }
        self.of_models = of_models.into_iter().map(|(model, all)| (model, all.into())).collect();
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;
    use serde_json::{Value, json};

    use super::*;
    use crate::shadows::spec::testing::{spec, watched};

    fn shadow(name: &str, uid: &str, status: Value) -> Shadow {
        watched(name, uid, spec("v-9876543210"), status).into()
    }

    fn compared(shadows: &Shadows) -> usize {
        shadows.of("ns", "m").map_or(0, |all| all.len())
    }

    #[test]
    fn comparisons_are_found_by_their_model_until_they_end() {
        let shadows = Shadows::new(Metrics::new(&Registry::new()));
        assert!(shadows.apply(shadow("a", "1", json!({}))).is_some());
        let (second, _jobs) = shadows.apply(shadow("b", "2", json!({}))).unwrap();
        assert!(
            shadows.apply(shadow("a", "1", json!({"pairs": 3}))).is_none(),
            "it goes on"
        );
        assert_eq!((compared(&shadows), shadows.experiments().len()), (2, 2));
        assert!(shadows.of("ns", "other").is_none());
        shadows.apply(shadow("a", "1", json!({"verdict": "Promote"})));
        assert!(shadows.has("1"), "it is there, and over");
        let named = shadows.named("ns", "a").unwrap();
        assert_eq!((&*named.0.uid, named.1), ("1", Words::Never));
        assert!(shadows.named("ns", "c").is_none() && shadows.words().len() == 2);
        assert_eq!(compared(&shadows), 1);
        assert!(!shadows.is_complete());
        shadows.retain(&HashSet::from(["1".to_owned()]));
        assert!(shadows.is_complete() && second.ended.is_cancelled());
        assert_eq!(compared(&shadows), 0);
        assert!(!shadows.has("2"));
    }
}
