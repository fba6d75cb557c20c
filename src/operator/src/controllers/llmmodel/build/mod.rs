//! The children of an LlmModel as they should be. Pure: one file for each kind.
//!
//! ```text
//! LlmModel -+- Job            <model>-s-<source>-prepare   until its report is in a revision
//!           +- for each version <model>-v-<version>:
//!              ControllerRevision    stays in the history
//!              NetworkPolicy, Service, PodDisruptionBudget, Deployment    while it is live
//! ```

mod deployment;
mod job;
mod network_policy;
mod pdb;
mod pod;
mod revision;
mod service;
mod weights;

pub use deployment::memory;
pub use weights::PREPARE_MEMORY;

use std::collections::BTreeMap;

use api::names;
use k8s_openapi::api::{
    apps::v1::{ControllerRevision, Deployment},
    batch::v1::Job,
    core::v1::Service,
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};
use kube::api::ObjectMeta;

use super::{
    validate::{Owner, Settings, Wanted},
    version::Version,
};

/// What every builder may look at.
#[derive(Clone, Copy)]
pub struct Builder<'a> {
    /// The LlmModel.
    pub owner: &'a Owner,
    /// What its spec asks for.
    pub wanted: &'a Wanted,
    /// What this installation says.
    pub settings: &'a Settings,
}

/// The children of one live version, in the order in which they are applied.
#[derive(Clone, Debug)]
pub struct Children {
    /// The snapshot: what serves must be known before it does.
    pub revision: ControllerRevision,
    /// Before the pods that it protects.
    pub network_policy: NetworkPolicy,
    /// Before the pods that it finds.
    pub service: Service,
    /// Before the pods that it guards.
    pub pdb: PodDisruptionBudget,
    /// Last: it starts pods.
    pub deployment: Deployment,
}

impl Builder<'_> {
    /// The children of a version; `number` orders it in the history.
    pub fn children(&self, version: &Version, number: i64) -> Children {
        Children {
            revision: revision::build(self, version, number),
            network_policy: network_policy::build(self, version),
            service: service::build(self, version),
            pdb: pdb::build(self, version),
            deployment: deployment::build(self, version),
        }
    }

    /// The Job that looks at the wanted source.
    pub fn prepare_job(&self) -> Job {
        job::build(self)
    }

    fn metadata(&self, name: String, labels: BTreeMap<String, String>) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: Some(self.owner.namespace.clone()),
            labels: Some(labels),
            owner_references: Some(vec![self.owner.reference.clone()]),
            ..ObjectMeta::default()
        }
    }

    /// Metadata of a child of one live version.
    fn version_metadata(&self, version: &Version) -> ObjectMeta {
        self.metadata(
            names::version_child(&self.owner.name, &version.name),
            self.serving_labels(version),
        )
    }

    fn serving_labels(&self, version: &Version) -> BTreeMap<String, String> {
        let mut labels = names::version_labels(&self.owner.name, &version.name);
        labels.insert(names::LABEL_COMPONENT.into(), names::COMPONENT_SERVE.into());
        labels
    }

    fn selector(&self, version: &Version) -> BTreeMap<String, String> {
        names::serving_selector(&self.owner.name, &version.name)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::controllers::llmmodel::testing::{report, settings, the_owner, wanted};

    fn children(spec: Value) -> Children {
        let (owner, wanted, settings) = (the_owner(), wanted(spec), settings());
        let builder = Builder {
            owner: &owner,
            wanted: &wanted,
            settings: &settings,
        };
        builder.children(&Version::new(&wanted, report()), 1)
    }

    #[rstest]
    #[case("oci", json!({"source": {"oci": {"image": "models/small:1", "pullPolicy": "Never", "pullSecrets": [{"name": "registry"}]}}}))]
    #[case("http", json!({
        "source": {"http": {"url": "https://example.com/m.gguf", "sha256": "b1".repeat(32), "headersSecretRef": {"name": "headers"}}},
        "prompt": {"system": "Price: $(COST)", "templateOverride": "{{ messages }}"},
        "resources": {"cpu": "1500m", "memory": "2Gi"},
    }))]
    #[case("claim", json!({
        "source": {"persistentVolumeClaim": {"claimName": "weights", "path": "a/b.gguf"}},
        "replicas": 2,
        "placement": {"zones": ["a", "b"], "nodeSelector": {"disk": "fast"}, "tolerations": [{"operator": "Exists"}], "priorityClassName": "high"},
        "podOverrides": {"labels": {"team": "x"}, "annotations": {"note": "y"}, "env": [{"name": "A", "value": "b"}], "serviceAccountName": "sa", "terminationGracePeriodSeconds": 90},
    }))]
    fn children_of_a_version(#[case] name: &str, #[case] spec: Value) {
        let Children {
            revision,
            network_policy,
            service,
            pdb,
            deployment,
        } = children(spec);
        let all = json!([revision, network_policy, service, pdb, deployment]);
        insta::assert_yaml_snapshot!(format!("children_{name}"), all);
    }

    #[rstest]
    #[case("oci", json!({"source": {"oci": {"image": "models/small:1", "path": "m.gguf", "pullPolicy": "Never"}}}))]
    #[case("http", json!({"source": {"http": {"url": "http://example.com:8080/m", "sha256": "b1".repeat(32)}}}))]
    #[case("claim", json!({"source": {"persistentVolumeClaim": {"claimName": "weights"}}}))]
    fn the_prepare_job(#[case] name: &str, #[case] spec: Value) {
        let (owner, wanted, settings) = (the_owner(), wanted(spec), settings());
        let builder = Builder {
            owner: &owner,
            wanted: &wanted,
            settings: &settings,
        };
        insta::assert_yaml_snapshot!(format!("job_{name}"), builder.prepare_job());
    }

    #[test]
    fn everything_has_one_owner_and_our_labels() {
        let Children {
            revision,
            network_policy,
            service,
            pdb,
            deployment,
        } = children(json!({}));
        for metadata in [
            revision.metadata,
            network_policy.metadata,
            service.metadata,
            pdb.metadata,
            deployment.metadata,
        ] {
            assert_eq!(metadata.owner_references.unwrap()[0].uid, "model-uid");
            assert_eq!(metadata.labels.unwrap()[names::LABEL_MODEL], "m");
        }
    }
}
