//! The children of an LlmModel as they should be. Pure: one file for each kind.
//!
//! ```text
//! LlmModel -+- Job                    <model>-s-<source>-prepare    until its report is in a revision
//!           +- Job                    <model>-c-<artifact>-prepare  likewise, where weights are compressed
//!           +- Job                    <model>-e-<evaluation>-evaluate until its scores are beside a revision
//!           +- PersistentVolumeClaim  <model>-c-<artifact>          as long as a version of the history needs it
//!           +- ConfigMap              <model>-adapters              while the spec has adapters
//!           +- ResourceClaimTemplate  <model>-d-<devices>           while pods claim such devices
//!           +- HTTPRoute              <model>                       with spec.route, once a version is rolled out
//!           +- for each version <model>-v-<version>:
//!              ControllerRevision    stays in the history
//!              NetworkPolicy, Service, PodDisruptionBudget, Deployment    while it is live
//!              HorizontalPodAutoscaler    likewise, with spec.autoscaling
//! ```

mod adapters;
mod claim;
pub(in crate::controllers) mod deployment;
mod devices;
mod engine;
mod evaluation;
mod hpa;
pub(in crate::controllers) mod job;
mod model_pod;
pub(in crate::controllers) mod network_policy;
mod node_cache;
mod pdb;
pub(in crate::controllers) mod pod;
mod revision;
mod route;
mod service;
mod traces;
pub(in crate::controllers) mod weights;

pub use adapters::{is_list as is_adapters, read as adapters_of};
pub use claim::report as report_of;
pub use hpa::keep_all;
pub use job::compress_memory;
pub use model_pod::memory;
pub use weights::PREPARE_MEMORY;

use std::collections::BTreeMap;

use api::{common::GatewayApiRoute, names};
use k8s_openapi::api::{
    apps::v1::{ControllerRevision, Deployment},
    autoscaling::v2::HorizontalPodAutoscaler,
    batch::v1::Job,
    core::v1::{ConfigMap, PersistentVolumeClaim, Service},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
    resource::v1::ResourceClaimTemplate,
};
use kube::api::ObjectMeta;
use protocol::PrepareReport;

use super::{
    compression::Compression,
    dereference::Observed,
    validate::{Owner, Settings, Suite, Wanted},
    version::Version,
};
use crate::http_route::HttpRoute;

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
    /// Last but for what changes it: it starts pods.
    pub deployment: Deployment,
    /// Chooses the number of pods, if anything does.
    pub hpa: Option<HorizontalPodAutoscaler>,
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
            hpa: self
                .wanted
                .autoscaling
                .as_ref()
                .map(|asked| hpa::build(self, version, asked)),
        }
    }

    /// The Job that looks at the wanted source.
    pub fn prepare_job(&self) -> Job {
        job::look(self)
    }

    /// The Job that compresses the wanted source, given what is known of it.
    pub fn compress_job(&self, compression: &Compression, source: &PrepareReport) -> Job {
        job::compress(self, compression, source)
    }

    /// The Job that evaluates a version.
    pub fn evaluation_job(&self, version: &Version, suites: &[Suite]) -> Job {
        evaluation::build(self, version, suites)
    }

    /// The claim that takes what that Job makes.
    pub fn claim(&self, compression: &Compression, source: &PrepareReport) -> PersistentVolumeClaim {
        claim::build(self, compression, source)
    }

    /// The list of the adapters that pods are to have, if there are any; what was found once is pinned.
    pub fn adapters(&self, observed: &Observed) -> Option<ConfigMap> {
        adapters::list(self, observed)
    }

    /// What pods claim their devices by, where they do.
    pub fn device_claims(&self) -> Option<ResourceClaimTemplate> {
        devices::template(self)
    }

    /// The way in beside Atelier's gateway; versions get these shares, in percent.
    pub fn route(&self, asked: &GatewayApiRoute, shares: &[(&str, i32)]) -> HttpRoute {
        route::build(self, asked, shares)
    }

    /// The snapshot of a version that is not served, or not yet.
    pub fn snapshot(&self, version: &Version, number: i64) -> ControllerRevision {
        revision::build(self, version, number)
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
mod tests;
