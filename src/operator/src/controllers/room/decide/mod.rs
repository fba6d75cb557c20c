//! What is to be done next. Pure.
//!
//! Members are let in, and let in no more, whatever else is the matter. Of runs over the sources there is one at a time;
//! one that reads what the spec asks for no more gives way. What a run did is noted in the status before the next one
//! begins: its number is one more than what is noted, so that no crash makes two of one. Attempts to make the Room leak are
//! counted and noted likewise ([`redteam`]).

pub mod due;
pub mod redteam;

use std::collections::BTreeSet;

use api::{
    RoomStatus,
    names::{self, ANNOTATION_PLAN, ANNOTATION_SYNC},
    room::{RoomSpec, SyncStatus},
};
use jiff::Timestamp;
use k8s_openapi::api::{batch::v1::Job, core::v1::ServiceAccount, networking::v1::NetworkPolicy};
use kube::ResourceExt;

use redteam::Testing;

use super::{
    build::{Access, Builder, Run, ingestion_access, job_size, members_access, reads},
    dereference::{Embedder, Observed},
    outcome::{self, Outcome},
    validate::{Owner, Wanted},
};
use crate::controllers::common::{canonical, dereference::pods_of, jobs::is_over, pods::Pods, trouble::Trouble};

/// Runs that are over and stay to be looked at.
const HISTORY: usize = 3;

/// What is to be done, and what is known for the status.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// How far it is.
    pub stage: Stage,
    /// Who may do what.
    pub access: Vec<Access>,
    /// Who reads the sources, and who tests the Room.
    pub accounts: Vec<ServiceAccount>,
    /// Whom those may talk to.
    pub policies: Vec<NetworkPolicy>,
    /// A run to begin.
    pub job: Option<Job>,
    /// How far attempts are to make the Room leak.
    pub testing: Testing,
    /// One to begin.
    pub test: Option<Job>,
    /// Names and uids of RoleBindings that let in those who are to stay outside.
    pub delete_bindings: Vec<(String, String)>,
    /// Likewise Roles that nobody has any more.
    pub delete_roles: Vec<(String, String)>,
    /// Likewise runs.
    pub delete_jobs: Vec<(String, String)>,
    /// Digest of what the spec asks to have in the Room.
    pub key: Option<String>,
    /// When sources are read next.
    pub next: Option<Timestamp>,
    /// When the Room is tested next.
    pub next_test: Option<Timestamp>,
}

/// How far a Room is.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Stage {
    /// The spec cannot be fulfilled.
    Refused(Trouble),
    /// There is nothing to read.
    #[default]
    Empty,
    /// What is needed to read is not there.
    Waiting(Trouble),
    /// Sources are being read, or about to be read again after this trouble.
    Reading(Option<Trouble>),
    /// A run has ended.
    Ended(Box<Ended>),
    /// Nothing is due.
    Idle,
}

/// A run that has ended and is not noted yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// Its number.
    pub run: i64,
    /// When it began.
    pub started: Option<Timestamp>,
    /// What of the spec it read.
    pub key: Option<String>,
    /// The sources that it was to read.
    pub reads: BTreeSet<String>,
    /// Whose request it answered.
    pub requested: Option<String>,
    /// What came of it.
    pub outcome: Outcome<protocol::ingest::IngestReport>,
}

/// The plan for a Room.
pub fn decide(
    owner: &Owner,
    spec: &RoomSpec,
    builder: Result<&Builder<'_>, &Trouble>,
    observed: &Observed,
    status: &RoomStatus,
    now: Timestamp,
) -> Plan {
    let mut plan = Plan {
        access: members_access(owner, &spec.members),
        ..Plan::default()
    };
    // Whoever reads goes on being who they are while a spec makes no sense for a moment.
    plan.access.push(ingestion_access(owner, &spec.embedding.name));
    plan.stage = match builder {
        Ok(builder) => read(builder, observed, status, now, &mut plan),
        Err(trouble) => Stage::Refused(trouble.clone()),
    };
    if let Ok(builder) = builder {
        plan.testing = redteam::test(builder, observed, status, now, &mut plan);
    }
    prune(observed, &mut plan);
    forget(observed, status, &mut plan);
    plan
}

fn read(builder: &Builder<'_>, observed: &Observed, status: &RoomStatus, now: Timestamp, plan: &mut Plan) -> Stage {
    plan.accounts.push(builder.account());
    plan.policies.push(builder.policy());
    let sync = status.sync.clone().unwrap_or_default();
    if let Some(ended) = ended(builder, observed, &sync) {
        return Stage::Ended(Box::new(ended));
    }
    let embedder = observed.models.embedder.as_ref();
    let key = embedder.ok().map(|embedder| key(builder.wanted, embedder));
    plan.key.clone_from(&key);
    let under_way: Vec<_> = observed.jobs.iter().filter(|job| !is_over(job)).collect();
    if let Some(job) = under_way.first() {
        // Without a model nobody knows what is wanted: it may come back.
        let is_outdated = key.is_some() && job.annotations().get(ANNOTATION_PLAN) != key.as_ref();
        if is_outdated || builder.wanted.sources.is_empty() {
            plan.delete_jobs.extend(under_way.iter().map(|job| identity(*job)));
            return Stage::Reading(None);
        }
        return Stage::Reading(trouble(builder, observed, job));
    }
    if builder.wanted.sources.is_empty() {
        return Stage::Empty;
    }
    let (embedder, key) = match (embedder, key) {
        (Ok(embedder), Some(key)) => (embedder, key),
        (Err(trouble), _) => return Stage::Waiting(trouble.clone()),
        (Ok(_), None) => return Stage::Idle,
    };
    let due = due::due(builder, &key, &sync, status, observed.state.as_ref(), now);
    plan.next = due.next;
    if !due.now {
        return Stage::Idle;
    }
    plan.job = Some(begin(builder, observed, &sync, embedder, &key, &due.read));
    Stage::Reading(None)
}

