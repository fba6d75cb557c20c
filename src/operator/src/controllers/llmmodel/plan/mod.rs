//! What is to be done: children to apply and to delete. Pure.
//!
//! ```text
//! source --prepare Job--> report --> version --children--> all replicas ready --> status.currentVersion
//!                                                             the version before: retired, then deleted
//! ```

mod cleanup;

use std::time::Duration;

use api::{names, reasons};
use k8s_openapi::{
    api::{apps::v1::Deployment, batch::v1::Job},
    jiff::Timestamp,
};
use kube::ResourceExt;

use super::{
    build::{Builder, Children},
    dereference::{Observed, version_of},
    diagnose::Asked,
    drift,
    prepare::{self, Preparation},
    trouble::Trouble,
    version::Version,
};
pub use cleanup::{Deletion, Kind};

/// How far the version that the spec asks for is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// It is known and can be rolled out.
    Known(Box<Version>),
    /// Its weights are being looked at; the trouble is that of the last attempt.
    Preparing(Option<Trouble>),
    /// There will be none until somebody changes something.
    Refused(Trouble),
}

impl Target {
    /// The version, once it is known.
    pub fn version(&self) -> Option<&Version> {
        match self {
            Self::Known(version) => Some(version),
            Self::Preparing(_) | Self::Refused(_) => None,
        }
    }
}

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The version that the spec asks for.
    pub target: Target,
    /// Children of the live versions.
    pub children: Vec<Children>,
    /// The prepare Job, as long as it is needed.
    pub job: Option<Job>,
    /// Deployments that serve no more and are to be marked so.
    pub retire: Vec<String>,
    /// Deployments that were marked so and serve again.
    pub revive: Vec<String>,
    /// What is no longer needed.
    pub delete: Vec<Deletion>,
    /// When the next retired version can go.
    pub drained_in: Option<Duration>,
}

impl Plan {
    /// Leave everything as it is.
    pub fn nothing(target: Target) -> Self {
        Self {
            target,
            children: Vec::new(),
            job: None,
            retire: Vec::new(),
            revive: Vec::new(),
            delete: Vec::new(),
            drained_in: None,
        }
    }
}

/// Decides what is to be done, given what exists and which version serves by the status.
pub fn decide(builder: &Builder<'_>, observed: &Observed, current: Option<&str>, now: Timestamp) -> Plan {
    let mut job = None;
    let target = match &builder.wanted.pin {
        Some(pin) => pinned(observed, pin),
        None => described(builder, observed, &mut job),
    };
    let mut plan = Plan {
        job,
        ..Plan::nothing(target)
    };
    let live = live_versions(builder, observed, current, &plan.target);
    let wanted = plan.target.version();
    plan.children = live
        .iter()
        .map(|version| {
            let mut children = builder.children(version, number(observed, &version.name));
            if Some(version) != wanted {
                keep_template(&mut children.deployment, observed.deployment(&version.name));
            }
            stamped(children)
        })
        .collect();
    // What serves is never given up because its snapshot is lost.
    let mut kept: Vec<&str> = live.iter().map(|version| version.name.as_str()).collect();
    kept.extend(current);
    cleanup::plan(&mut plan, builder, observed, &kept, now);
    plan
}

fn pinned(observed: &Observed, pin: &str) -> Target {
    match observed.version(pin) {
        Some(version) => Target::Known(Box::new(version)),
        None => {
            let message =
                format!("spec.version {pin} is not in status.versions: name one of these, or remove spec.version");
            Target::Refused(Trouble::new(reasons::VERSION_NOT_FOUND, message))
        }
    }
}

/// The version that the spec describes; `job` becomes the prepare Job while it is needed.
fn described(builder: &Builder<'_>, observed: &Observed, job: &mut Option<Job>) -> Target {
    let wanted = builder.wanted;
    let key = wanted.source.key();
    let known = observed
        .revisions
        .iter()
        .filter_map(Version::from_revision)
        .find(|version| version.source.key() == key);
    if let Some(version) = known {
        return Target::Known(Box::new(Version::new(wanted, version.report)));
    }
    let desired = drift::stamped(builder.prepare_job());
    let found = observed.jobs.iter().find(|job| job.name_any() == desired.name_any());
    let preparation = match found {
        // Built anew: a change of the placement or of the worker may be what it needs.
        Some(found) if !drift::same_stamp(found, &desired) => return Target::Preparing(None),
        Some(found) => {
            let asked = Asked {
                source: &wanted.source,
                worker_image: &builder.settings.worker_image,
                memory: super::build::PREPARE_MEMORY,
                cpu: &wanted.cpu,
            };
            prepare::outcome(found, &observed.pods_of_job(found), &observed.events, &asked)
        }
        None => Preparation::Underway(None),
    };
    match preparation {
        Preparation::Done(report) => {
            *job = Some(desired);
            Target::Known(Box::new(Version::new(wanted, *report)))
        }
        Preparation::Underway(trouble) => {
            *job = Some(desired);
            Target::Preparing(trouble)
        }
        Preparation::Failed(trouble) => {
            *job = Some(desired);
            Target::Refused(trouble)
        }
        Preparation::Lost => Target::Preparing(None),
    }
}

/// What serves, and what is to serve.
fn live_versions(builder: &Builder<'_>, observed: &Observed, current: Option<&str>, target: &Target) -> Vec<Version> {
    let mut live: Vec<Version> = target.version().cloned().into_iter().collect();
    let serving = current
        .filter(|name| live.iter().all(|version| version.name != **name))
        .and_then(|name| observed.version(name));
    if let Some(mut version) = serving {
        // How the source is reached follows the spec as long as it is the same place.
        if version.source.key() == builder.wanted.source.key() {
            version.source = builder.wanted.source.clone();
        }
        live.push(version);
    }
    live
}

/// The place of a version in the history.
fn number(observed: &Observed, version: &str) -> i64 {
    let known = observed
        .revisions
        .iter()
        .find(|revision| version_of(*revision) == Some(version));
    let last = observed.revisions.iter().map(|revision| revision.revision).max();
    known.map_or(last.unwrap_or(0) + 1, |revision| revision.revision)
}

/// A version that is to be replaced keeps its pods as they are, whatever the spec says now: new settings
/// are tried on the version that they come with, and pods of both would need room at the same time.
fn keep_template(desired: &mut Deployment, live: Option<&Deployment>) {
    let live = live.and_then(|live| live.spec.as_ref());
    if let (Some(desired), Some(live)) = (desired.spec.as_mut(), live) {
        desired.template = live.template.clone();
    }
}

fn stamped(children: Children) -> Children {
    let Children {
        revision,
        network_policy,
        service,
        pdb,
        deployment,
    } = children;
    Children {
        revision: drift::stamped(revision),
        network_policy: drift::stamped(network_policy),
        service: drift::stamped(service),
        pdb: drift::stamped(pdb),
        deployment: drift::stamped(deployment),
    }
}

/// Name of the Deployment of a version.
fn deployment_name(builder: &Builder<'_>, version: &str) -> String {
    names::version_child(&builder.owner.name, version)
}

#[cfg(test)]
mod tests;
