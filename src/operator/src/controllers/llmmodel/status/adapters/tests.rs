use api::{LlmModel, conditions};
use k8s_openapi::{
    api::core::v1::{ConfigMap, Pod},
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::Timestamp,
};
use protocol::{AdaptersReport, WantedAdapters, adapters::FILE};
use serde_json::json;

use super::*;
use crate::controllers::llmmodel::{
    build::Builder,
    dereference::Observed,
    plan::{Plan, Target},
    status::{self, notices},
    testing::{self, report, settings, the_owner, wanted},
    version::Version,
};

/// A model with the adapter `a`, and what its pods say.
struct Case {
    model: LlmModel,
    observed: Observed,
    version: Version,
}

impl Case {
    fn new() -> Self {
        let spec = json!({"adapters": [{"name": "a", "source": {"huggingFace": {"repo": "team/a"}}}]});
        let (wanted, owner, settings) = (wanted(spec.clone()), the_owner(), settings());
        let builder = Builder {
            owner: &owner,
            wanted: &wanted,
            settings: &settings,
        };
        let version = Version::new(&wanted, report());
        let mut deployment = builder.children(&version, 1).deployment;
        deployment.status = serde_json::from_value(json!({
            "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "readyReplicas": 1,
        }))
        .unwrap();
        let mut observed = Observed {
            deployments: vec![deployment],
            ..Observed::default()
        };
        observed.config_maps.extend(builder.adapters(&observed));
        Self {
            model: testing::model(spec),
            observed,
            version,
        }
    }

    fn list(&self) -> WantedAdapters {
        self.observed.wanted_adapters("m").unwrap()
    }

    /// A ready pod; of a template that was replaced, if it is `old`.
    fn pod(&mut self, name: &str, old: bool, state: Option<Told>) {
        let template = self.observed.deployments[0].spec.as_ref().unwrap().template.clone();
        let mut metadata = json!(template.metadata);
        metadata["name"] = json!(name);
        if old {
            metadata["annotations"] = json!({});
        }
        let status = json!({"conditions": [{"type": "Ready", "status": "True"}]});
        let pod = serde_json::from_value::<Pod>(json!({"metadata": metadata, "status": status}));
        self.observed.pods.push(pod.unwrap());
        let list = self.list();
        let adapters = state.map(|state| AdapterReport {
            name: "a".into(),
            key: list.adapters[0].key.clone(),
            state,
            digest: None,
            revision: None,
            message: (state == Told::Failed).then(|| "SourceNotFound: gone".into()),
        });
        let report = AdaptersReport {
            id: list.id,
            adapters: adapters.into_iter().collect(),
        };
        self.observed.adapters.insert(name.into(), report);
    }

    fn status(&self) -> api::LlmModelStatus {
        let (owner, settings) = (the_owner(), settings());
        let plan = Plan::nothing(Target::Known(Box::new(self.version.clone())));
        let facts = Facts {
            model: &self.model,
            owner: &owner,
            settings: &settings,
            observed: &self.observed,
            plan: &plan,
            compression: None,
            suites: &[],
            trouble: None,
            current_trouble: None,
        };
        status::compute(&facts, &Time(Timestamp::from_second(1).unwrap()))
    }

    fn told(&self) -> (AdapterState, i32, String, bool) {
        let status = self.status();
        let adapter = &status.adapters[0];
        let condition = conditions::find(&status.conditions, types::ADAPTERS_READY).unwrap();
        let is_ready = conditions::is_true(&status.conditions, types::READY);
        (adapter.state, adapter.ready_pods, condition.reason.clone(), is_ready)
    }
}

#[test]
fn an_adapter_is_ready_when_every_pod_has_it() {
    let mut case = Case::new();
    case.pod("p1", false, Some(Told::Ready));
    case.pod("p2", false, Some(Told::Loading));
    assert_eq!(
        case.told(),
        (AdapterState::Loading, 1, reasons::ADAPTERS_LOADING.into(), true)
    );
    case.observed.pods.pop();
    // It has not seen the list yet.
    case.pod("p3", false, None);
    assert_eq!(case.told().0, AdapterState::Loading);
    case.observed.pods.pop();
    assert_eq!(
        case.told(),
        (AdapterState::Ready, 1, reasons::ADAPTERS_LOADED.into(), true)
    );
}

#[test]
fn a_failure_is_told_in_its_own_words_and_leaves_the_model_ready() {
    let mut case = Case::new();
    case.pod("p1", false, Some(Told::Ready));
    case.pod("p2", false, Some(Told::Failed));
    assert_eq!(
        case.told(),
        (AdapterState::Failed, 1, reasons::ADAPTER_FAILED.into(), true)
    );
    let status = case.status();
    let condition = conditions::find(&status.conditions, types::ADAPTERS_READY).unwrap();
    assert_eq!(condition.message, "adapter a: SourceNotFound: gone");
    let told = notices(&Default::default(), &status);
    assert!(
        told.iter().any(|it| it.warning && it.reason == reasons::ADAPTER_FAILED),
        "{told:?}"
    );
    assert!(
        !notices(&status, &status)
            .iter()
            .any(|it| it.reason == reasons::ADAPTER_FAILED)
    );
}

#[test]
fn pods_that_are_about_to_go_tell_of_no_failure() {
    let mut case = Case::new();
    case.pod("old", true, Some(Told::Failed));
    assert_eq!(case.told().0, AdapterState::Loading);
    case.pod("new", false, Some(Told::Failed));
    assert_eq!(case.told().0, AdapterState::Failed);
}

#[test]
fn an_adapter_of_a_model_that_sleeps_is_as_it_was() {
    let mut case = Case::new();
    let mut list = case.list();
    list.adapters[0].digest = Some("sha256:1".into());
    let text = serde_json::to_string(&list).unwrap();
    let data = Some([(FILE.to_owned(), text)].into());
    case.observed.config_maps[0] = ConfigMap {
        data,
        ..case.observed.config_maps[0].clone()
    };
    case.pod("p1", false, Some(Told::Ready));
    let before = case.status();
    case.model.status = Some(before.clone());
    case.observed.pods.clear();
    assert_eq!((case.told().0, case.told().1), (AdapterState::Ready, 0));
    // Another one than it was.
    let mut other = before;
    other.adapters[0].digest = Some("sha256:2".into());
    case.model.status = Some(other);
    assert_eq!(case.told().0, AdapterState::Loading);
}

#[test]
fn a_model_without_adapters_says_nothing_of_them() {
    assert_eq!(finding(&[]), None);
}
