//! The children of a FineTuneJob as they should be. Pure: one file for each subject.
//!
//! ```text
//! FineTuneJob -+- PersistentVolumeClaim  <job>-tune       data, checkpoints and outputs; its children use it, too
//!              +- NetworkPolicy, Job     <job>-data       reads and cleans the data; not for trials
//!              +- NetworkPolicy, Job     <job>-train      trains; not where children do
//!              +- Service                <job>-train      with several pods: how they find each other
//!              +- FineTuneJob            <job>-t<number>  trials of a sweep
//!              +- FineTuneJob            <job>-<time>     runs of a schedule
//! ```

mod children;
mod claim;
mod data_job;
mod job;
pub mod memory;
mod network_policy;
mod plans;
mod service;
mod sources;
mod train_job;

pub use claim::is_large_enough;
pub use job::QUEUE;
pub use train_job::status as base_status;

use std::collections::BTreeMap;

use api::{FineTuneJob, names};
use jiff::Timestamp;
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{PersistentVolumeClaim, Service},
    networking::v1::NetworkPolicy,
};
use kube::api::ObjectMeta;

use super::{
    sweep::Candidate,
    validate::{Owner, Wanted},
};
use crate::controllers::llmmodel::{validate::Settings, version::Version};

/// What every builder may look at.
#[derive(Clone, Copy)]
pub struct Builder<'a> {
    /// The FineTuneJob.
    pub owner: &'a Owner,
    /// What its spec asks for.
    pub wanted: &'a Wanted,
    /// What this installation says.
    pub settings: &'a Settings,
}

/// What a training starts from.
#[derive(Clone, Copy)]
pub struct Start<'a> {
    /// The base, or the model whose tokenizer is used.
    pub base: &'a Version,
    /// Digest of what was published last, for gates that compare with it.
    pub current: Option<&'a str>,
    /// The runs or trials before it that stay on the volume; nothing is removed where this is nothing.
    pub kept: Option<&'a [String]>,
    /// Whether pods wait.
    pub suspend: bool,
}

impl Builder<'_> {
    /// The volume.
    pub fn claim(&self) -> PersistentVolumeClaim {
        claim::build(self)
    }

    /// The Job that reads and cleans the data.
    pub fn data_job(&self, suspend: bool) -> Job {
        data_job::build(self, suspend)
    }

    /// Whom its pods may talk to.
    pub fn data_policy(&self) -> NetworkPolicy {
        network_policy::data(self)
    }

    /// The Job that trains.
    pub fn train_job(&self, start: Start<'_>) -> Job {
        train_job::build(self, start)
    }

    /// Whom its pods may talk to.
    pub fn train_policy(&self, base: &Version) -> NetworkPolicy {
        network_policy::train(self, base)
    }

    /// How its pods find each other, if there are several.
    pub fn service(&self) -> Option<Service> {
        (self.wanted.members > 1).then(|| service::build(self))
    }

    /// A trial of the sweep.
    ///
    /// # Errors
    /// When its settings do not go with the spec; validation has ruled that out.
    pub fn trial(&self, number: usize, candidate: &Candidate) -> Result<FineTuneJob, String> {
        children::trial(self, number, candidate)
    }

    /// A run of the schedule.
    pub fn run(&self, scheduled: Timestamp) -> FineTuneJob {
        children::run(self, scheduled)
    }

    /// Name of the claim.
    pub fn volume(&self) -> String {
        names::tune_claim(self.owner.root())
    }

    fn metadata(&self, name: String, component: &str) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: Some(self.owner.namespace.clone()),
            labels: Some(self.labels(component)),
            owner_references: Some(vec![self.owner.reference.clone()]),
            ..ObjectMeta::default()
        }
    }

    fn labels(&self, component: &str) -> BTreeMap<String, String> {
        let mut labels = names::job_labels(&self.owner.name);
        labels.insert(names::LABEL_COMPONENT.into(), component.into());
        labels
    }

    /// Labels that only pods of this step have.
    fn selector(&self, component: &str) -> BTreeMap<String, String> {
        [
            (names::LABEL_JOB, self.owner.name.as_str()),
            (names::LABEL_COMPONENT, component),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
    }
}

#[cfg(test)]
mod tests;
