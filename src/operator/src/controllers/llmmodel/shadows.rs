//! The ShadowDeployments that compare versions of a model. A watch tells which there are; a pass reads them anew.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use api::{LlmModel, ShadowDeployment};
use kube::{
    Resource, ResourceExt,
    runtime::{reflector::ObjectRef, watcher::Event},
};

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
    pub fn touched(
        self: Arc<Self>,
    ) -> impl FnMut(Event<ShadowDeployment>) -> Vec<ObjectRef<ModelMeta>> + Send + 'static {
        let mut listed: HashMap<Key, Known> = HashMap::new();
        move |event| match event {
            Event::Init => {
                listed.clear();
                Vec::new()
            }
            Event::InitApply(shadow) => {
                listed.insert(key(&shadow), known(&shadow));
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
                let (key, now) = (key(&shadow), known(&shadow));
                match self.lock().insert(key.clone(), now.clone()) {
                    Some(before) if before == now => Vec::new(),
                    _ => vec![model(&key, &now)],
                }
            }
            Event::Delete(shadow) => {
                let key = key(&shadow);
                self.lock().remove(&key);
                vec![model(&key, &known(&shadow))]
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
        let all = cluster.list::<ShadowDeployment>(&namespace, "").await?;
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

fn key(shadow: &ShadowDeployment) -> Key {
    (shadow.namespace().unwrap_or_default(), shadow.name_any())
}

fn known(shadow: &ShadowDeployment) -> Known {
    Known {
        model: shadow.spec.model.name.clone(),
        uid: shadow.uid(),
        generation: shadow.meta().generation,
        is_decided: shadow.status.as_ref().is_some_and(|status| status.verdict.is_some()),
        is_leaving: shadow.meta().deletion_timestamp.is_some(),
        is_paused: crate::controllers::shadowdeployment::is_paused(shadow),
    }
}

fn model((namespace, _): &Key, known: &Known) -> ObjectRef<ModelMeta> {
    ObjectRef::new(&known.model).within(namespace)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn shadow(name: &str, status: Value) -> ShadowDeployment {
        serde_json::from_value(json!({
            "apiVersion": "atelier.dev/v1alpha1", "kind": "ShadowDeployment",
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
}
