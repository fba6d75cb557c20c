//! The LlmModels of the cluster, by name.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use api::{
    llmmodel::{self, Provider, Task},
    names::CONDITION_READY,
};
use kube::ResourceExt;
use serde::{Deserialize, Serialize};

use super::{
    endpoints::ServedVersion,
    watched::{WatchedAdapter, WatchedModel, WatchedSpec},
};
use crate::{guard::Guards, limits::Limits, provider::Service};

/// An adapter beside a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adapter {
    /// What callers name after the model.
    pub name: String,
    /// Whether a worker has it, or the next one that starts will.
    pub is_available: bool,
    /// Why it failed.
    pub message: Option<String>,
}

/// A version on its way and its share of the traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// Its name.
    pub version: String,
    /// Its share, in percent.
    pub weight: u8,
}

/// An LlmModel as the gateway sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its namespace.
    pub namespace: String,
    /// Its name, which its workers serve it under.
    pub name: String,
    /// What it is for; `None` is something that this release does not know.
    pub task: Option<Task>,
    /// Creation time in seconds since the Unix epoch.
    pub created: i64,
    /// The version that answers requests; none before the first is ready.
    pub current_version: Option<String>,
    /// The version that gets a share of the traffic beside it.
    pub canary: Option<Canary>,
    /// The adapters beside it.
    pub adapters: Vec<Adapter>,
    /// The `Ready` condition.
    pub readiness: Readiness,
    /// How long requests wait for its first worker, where it has none while nobody asks.
    pub hold: Option<Duration>,
    /// Who hosts it, if it has no workers at all.
    pub hosted: Option<Provider>,
    /// What callers may use.
    pub limits: Limits,
    /// Names of the models of its namespace that are asked instead, in this order.
    pub fallback: Vec<String>,
    /// Checks of requests and answers.
    pub guards: Option<Arc<Guards>>,
}

/// A condition without its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Whether its status is `True`.
    pub ready: bool,
    /// Its CamelCase reason.
    pub reason: String,
    /// Its message.
    pub message: String,
}

impl Model {
    /// `namespace/name`.
    pub fn qualified(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// `version` of this model.
    pub fn served(&self, version: &str) -> ServedVersion {
        ServedVersion {
            namespace: self.namespace.clone(),
            model: self.name.clone(),
            version: version.into(),
        }
    }

    /// The adapter of that name, if the spec has one.
    pub fn adapter(&self, name: &str) -> Option<&Adapter> {
        self.adapters.iter().find(|adapter| adapter.name == name)
    }

    /// The version that answers requests.
    pub fn current(&self) -> Option<ServedVersion> {
        self.current_version.as_deref().map(|version| self.served(version))
    }
}

impl From<WatchedModel> for Model {
    fn from(object: WatchedModel) -> Self {
        let created = object.metadata.creation_timestamp.as_ref();
        let created = created.map_or(0, |time| time.0.as_second());
        let status = object.status.clone().unwrap_or_default();
        let ready = status.conditions.into_iter().find(|c| c.type_ == CONDITION_READY);
        let readiness = match ready {
            Some(condition) => Readiness {
                ready: condition.status == "True",
                reason: condition.reason,
                message: condition.message,
            },
            None => Readiness {
                ready: false,
                reason: "Pending".into(),
                message: "the operator has not looked at it yet".into(),
            },
        };
        let provider = object.spec.source.provider.as_ref();
        let known = provider.and_then(|provider| Provider::deserialize(provider).ok());
        let hosted = known.filter(|provider| Service::of(provider).is_some());
        let limits = object.spec.limits.as_ref().map(|limits| {
            let known = llmmodel::Limits::deserialize(limits).ok();
            known.and_then(|known| Limits::try_from(known).ok())
        });
        let unknown = if provider.is_some() && hosted.is_none() {
            Some(("UnknownProvider", "provider"))
        } else if limits == Some(None) {
            Some(("UnknownLimits", "limits"))
        } else {
            None
        };
        let readiness = match unknown {
            None => readiness,
            Some((reason, what)) => Readiness {
                ready: false,
                reason: reason.into(),
                message: format!("this release of the gateway does not know its {what}"),
            },
        };
        let task = match object.spec.task.as_deref() {
            None | Some("Generate") => Some(Task::Generate),
            Some("Embed") => Some(Task::Embed),
            Some("Rerank") => Some(Task::Rerank),
            Some(_) => None,
        };
        let WatchedSpec {
            replicas, autoscaling, ..
        } = &object.spec;
        let zero = autoscaling.as_ref().and_then(|it| it.scale_to_zero.as_ref());
        let hold = zero.filter(|_| *replicas != Some(0));
        let hold = hold.map(|zero| Duration::from_secs(zero.hold_seconds.into()));
        Self {
            hold,
            hosted,
            limits: limits.flatten().unwrap_or_default(),
            fallback: object.spec.fallback.iter().map(|it| it.model.clone()).collect(),
            guards: object.spec.guardrails.as_ref().map(Guards::of),
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            task,
            created,
            current_version: status.current_version.filter(|version| !version.is_empty()),
            canary: status.canary,
            adapters: status.adapters.into_iter().map(Adapter::from).collect(),
            readiness,
        }
    }
}

impl From<WatchedAdapter> for Adapter {
    fn from(watched: WatchedAdapter) -> Self {
        Self {
            is_available: watched.state == "Ready" || watched.ready_pods > 0,
            name: watched.name,
            message: watched.message,
        }
    }
}

/// Models by name, then namespace: the unqualified name is the usual way in.
#[derive(Default)]
pub struct Models(BTreeMap<String, BTreeMap<String, Arc<Model>>>);

impl Models {
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<Model>> {
        self.0.get(name)?.get(namespace).cloned()
    }

