//! What is to be done: children to apply and to delete. Pure.
//!
//! ```text
//! source --prepare Job--> report --> version --evaluate Job, canary--> children --> all replicas ready --> status.currentVersion
//!                           |           ^                        the version before: retired, then deleted
//!                           +--compress Job--> worse than allowed: rejected, with a snapshot of the evidence
//! ```

mod autoscaling;
mod canary;
mod cleanup;
mod evaluation;
mod memory;
mod recreate;
mod route;
mod shadow;
mod target;

use std::time::Duration;

use api::{
    LlmModelStatus, ShadowDeployment,
    llmmodel::{CanaryStatus, RolloutStrategy},
    names,
};
use k8s_openapi::{
    api::{
        apps::v1::{ControllerRevision, Deployment},
        batch::v1::Job,
        core::v1::{ConfigMap, PersistentVolumeClaim},
        resource::v1::ResourceClaimTemplate,
    },
    jiff::Timestamp,
};

use super::{
    adapters::{self, Nudge},
    build::{self, Builder, Children},
    dereference::{Observed, version_of},
    drift, status,
    trouble::Trouble,
    version::Version,
};
use crate::http_route::HttpRoute;
pub use canary::Course;
pub use cleanup::{Deletion, Kind};
pub use evaluation::Scores;
pub use memory::{Growth, Resize};

/// How far the version that the spec asks for is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// It is known and can be rolled out.
    Known(Box<Version>),
    /// It is asked questions with known answers; the trouble is that of the last attempt.
    Evaluating(Box<Version>, Option<Trouble>),
    /// Its weights are being looked at or compressed; the trouble is that of the last attempt.
    Preparing(Option<Trouble>),
    /// There will be none until somebody changes something.
    Refused(Trouble),
}

impl Target {
    /// The version, once it may be rolled out.
    pub fn version(&self) -> Option<&Version> {
        match self {
            Self::Known(version) => Some(version),
            Self::Evaluating(..) | Self::Preparing(_) | Self::Refused(_) => None,
        }
    }

    /// The version, once it is known.
    pub fn candidate(&self) -> Option<&Version> {
        match self {
            Self::Known(version) | Self::Evaluating(version, _) => Some(version),
            Self::Preparing(_) | Self::Refused(_) => None,
        }
    }
}

/// What weights that are being prepared are at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Step {
    /// They are fetched and verified.
    #[default]
    Verify,
    /// They are compressed.
    Compress,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The version that the spec asks for.
    pub target: Target,
    /// What its weights are at, while they are being prepared.
    pub step: Step,
    /// Children of the live versions.
    pub children: Vec<Children>,
    /// The Jobs that prepare, as long as they are needed.
    pub jobs: Vec<Job>,
    /// Claims to create.
    pub claims: Vec<PersistentVolumeClaim>,
    /// What pods claim their devices by.
    pub device_claims: Option<ResourceClaimTemplate>,
    /// The adapters that pods are to have.
    pub adapters: Option<ConfigMap>,
    /// Pods that are to look at them now.
    pub nudges: Vec<Nudge>,
    /// The way in beside Atelier's gateway.
    pub route: Option<HttpRoute>,
    /// How the trial of the version that the spec asks for goes on, where it has one.
    pub trial: Option<Course>,
    /// The comparison that `rollout.gates.shadow` asks for, if there is none yet.
    pub comparison: Option<ShadowDeployment>,
    /// Snapshot of a version that was just rejected, or is evaluated before it serves.
    pub snapshot: Option<ControllerRevision>,
    /// Scores that were just learned.
    pub scores: Vec<Scores>,
    /// What replicas of a version get instead of the estimate, where that was just found to be too little.
    pub growths: Vec<(String, Growth)>,
    /// Pods that get more memory where they run.
    pub resizes: Vec<Resize>,
    /// The version that did not score enough.
    pub refused: Option<String>,
    /// Deployments that serve no more and are to be marked so.
    pub retire: Vec<String>,
    /// Deployments that were marked so and serve again.
    pub revive: Vec<String>,
    /// What is no longer needed.
    pub delete: Vec<Deletion>,
    /// When the next retired version can go.
    pub drained_in: Option<Duration>,
    /// When to look again, where no watch tells of what the number of replicas depends on.
    pub look_in: Option<Duration>,
}

impl Plan {
    /// Leave nothing but the history.
    pub fn clear(observed: &Observed) -> Self {
        let mut plan = Self::nothing(Target::Preparing(None));
        cleanup::clear(&mut plan, observed);
        plan
    }

    /// Leave everything as it is.
    pub fn nothing(target: Target) -> Self {
        Self {
            target,
            step: Step::default(),
            children: Vec::new(),
            jobs: Vec::new(),
            claims: Vec::new(),
            device_claims: None,
            adapters: None,
            nudges: Vec::new(),
            route: None,
            trial: None,
            comparison: None,
            snapshot: None,
            scores: Vec::new(),
            growths: Vec::new(),
            resizes: Vec::new(),
            refused: None,
            retire: Vec::new(),
            revive: Vec::new(),
            delete: Vec::new(),
            drained_in: None,
            look_in: None,
        }
    }
}

