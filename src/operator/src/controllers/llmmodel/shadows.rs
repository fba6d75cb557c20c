//! The ShadowDeployments that compare versions of a model. A watch tells which there are; a pass reads them anew.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use api::{LlmModel, ShadowDeployment, names::ANNOTATION_PAUSED};
use kube::{
    Resource, ResourceExt,
    api::ObjectMeta,
    core::NamespaceResourceScope,
    runtime::{reflector::ObjectRef, watcher::Event},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, ClusterError},
    watches::ModelMeta,
};

/// A namespace and a name.
type Key = (String, String);

/// What of a ShadowDeployment matters to its model.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    model: String,
    uid: Option<String>,
    generation: Option<i64>,
    is_decided: bool,
    is_leaving: bool,
    is_paused: bool,
}

/// A ShadowDeployment in whatever form: one that is strange must end neither the watch nor a pass.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AnyShadow {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
}

impl AnyShadow {
    fn known(&self) -> Known {
        let annotations = self.metadata.annotations.as_ref();
        Known {
            model: self.spec["model"]["name"].as_str().unwrap_or_default().into(),
            uid: self.metadata.uid.clone(),
            generation: self.metadata.generation,
            is_decided: !self.status["verdict"].is_null(),
            is_leaving: self.metadata.deletion_timestamp.is_some(),
            is_paused: annotations
                .and_then(|it| it.get(ANNOTATION_PAUSED))
                .is_some_and(|value| value == "true"),
        }
    }

    /// As this release knows it.
    fn parsed(self) -> Option<ShadowDeployment> {
        let Self { metadata, spec, status } = self;
        let name = metadata.name.clone();
        let status = if status.is_null() { json!({}) } else { status };
        let parsed = serde_json::from_value(json!({"metadata": metadata, "spec": spec, "status": status}));
        parsed
            .inspect_err(|error| tracing::warn!(name, %error, "a ShadowDeployment is none that this release knows"))
            .ok()
    }
}

/// The ShadowDeployments that the watch has shown.
#[derive(Default)]
pub struct Shadows(Mutex<HashMap<Key, Known>>);

/// What a pass needs to know of comparisons.
#[derive(Clone, Debug, Default)]
pub struct Comparisons {
    /// Those of versions of the model, templates included.
    pub found: Vec<ShadowDeployment>,
    /// What `rollout.gates.shadow` names, if there is one.
    pub template: Option<ShadowDeployment>,
}

impl Shadows {
    /// Says which models an event of the watch concerns. Most change numbers, which is no news here.
    pub fn touched(self: Arc<Self>) -> impl FnMut(Event<AnyShadow>) -> Vec<ObjectRef<ModelMeta>> + Send + 'static {
        let mut listed: HashMap<Key, Known> = HashMap::new();
        move |event| match event {
            Event::Init => {
                listed.clear();
                Vec::new()
            }
            Event::InitApply(shadow) => {
                listed.insert(key(&shadow), shadow.known());
                Vec::new()
            }
            Event::InitDone => {
                let now = std::mem::take(&mut listed);
                let before = std::mem::replace(&mut *self.lock(), now.clone());
                // One may have gone meanwhile, which is in no list.
                let gone = before.into_iter().filter(|(key, then)| now.get(key) != Some(then));
                let mut models: Vec<_> = now.iter().map(|(key, known)| model(key, known)).collect();
                models.extend(gone.map(|(key, then)| model(&key, &then)));
                models
            }
            Event::Apply(shadow) => {
                let (key, now) = (key(&shadow), shadow.known());
                match self.lock().insert(key.clone(), now.clone()) {
                    Some(before) if before == now => Vec::new(),
                    _ => vec![model(&key, &now)],
                }
            }
            Event::Delete(shadow) => {
                let key = key(&shadow);
                self.lock().remove(&key);
                vec![model(&key, &shadow.known())]
            }
        }
    }

    /// Whether there is one about a model.
    fn concern(&self, namespace: &str, model: &str) -> bool {
        let known = self.lock();
        known
            .iter()
            .any(|((space, _), known)| space == namespace && known.model == model)
    }

    /// Reads those of a model, where there may be any or one is to be made.
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub async fn look(&self, cluster: &Cluster, model: &LlmModel) -> Result<Comparisons, ClusterError> {
        let (namespace, name) = (model.namespace().unwrap_or_default(), model.name_any());
        let status = model.status.as_ref();
        // The first version has nobody to be compared with. While none is on its way nothing has to wait: those that keep
        // older versions alive are known by the watch.
        let is_moving = status.is_some_and(|status| {
            status.current_version.is_some()
                && (status.candidate_version.is_some() || status.observed_generation != model.metadata.generation)
        });
        if !is_moving && !self.concern(&namespace, &name) {
            return Ok(Comparisons::default());
        }
        let all = cluster.list::<AnyShadow>(&namespace, "").await?;
        let all: Vec<_> = all.into_iter().filter_map(AnyShadow::parsed).collect();
        let template = super::validate::shadow_template(&model.spec);
        Ok(Comparisons {
            template: template.and_then(|template| all.iter().find(|it| it.name_any() == template).cloned()),
            found: all.into_iter().filter(|it| it.spec.model.name == name).collect(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(shadow: &AnyShadow) -> Key {
    (shadow.namespace().unwrap_or_default(), shadow.name_any())
}

fn model((namespace, _): &Key, known: &Known) -> ObjectRef<ModelMeta> {
    ObjectRef::new(&known.model).within(namespace)
}

impl Resource for AnyShadow {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        ShadowDeployment::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        ShadowDeployment::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        ShadowDeployment::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        ShadowDeployment::plural(&())
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
    use super::*;

    fn shadow(name: &str, status: Value) -> AnyShadow {
        serde_json::from_value(json!({
            "metadata": {"namespace": "ns", "name": name, "uid": name, "generation": 1},
            "spec": {"model": {"name": "m"}, "candidate": {"version": "v-0123456789"},
                "compare": {"primary": {"metric": "Errors"}}},
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn only_what_is_decided_or_asked_concerns_the_model() {
        let shadows = Arc::new(Shadows::default());
        let mut touched = shadows.clone().touched();
        let mut tell = move |event| touched(event).into_iter().map(|it| it.name).collect::<Vec<_>>();
        tell(Event::Init);
        tell(Event::InitApply(shadow("s", json!({"pairs": 1}))));
        assert!(!shadows.concern("ns", "m"));
        assert_eq!(tell(Event::InitDone), ["m"]);
        assert!(shadows.concern("ns", "m") && !shadows.concern("elsewhere", "m"));
        assert!(tell(Event::Apply(shadow("s", json!({"pairs": 2})))).is_empty());
        assert_eq!(
            tell(Event::Apply(shadow("s", json!({"pairs": 3, "verdict": "Reject"})))),
            ["m"]
        );
        assert_eq!(tell(Event::Delete(shadow("s", json!({})))), ["m"]);
        assert!(!shadows.concern("ns", "m"));
        // One that went while nobody watched.
        tell(Event::Apply(shadow("t", json!({}))));
        tell(Event::Init);
        assert_eq!(tell(Event::InitDone), ["m"]);
    }

    #[test]
    fn one_that_is_strange_is_left_out() {
        assert!(shadow("s", json!({})).parsed().is_some());
        assert!(shadow("s", json!({"verdict": "Undecided"})).parsed().is_none());
        let mut strange = shadow("s", Value::Null);
        strange.spec["compare"] = json!("much");
        assert_eq!(strange.known().model, "m");
        assert!(strange.parsed().is_none());
    }
}
