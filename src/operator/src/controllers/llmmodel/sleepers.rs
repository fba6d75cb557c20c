//! The models that have no replicas because nobody asks: the gateways are asked all the time whether
//! somebody does.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use api::{LlmModel, names::ANNOTATION_PAUSED};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    ResourceExt,
    runtime::reflector::{ObjectRef, Store},
};

use super::dereference::{Observed, version_of};
use crate::{gateways::Gateways, watches::ModelMeta};

/// Between two questions. A request that is held waits for half of it on average.
pub const POLL: Duration = Duration::from_millis(250);

/// Those that a held request starts.
#[derive(Default)]
pub struct Sleepers(Mutex<HashSet<ObjectRef<ModelMeta>>>);

impl Sleepers {
    /// Notes whether `model` is one, after a pass over it.
    pub fn note(&self, model: &LlmModel, observed: &Observed) {
        let namespace = model.namespace().unwrap_or_default();
        let reference = ObjectRef::new(&model.name_any()).within(&namespace);
        let mut known = self.lock();
        if is_asleep(model, observed) {
            known.insert(reference);
        } else {
            known.remove(&reference);
        }
    }

    /// Those that somebody asks.
    pub async fn wanted(&self, models: &Store<ModelMeta>, gateways: &Gateways) -> Vec<ObjectRef<ModelMeta>> {
        self.lock().retain(|model| models.get(model).is_some());
        if self.lock().is_empty() {
            return Vec::new();
        }
        let held = gateways.held().await;
        let is_wanted =
            |model: &&ObjectRef<ModelMeta>| held.of(model.namespace.as_deref().unwrap_or_default(), &model.name) > 0;
        self.lock().iter().filter(is_wanted).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<ObjectRef<ModelMeta>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_asleep(model: &LlmModel, observed: &Observed) -> bool {
    let asked = model.spec.autoscaling.as_ref();
    let is_paused = model
        .annotations()
        .get(ANNOTATION_PAUSED)
        .is_some_and(|value| value == "true");
    if is_paused || model.spec.replicas == 0 || asked.is_none_or(|asked| asked.scale_to_zero.is_none()) {
        return false;
    }
    let current = model
        .status
        .as_ref()
        .and_then(|status| status.current_version.as_deref());
    let has_none = |deployment: &Deployment| deployment.spec.as_ref().and_then(|spec| spec.replicas) == Some(0);
    let mut deployments = observed.deployments.iter();
    current.is_some() && deployments.any(|it| version_of(it) == current && has_none(it))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::controllers::llmmodel::testing;

    #[rstest]
    #[case::asleep(json!({}), 0, None, true)]
    #[case::awake(json!({}), 1, None, false)]
    #[case::off(json!({"replicas": 0}), 0, None, false)]
    #[case::never_sleeps(json!({"autoscaling": {"maxReplicas": 2}}), 0, None, false)]
    #[case::paused(json!({}), 0, Some("true"), false)]
    fn a_held_request_starts_what_is_asleep(
        #[case] spec: Value,
        #[case] replicas: i32,
        #[case] paused: Option<&str>,
        #[case] expected: bool,
    ) {
        let mut all = json!({"autoscaling": {"maxReplicas": 2, "scaleToZero": {}}});
        all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let mut model = testing::model(all);
        model.status = serde_json::from_value(json!({"currentVersion": "v-0123456789"})).unwrap();
        if let Some(value) = paused {
            model.annotations_mut().insert(ANNOTATION_PAUSED.into(), value.into());
        }
        let deployment = json!({
            "metadata": {"name": "d", "labels": {api::names::LABEL_VERSION: "v-0123456789"}},
            "spec": {"replicas": replicas, "selector": {}, "template": {}},
        });
        let observed = Observed {
            deployments: vec![serde_json::from_value(deployment).unwrap()],
            ..Observed::default()
        };
        let sleepers = Sleepers::default();
        sleepers.note(&model, &observed);
        assert_eq!(sleepers.lock().len() == 1, expected);
        // It has been started.
        sleepers.note(&model, &Observed::default());
        assert!(sleepers.lock().is_empty());
    }
}
