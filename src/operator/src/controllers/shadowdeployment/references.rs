//! Which ShadowDeployments name which LlmModels: a change of one concerns them.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use api::shadowdeployment::ShadowDeploymentSpec;

type Key = (String, String);

/// The LlmModels that ShadowDeployments name, by namespace and name of the ShadowDeployment.
#[derive(Debug, Default)]
pub struct References(Mutex<HashMap<Key, BTreeSet<String>>>);

impl References {
    /// Notes what a ShadowDeployment names.
    pub fn note(&self, namespace: &str, shadow: &str, spec: &ShadowDeploymentSpec) {
        let compared = std::iter::once(&spec.compare.primary).chain(&spec.compare.guardrails);
        let helpers = compared.filter_map(|metric| metric.model.as_ref());
        let models = helpers.chain([&spec.model]).map(|model| model.name.clone());
        let names = models.chain(spec.candidate.model.clone()).collect();
        self.lock().insert(key(namespace, shadow), names);
    }

    /// Forgets a ShadowDeployment.
    pub fn forget(&self, namespace: &str, shadow: &str) {
        self.lock().remove(&key(namespace, shadow));
    }

    /// The ShadowDeployments that name an LlmModel.
    pub fn of(&self, namespace: &str, model: &str) -> Vec<String> {
        let all = self.lock();
        let theirs = all
            .iter()
            .filter(|((space, _), models)| space == namespace && models.contains(model));
        theirs.map(|((_, shadow), _)| shadow.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, BTreeSet<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(namespace: &str, shadow: &str) -> Key {
    (namespace.to_owned(), shadow.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controllers::shadowdeployment::testing::shadow;

    #[test]
    fn shadows_are_found_by_each_of_their_models() {
        let references = References::default();
        let compare = json!({"primary": {"metric": "Judge", "model": {"name": "judge"}}});
        let spec = shadow(json!({"candidate": {"model": "other"}, "compare": compare})).spec;
        references.note("ns", "s", &spec);
        for model in ["m", "other", "judge"] {
            assert_eq!(references.of("ns", model), ["s"], "{model}");
        }
        assert!(references.of("elsewhere", "m").is_empty());
        references.forget("ns", "s");
        assert!(references.of("ns", "m").is_empty());
    }
}