    pub fn named(&self, name: &str) -> Vec<Arc<Model>> {
        self.0
            .get(name)
            .into_iter()
            .flat_map(BTreeMap::values)
            .cloned()
            .collect()
    }

    pub fn all(&self) -> Vec<Arc<Model>> {
        self.0.values().flat_map(BTreeMap::values).cloned().collect()
    }

    /// Adds `model`, or replaces the one returned.
    pub fn apply(&mut self, model: Arc<Model>) -> Option<Arc<Model>> {
        let same_name = self.0.entry(model.name.clone()).or_default();
        same_name.insert(model.namespace.clone(), model)
    }

    pub fn remove(&mut self, namespace: &str, name: &str) {
        if let Some(same_name) = self.0.get_mut(name) {
            same_name.remove(namespace);
            if same_name.is_empty() {
                self.0.remove(name);
            }
        }
    }

    /// Removes all that `keep` does not hold for, and says which.
    pub fn retain(&mut self, keep: impl Fn(&Model) -> bool) -> Vec<Arc<Model>> {
        let gone: Vec<_> = self.all().into_iter().filter(|model| !keep(model)).collect();
        for model in &gone {
            self.remove(&model.namespace, &model.name);
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(object: serde_json::Value) -> Model {
        serde_json::from_value::<WatchedModel>(object).unwrap().into()
    }

    #[test]
    fn a_model_is_read_leniently() {
        let model = parse(json!({
            "apiVersion": "atelier.dev/v1alpha1", "kind": "LlmModel",
            "metadata": {"name": "m", "namespace": "ns", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"unknown": ["to", "us"]},
            "status": {
                "currentVersion": "v-0123456789", "somethingNew": {"a": 1},
                "canary": {"version": "v-9876543210", "weight": 25, "step": 2},
                "adapters": [
                    {"name": "a", "state": "Ready", "readyPods": 2},
                    {"name": "b", "state": "Failed", "readyPods": 1, "message": "one pod has no room"},
                    {"name": "c", "state": "Loading"},
                ],
                "conditions": [
                    {"type": "Progressing", "status": "Unknown", "reason": "X", "message": "",
                     "lastTransitionTime": "2026-01-01T00:00:00Z"},
                    {"type": "Ready", "status": "True", "reason": "Serving", "message": "one replica",
                     "lastTransitionTime": "2026-01-01T00:00:00Z"},
                ],
            },
        }));
        assert_eq!(model.qualified(), "ns/m");
        assert_eq!(model.task, Some(Task::Generate));
        assert_eq!(model.created, 1_767_225_600);
        assert_eq!(model.current_version.as_deref(), Some("v-0123456789"));
        let available = ["a", "b", "c", "d"].map(|name| model.adapter(name).is_some_and(|it| it.is_available));
        assert_eq!(available, [true, true, false, false]);
        assert_eq!(model.canary.unwrap().weight, 25);
        assert!(model.readiness.ready);
        assert_eq!(model.readiness.reason, "Serving");
    }

    #[test]
    fn requests_wait_for_a_model_that_sleeps_and_not_for_one_that_is_off() {
        let hold =
            |spec: serde_json::Value| parse(json!({"metadata": {"name": "m", "namespace": "ns"}, "spec": spec})).hold;
        let zero = json!({"maxReplicas": 3, "scaleToZero": {"idleSeconds": 60, "holdSeconds": 30}});
        assert_eq!(hold(json!({"autoscaling": zero})), Some(Duration::from_secs(30)));
        assert_eq!(hold(json!({"replicas": 0, "autoscaling": zero})), None);
        assert_eq!(hold(json!({"replicas": 1, "autoscaling": {"maxReplicas": 3}})), None);
    }

    #[test]
    fn a_provider_of_a_newer_release_is_not_ready() {
        let ready = json!({"type": "Ready", "status": "True", "reason": "Serving", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let hosted = |provider: serde_json::Value| {
            let spec = json!({"source": {"provider": provider}});
            parse(json!({"metadata": {"name": "m"}, "spec": spec, "status": {"conditions": [ready]}}))
        };
        let known = hosted(json!({"openAICompatible": {"url": "http://h/v1", "model": "x", "new": 1}}));
        assert!(known.hosted.is_some() && known.readiness.ready);
        for provider in [json!({"newer": {}}), json!({"openAI": "gpt"}), json!(5)] {
            let model = hosted(provider);
            assert!(model.hosted.is_none() && !model.readiness.ready);
            assert_eq!(model.readiness.reason, "UnknownProvider");
        }
    }

    #[test]
    fn limits_of_a_newer_release_are_not_passed_over() {
        let limited = |limits: serde_json::Value| {
            parse(
                json!({"metadata": {"name": "m"}, "spec": {"limits": limits, "fallback": [{"model": "b", "new": 1}]}}),
            )
        };
        let known = limited(json!({"maxTokens": 5, "dataPolicy": "LocalOnly", "new": 1}));
        assert_eq!((known.limits.max_tokens, known.limits.is_local_only), (Some(5), true));
        assert_eq!(known.fallback, ["b"]);
        for limits in [json!({"dataPolicy": "Mars"}), json!({"maxTokens": "5"}), json!([])] {
            let model = limited(limits);
            assert!(!model.readiness.ready);
            assert_eq!(model.readiness.reason, "UnknownLimits");
        }
    }

    #[test]
    fn a_model_without_status_is_not_ready() {
        let metadata = json!({"name": "m", "namespace": "ns"});
        let model = parse(json!({"metadata": metadata, "spec": {"task": "Translate"}}));
        assert_eq!(model.task, None);
        assert!(!model.readiness.ready);
        assert_eq!(model.current_version, None);
    }

    #[test]
    fn names_are_found_in_all_namespaces() {
        let named = |namespace: &str, name: &str| {
            parse(json!({"metadata": {"name": name, "namespace": namespace}, "spec": {}}))
        };
        let mut models = Models::default();
        for (namespace, name) in [("b", "m"), ("a", "m"), ("a", "other")] {
            models.apply(Arc::new(named(namespace, name)));
        }
        let namespaces = |models: Vec<Arc<Model>>| models.iter().map(|m| m.qualified()).collect::<Vec<_>>();
        assert_eq!(namespaces(models.named("m")), ["a/m", "b/m"]);
        assert_eq!(namespaces(models.all()), ["a/m", "b/m", "a/other"]);
        let gone = models.retain(|model| model.namespace == "a");
        assert_eq!(namespaces(gone), ["b/m"]);
        models.remove("a", "m");
        models.remove("a", "m");
        assert_eq!(models.named("m"), []);
        assert!(models.get("a", "other").is_some());
    }
}
