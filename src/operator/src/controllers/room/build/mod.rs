//! The children of a Room as they should be. Pure: one file for each subject.
//!
//! ```text
//! Room -+- Role, RoleBinding       <room>-room-<role>    for each role that has members
//!       +- ServiceAccount,
//!       |  Role, RoleBinding,
//!       |  NetworkPolicy           <room>-room-ingest    what reads the sources: who it is, what it may, whom it asks
//!       +- Job                     <room>-ingest-<run>   reads them once
//!       +- ServiceAccount,
//!       |  Role, RoleBinding,
//!       |  NetworkPolicy           <room>-room-redteam   what tries to make the Room leak; its rights are there while it does
//!       +- Job                     <room>-redteam-<run>  tries it once
//! ```

mod identity;
mod job;
mod members;
mod network_policy;
mod plan;
mod redteam;
mod sources;

use std::collections::{BTreeMap, BTreeSet};

use api::names;
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::ServiceAccount,
    networking::v1::NetworkPolicy,
    rbac::v1::{Role, RoleBinding},
};
use kube::api::ObjectMeta;

pub use identity::{ingestion as ingestion_access, red_team as red_team_access};
pub use job::size as job_size;
pub use members::members as members_access;
pub use plan::reads;
pub use redteam::size as test_size;

use super::{
    Settings,
    dereference::Embedder,
    validate::{Owner, Wanted},
};

/// What somebody may do, and who.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// What.
    pub role: Role,
    /// Who.
    pub binding: RoleBinding,
}

/// What every builder may look at.
#[derive(Clone, Copy)]
pub struct Builder<'a> {
    /// The Room.
    pub owner: &'a Owner,
    /// What its spec asks for.
    pub wanted: &'a Wanted,
    /// What this installation says.
    pub settings: &'a Settings,
    /// Certificates in PEM that vouch for the gateway, beside the usual ones.
    pub ca: Option<&'a str>,
}

/// A run over the sources.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// Its number.
    pub number: i64,
    /// What of the spec it reads, and by which model.
    pub key: &'a str,
    /// The sources that it reads; the others stay as they are.
    pub read: &'a BTreeSet<String>,
    /// What turns text into vectors.
    pub embedder: &'a Embedder,
}

impl Builder<'_> {
    /// Who reads the sources.
    pub fn account(&self) -> ServiceAccount {
        identity::ingestion_account(self.owner)
    }

    /// Who tests the Room.
    pub fn red_team_account(&self) -> ServiceAccount {
        identity::red_team_account(self.owner)
    }

    /// Whom its pods may talk to.
    pub fn policy(&self) -> NetworkPolicy {
        network_policy::build(self)
    }

    /// Whom the pods that test the Room may talk to.
    pub fn red_team_policy(&self) -> NetworkPolicy {
        network_policy::red_team(self)
    }

    /// The Job that tests the Room for the `run`th time, with the digest of what it is about.
    pub fn test(&self, run: i64, key: &str) -> Job {
        redteam::build(self, run, key)
    }

    /// The Job that reads the sources.
    pub fn job(&self, run: Run<'_>) -> Job {
        job::build(self, run)
    }
}

fn metadata(owner: &Owner, name: String, component: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(owner.namespace.clone()),
        labels: Some(labels(owner, component)),
        owner_references: Some(vec![owner.reference.clone()]),
        ..ObjectMeta::default()
    }
}

fn labels(owner: &Owner, component: &str) -> BTreeMap<String, String> {
    let mut labels = names::room_labels(&owner.name);
    labels.insert(names::LABEL_COMPONENT.into(), component.into());
    labels
}

#[cfg(test)]
mod tests;