fn begin(
    builder: &Builder<'_>,
    observed: &Observed,
    sync: &SyncStatus,
    embedder: &Embedder,
    key: &str,
    read: &BTreeSet<String>,
) -> Job {
    // More than what is noted, and than what is there: a status may have been lost.
    let last = observed.jobs.iter().filter_map(|job| number(builder.owner, job)).max();
    builder.job(Run {
        number: last.unwrap_or_default().max(sync.run) + 1,
        key,
        read,
        embedder,
    })
}

/// Everything that the contents of the Room follow from.
fn key(wanted: &Wanted, embedder: &Embedder) -> String {
    let digest = canonical::digest(&[&wanted.key, &embedder.model, &embedder.digest], 10);
    format!("p-{digest}")
}

/// The oldest run that has ended and is not noted.
fn ended(builder: &Builder<'_>, observed: &Observed, sync: &SyncStatus) -> Option<Ended> {
    let over = observed.jobs.iter().filter(|job| is_over(job));
    let unnoted = over.filter_map(|job| Some((number(builder.owner, job)?, job)));
    let (run, job) = unnoted.filter(|(run, _)| *run > sync.run).min_by_key(|(run, _)| *run)?;
    let started = job.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let note = |annotation: &str| job.annotations().get(annotation).cloned();
    Some(Ended {
        run,
        started,
        key: note(ANNOTATION_PLAN),
        requested: note(ANNOTATION_SYNC),
        reads: reads(job),
        outcome: look(builder, observed, job),
    })
}

fn look(builder: &Builder<'_>, observed: &Observed, job: &Job) -> Outcome<protocol::ingest::IngestReport> {
    let pods = pods_of(&observed.pods, job);
    let asked = Pods {
        pods: &pods,
        events: &observed.events,
        image: builder.settings.common.data_image.as_deref().unwrap_or_default(),
        size: job_size(),
    };
    outcome::outcome(job, asked)
}

fn trouble(builder: &Builder<'_>, observed: &Observed, job: &Job) -> Option<Trouble> {
    match look(builder, observed, job) {
        Outcome::Underway(trouble) => trouble,
        Outcome::Done(_) | Outcome::Failed(_) => None,
    }
}

/// Lets nobody in whom the spec does not name.
fn prune(observed: &Observed, plan: &mut Plan) {
    let wanted: BTreeSet<_> = plan.access.iter().map(|access| access.role.name_any()).collect();
    let is_left = |name: String| !wanted.contains(&name);
    let bindings = observed.bindings.iter().filter(|it| is_left(it.name_any()));
    plan.delete_bindings.extend(bindings.map(identity));
    let roles = observed.roles.iter().filter(|it| is_left(it.name_any()));
    plan.delete_roles.extend(roles.map(identity));
}

/// Deletes runs that were noted and that nobody looks at any more.
fn forget(observed: &Observed, status: &RoomStatus, plan: &mut Plan) {
    let synced = status.sync.as_ref().map_or(0, |sync| sync.run);
    let tested = status.red_team.as_ref().map_or(0, |tests| tests.run);
    for (jobs, noted) in [(&observed.jobs, synced), (&observed.tests, tested)] {
        plan.delete_jobs.extend(old(jobs, noted));
    }
}

fn old(jobs: &[Job], noted: i64) -> Vec<(String, String)> {
    let over = jobs.iter().filter(|job| is_over(job));
    let mut over: Vec<_> = over.filter_map(|job| Some((run_of(job)?, job))).collect();
    over.sort_by_key(|(run, _)| std::cmp::Reverse(*run));
    let old = over.iter().skip(HISTORY).filter(|(run, _)| *run <= noted);
    old.map(|(_, job)| identity(*job)).collect()
}

/// The number of a run, by its name.
fn number(owner: &Owner, job: &Job) -> Option<i64> {
    run_of(job).filter(|run| job.name_any() == names::ingest_job(&owner.name, *run))
}

fn run_of(job: &Job) -> Option<i64> {
    job.name_any().rsplit_once('-')?.1.parse().ok()
}

/// Name and uid.
fn identity<K: ResourceExt>(object: &K) -> (String, String) {
    (object.name_any(), object.uid().unwrap_or_default())
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub mod world;