impl Plan {
    /// Whether the version that the spec asks for may take over as soon as it is ready.
    pub fn may_take_over(&self) -> bool {
        matches!(self.trial, None | Some(Course::Over))
    }

    /// The share of the version on trial, given what it was `before` and which version serves.
    pub fn canary(&self, before: Option<&CanaryStatus>, current: Option<&str>) -> Option<CanaryStatus> {
        match &self.trial {
            Some(Course::On(canary, ..)) => Some(canary.clone()),
            // Until it has taken over it keeps its share: replicas may be lost at the last moment.
            Some(Course::Over) => before.filter(|it| Some(it.version.as_str()) != current).cloned(),
            Some(Course::Shadowing(..) | Course::Starting | Course::Stopped(_)) | None => None,
        }
    }
}

/// Decides what is to be done, given what exists and what the status says serves.
pub fn decide(builder: &Builder<'_>, observed: &Observed, status: Option<&LlmModelStatus>, now: Timestamp) -> Plan {
    let current = status.and_then(|status| status.current_version.as_deref());
    let mut plan = target::plan(builder, observed);
    let target = std::mem::replace(&mut plan.target, Target::Preparing(None));
    plan.target = evaluation::gated(target, builder, observed, current, &mut plan);
    plan.device_claims = plan
        .target
        .candidate()
        .and_then(|_| builder.device_claims())
        .map(drift::stamped);
    with_adapters(&mut plan, builder, observed);
    plan.trial = trial(builder, observed, status, &mut plan, now);
    route::plan(&mut plan, builder, observed, status);
    let live = live_versions(builder, observed, current, &plan.target);
    let wanted = plan.target.version();
    plan.children = live
        .iter()
        .map(|version| {
            let mut children = builder.children(version, number(observed, &version.name));
            if Some(version) != wanted {
                keep_template(&mut children.deployment, observed.deployment(&version.name));
            }
            children
        })
        .collect();
    let wanted = wanted.map(|version| version.name.clone());
    memory::plan(&mut plan, builder, observed, &live);
    autoscaling::plan(&mut plan, builder, observed, current, now);
    if let (RolloutStrategy::Recreate, Some(target)) = (builder.wanted.strategy, &wanted) {
        recreate::one_at_a_time(&mut plan.children, target, observed);
    }
    let children = plan.children.into_iter();
    plan.children = children.map(|children| stamped(children, observed)).collect();
    // What serves is never given up because its snapshot is lost.
    let mut kept: Vec<&str> = live.iter().map(|version| version.name.as_str()).collect();
    kept.extend(current);
    cleanup::plan(&mut plan, builder, observed, &kept, now);
    plan
}

/// Which adapters pods are to have, and who has not heard of it yet.
fn with_adapters(plan: &mut Plan, builder: &Builder<'_>, observed: &Observed) {
    plan.adapters = builder.adapters(observed).map(drift::stamped);
    let id = plan.adapters.as_ref().and_then(build::adapters_of).map(|list| list.id);
    plan.nudges = adapters::nudges(observed, id.as_deref(), !observed.config_maps.is_empty());
}

/// How the trial of the wanted version goes on. The first version has nobody to be compared with, and one
/// that a person named needs none.
fn trial(
    builder: &Builder<'_>,
    observed: &Observed,
    status: Option<&LlmModelStatus>,
    plan: &mut Plan,
    now: Timestamp,
) -> Option<Course> {
    let target = plan.target.clone();
    let version = target.version()?.name.as_str();
    let current = status?.current_version.as_deref()?;
    if version == current || builder.wanted.pin.is_some() {
        return None;
    }
    let is_begun = status?.canary.as_ref().is_some_and(|canary| canary.version == version);
    match shadow::word(builder, observed, &target, is_begun, plan) {
        shadow::Word::Held(course) => return Some(course),
        shadow::Word::TakesOver => return None,
        shadow::Word::GoesOn => {}
    }
    let canary = builder.wanted.canary.as_ref()?;
    let trial = canary::Trial {
        owner: builder.owner,
        canary,
        version,
        before: status?.canary.as_ref(),
        is_ready: status::replicas(observed.deployment(version)).complete,
        traffic: canary::told(observed.traffic.as_ref()),
    };
    Some(canary::course(&trial, now))
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
    let compared = shadow::compared(builder, observed, &live);
    live.extend(compared);
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

fn stamped(children: Children, observed: &Observed) -> Children {
    let Children {
        revision,
        network_policy,
        service,
        pdb,
        deployment,
        hpa,
    } = children;
    let live = version_of(&deployment).and_then(|version| observed.deployment(version));
    Children {
        revision: drift::stamped(revision),
        network_policy: drift::stamped(network_policy),
        service: drift::stamped(service),
        pdb: drift::stamped(pdb),
        deployment: match &hpa {
            Some(_) => autoscaling::stamped(deployment, live),
            None => drift::stamped(deployment),
        },
        hpa: hpa.map(drift::stamped),
    }
}

/// Name of the Deployment of a version.
fn deployment_name(builder: &Builder<'_>, version: &str) -> String {
    names::version_child(&builder.owner.name, version)
}

#[cfg(test)]
mod tests;
