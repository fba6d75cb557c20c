//! Which models follow which FineTuneJobs. A watch of the jobs tells what they publish, as it happens.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use api::{FineTuneJob, LlmModel};
use kube::{
    Resource, ResourceExt,
    api::ObjectMeta,
    core::NamespaceResourceScope,
    runtime::{reflector::ObjectRef, watcher::Event},
};
use serde::Deserialize;
use serde_json::Value;

use super::jobs;
use crate::watches::ModelMeta;

/// A namespace and a name.
type Key = (String, String);

/// The jobs of each model that follows some.
#[derive(Default)]
pub struct Followers(Mutex<HashMap<Key, BTreeSet<String>>>);

/// What of a FineTuneJob matters to models, in whatever form: one that is strange must not end the watch.
#[derive(Clone, Debug, Deserialize)]
pub struct Published {
    metadata: ObjectMeta,
    #[serde(default)]
    status: Status,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Status {
    phase: Value,
    output: Value,
}

impl Followers {
    /// Notes which jobs `model` follows, before a pass over it reads them.
    pub fn note(&self, model: &LlmModel) {
        let key = (model.namespace().unwrap_or_default(), model.name_any());
        let jobs: BTreeSet<String> = jobs(&model.spec).into_iter().map(Into::into).collect();
        match jobs.is_empty() {
            true => self.lock().remove(&key),
            false => self.lock().insert(key, jobs),
        };
    }

    /// Forgets a model that is gone.
    pub fn forget(&self, namespace: &str, model: &str) {
        self.lock().remove(&(namespace.to_owned(), model.to_owned()));
    }

    /// Says which models an event of the watch concerns. Most change a step and a loss, which is no news here.
    pub fn touched(self: Arc<Self>) -> impl FnMut(Event<Published>) -> Vec<ObjectRef<ModelMeta>> + Send + 'static {
        let mut known: HashMap<Key, (Option<String>, Status)> = HashMap::new();
        move |event| match event {
            Event::Init => {
                known.clear();
                Vec::new()
            }
            Event::InitApply(job) => {
                known.insert(key(&job.metadata), (job.metadata.uid, job.status));
                Vec::new()
            }
            // A job may have gone meanwhile, which is in no list.
            Event::InitDone => self.of(|_, _| true),
            Event::Apply(job) => {
                let (key, now) = (key(&job.metadata), (job.metadata.uid, job.status));
                match known.insert(key.clone(), now.clone()) {
                    Some(before) if before == now => Vec::new(),
                    _ => self.followers(&key),
                }
            }
            Event::Delete(job) => {
                let key = key(&job.metadata);
                known.remove(&key);
                self.followers(&key)
            }
        }
    }

    fn followers(&self, (namespace, job): &Key) -> Vec<ObjectRef<ModelMeta>> {
        self.of(|of, jobs| of == namespace && jobs.contains(job))
    }

    fn of(&self, is_meant: impl Fn(&str, &BTreeSet<String>) -> bool) -> Vec<ObjectRef<ModelMeta>> {
        let known = self.lock();
        let meant = known.iter().filter(|((namespace, _), jobs)| is_meant(namespace, jobs));
        meant
            .map(|((namespace, model), _)| ObjectRef::new(model).within(namespace))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, BTreeSet<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(metadata: &ObjectMeta) -> Key {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    (text(&metadata.namespace), text(&metadata.name))
}

impl Resource for Published {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        FineTuneJob::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        FineTuneJob::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        FineTuneJob::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        FineTuneJob::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controllers::llmmodel::testing::model;

    fn job(name: &str, status: Value) -> Published {
        serde_json::from_value(json!({"metadata": {"namespace": "ns", "name": name, "uid": "u"}, "status": status}))
            .unwrap()
    }

    #[test]
    fn only_what_is_published_concerns_who_follows() {
        let followers = Arc::new(Followers::default());
        let spec = json!({
            "source": {"fineTuneJob": {"name": "nightly"}},
            "adapters": [{"name": "a", "source": {"fineTuneJob": {"name": "tone"}}}],
        });
        followers.note(&model(spec));
        let mut touched = followers.clone().touched();
        let mut tell = move |event| touched(event).into_iter().map(|it| it.name).collect::<Vec<_>>();
        let training = json!({"phase": "Training", "step": 1});
        assert!(tell(Event::Init).is_empty());
        assert!(tell(Event::InitApply(job("nightly", training.clone()))).is_empty());
        assert_eq!(tell(Event::InitDone), ["m"]);
        let later = json!({"phase": "Training", "step": 2, "loss": "1.5"});
        assert!(tell(Event::Apply(job("nightly", later))).is_empty());
        let output = json!({"phase": "Succeeded", "output": {"digest": "sha256:0"}});
        assert_eq!(tell(Event::Apply(job("nightly", output))), ["m"]);
        assert_eq!(tell(Event::Apply(job("tone", training.clone()))), ["m"]);
        assert!(tell(Event::Apply(job("other", training))).is_empty());
        assert_eq!(tell(Event::Delete(job("nightly", json!({})))), ["m"]);
        // A model that follows nobody any more.
        followers.note(&model(json!({})));
        assert!(tell(Event::Delete(job("tone", json!({})))).is_empty());
    }
}
