//! What is to be done next. Pure.
//!
//! A FineTuneJob trains once for each *key*, the digest of what changes its result. While Jobs of one key are at work,
//! a changed spec waits: it is looked at when they have ended, and then starts a training of its own.

use api::{
    FineTuneJob, FineTuneJobStatus,
    finetunejob::{DatasetStatus, OutputStatus, Phase, ReportStatus, RunStatus, TrialStatus},
    names::{self, ANNOTATION_PLAN},
    reasons,
};
use jiff::Timestamp;
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{PersistentVolumeClaim, Service},
    networking::v1::NetworkPolicy,
};
use kube::ResourceExt;
use protocol::tune::TrainReport;

use super::{
    build::{Builder, Start},
    dereference::{Base, Observed},
    outcome::{self, Cleaning, Pods, Training},
    schedule, sweep,
    validate::{Course, Role},
};
use crate::controllers::llmmodel::{prepare::ended, trouble::Trouble};

/// What is to be done, and what is true.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// How far it is.
    pub stage: Stage,
    /// Key of the training that this is about.
    pub key: Option<String>,
    /// To be there, at least as large.
    pub claim: Option<PersistentVolumeClaim>,
    /// To be there.
    pub policies: Vec<NetworkPolicy>,
    /// To be there.
    pub service: Option<Service>,
    /// To be made.
    pub jobs: Vec<Job>,
    /// Jobs whose pods are to wait, or not to wait any more.
    pub suspend: Vec<(String, bool)>,
    /// Jobs to be deleted: names and uids.
    pub delete: Vec<(String, String)>,
    /// FineTuneJobs to be made.
    pub create: Vec<FineTuneJob>,
    /// FineTuneJobs to be deleted: names and uids.
    pub delete_children: Vec<(String, String)>,
    /// The data that are learned from.
    pub dataset: Option<DatasetStatus>,
    /// What trials do.
    pub trials: Option<Vec<TrialStatus>>,
    /// What runs do.
    pub runs: Option<Vec<RunStatus>>,
    /// What a run published.
    pub output: Option<OutputStatus>,
    /// When the last run was due.
    pub last_scheduled: Option<Timestamp>,
    /// When the next one is.
    pub next_scheduled: Option<Timestamp>,
}

/// How far a FineTuneJob is.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Stage {
    /// Nothing is known.
    #[default]
    Unknown,
    /// The spec cannot be fulfilled.
    Refused(Trouble),
    /// Something has to come first.
    Waiting(Trouble),
    /// Data are read; after this trouble.
    Preparing(Option<Trouble>),
    /// The queue has not admitted it.
    Queued,
    /// `spec.suspend` is set.
    Suspended,
    /// Weights change; after this trouble.
    Training(Option<Trouble>),
    /// Trials are under way: so many of so many have ended.
    Sweeping(usize, usize),
    /// The schedule is followed; this run is under way.
    Following(Option<String>),
    /// It is over.
    Ended(End),
}

/// How a FineTuneJob ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// The result is published.
    Published(Box<TrainReport>),
    /// The gate kept it from being published.
    Rejected(Box<TrainReport>),
    /// The data are those of the run before.
    Unchanged,
    /// This trial is the best.
    Best(String, Box<OutputStatus>, Option<Box<ReportStatus>>),
    /// There is no result.
    Failed(Trouble),
    /// As the status says already.
    Known,
}

/// The plan for a FineTuneJob that this release can fulfil.
pub fn decide(builder: &Builder<'_>, observed: &Observed, status: &FineTuneJobStatus, now: Timestamp) -> Plan {
    let mut plan = Plan {
        key: Some(builder.wanted.key.clone()),
        claim: builder.owner.parent.is_none().then(|| builder.claim()),
        ..Plan::default()
    };
    plan.stage = match &builder.wanted.course {
        Course::Train => train(builder, observed, status, now, &mut plan),
        Course::Sweep(candidates) => sweep::decide(builder, observed, status, now, candidates, &mut plan),
        Course::Schedule(timetable) => schedule::decide(builder, observed, status, now, timetable, &mut plan),
    };
    plan
}

fn train(
    builder: &Builder<'_>,
    observed: &Observed,
    status: &FineTuneJobStatus,
    now: Timestamp,
    plan: &mut Plan,
) -> Stage {
    let wanted = builder.wanted;
    let under_way = under_way(builder, observed, status);
    let is_current = under_way.as_ref().is_none_or(|key| *key == wanted.key);
    if is_current {
        if let Some(known) = finished(builder, observed, status, now, plan) {
            return known;
        }
        if forget_others(builder, observed, plan) {
            return Stage::Preparing(None);
        }
    }
    plan.key = under_way.or_else(|| plan.key.take());
    let suspend = is_suspended(builder, observed);
    for job in &observed.jobs {
        let waits = job.spec.as_ref().and_then(|spec| spec.suspend).unwrap_or_default();
        let is_queued = wanted.spec.queue_name.is_some() && job.name_any() == names::train_job(&builder.owner.name);
        match (is_over(job), is_queued) {
            (true, _) => {}
            // Who admits it would let it go on: it is made anew, and goes on from its checkpoint.
            (false, true) => plan.delete.extend(suspend.then(|| identity(job))),
            (false, false) => plan
                .suspend
                .extend((waits != suspend).then(|| (job.name_any(), suspend))),
        }
    }
    let dataset = match data(builder, observed, status, suspend, plan) {
        Ok(dataset) => dataset,
        Err(stage) => return stage,
    };
    plan.dataset = Some(dataset.clone());
    if is_unchanged(builder, observed, &dataset) {
        return Stage::Ended(End::Unchanged);
    }
    match observed.job(&names::train_job(&builder.owner.name)) {
        Some(job) => training(builder, observed, job, suspend, plan),
        None => begin(builder, observed, status, suspend, plan),
    }
}

/// The key of what is at work, or has ended and is not in the status yet.
fn under_way(builder: &Builder<'_>, observed: &Observed, status: &FineTuneJobStatus) -> Option<String> {
    let of = |name: String| observed.job(&name);
    let train = of(names::train_job(&builder.owner.name)).filter(|job| {
        let is_noted = status.completed.is_some() && status.plan.as_ref() == key_of(*job);
        !is_over(job) || !is_noted
    });
    let data = || of(names::data_job(&builder.owner.name)).filter(|job| !is_over(job));
    train.or_else(data).and_then(key_of).cloned()
}

/// Whether the training of this spec is over, as the status says.
pub fn finished(
    builder: &Builder<'_>,
    observed: &Observed,
    status: &FineTuneJobStatus,
    now: Timestamp,
    plan: &mut Plan,
) -> Option<Stage> {
    let wanted = builder.wanted;
    let completed = status
        .completed
        .as_ref()
        .filter(|_| status.plan.as_ref() == Some(&wanted.key))?;
    let ttl = wanted.spec.ttl_seconds_after_finished.map(i64::from);
    let age = now.as_second().saturating_sub(completed.0.as_second());
    let is_expired = ttl.is_some_and(|ttl| age >= ttl);
    let was_rejected = status.report.as_ref().and_then(|report| report.passed) == Some(false);
    if status.phase == Some(Phase::Failed) && !was_rejected && !is_expired {
        // Somebody deleted the Job that failed: that is how it is started anew.
        let trained = matches!(wanted.course, Course::Train) && (status.dataset.is_some() || builder.owner.is_trial());
        let name = if trained { names::train_job } else { names::data_job }(&builder.owner.name);
        observed.job(&name)?;
    }
    plan.dataset.clone_from(&status.dataset);
    plan.trials = (!status.trials.is_empty()).then(|| status.trials.clone());
    if is_expired {
        plan.delete.extend(observed.jobs.iter().map(identity));
    }
    Some(Stage::Ended(End::Known))
}

/// Deletes what an earlier spec has left; whether there was anything.
pub fn forget_others(builder: &Builder<'_>, observed: &Observed, plan: &mut Plan) -> bool {
    let others = observed
        .jobs
        .iter()
        .filter(|job| key_of(*job) != Some(&builder.wanted.key));
    plan.delete.extend(others.map(identity));
    !plan.delete.is_empty()
}

/// The data that are to be learned from, or how far they are.
pub fn data(
    builder: &Builder<'_>,
    observed: &Observed,
    status: &FineTuneJobStatus,
    suspend: bool,
    plan: &mut Plan,
) -> Result<DatasetStatus, Stage> {
    if builder.owner.is_trial() {
        let of_parent = observed
            .parent
            .as_ref()
            .and_then(|it| it.status.as_ref()?.dataset.clone());
        let words = "the data of the sweep are not ready";
        return of_parent.ok_or_else(|| Stage::Waiting(Trouble::new(reasons::WAITING_FOR_PARENT, words)));
    }
    let known = || status.dataset.clone().filter(|_| status.plan == plan.key);
    let name = names::data_job(&builder.owner.name);
    let Some(job) = observed.job(&name) else {
        if let Some(known) = known() {
            return Ok(known);
        }
        if suspend {
            return Err(Stage::Suspended);
        }
        plan.policies.push(builder.data_policy());
        plan.jobs.push(builder.data_job(false));
        return Err(Stage::Preparing(None));
    };
    let pods = observed.pods_of(job);
    let asked = Pods {
        pods: &pods,
        events: &observed.events,
        image: builder.settings.data_image.as_deref().unwrap_or_default(),
        size: ("1Gi", "250m"),
    };
    match outcome::cleaning(job, asked) {
        Cleaning::Ready(report) => Ok(dataset(&report)),
        Cleaning::Failed(trouble) => Err(Stage::Ended(End::Failed(trouble))),
        Cleaning::Underway(_) if suspend => Err(Stage::Suspended),
        Cleaning::Underway(trouble) => Err(Stage::Preparing(trouble)),
        // What is there is not prepared twice: the next one only reads the report.
        Cleaning::Lost => known().ok_or_else(|| {
            plan.delete.push(identity(job));
            Stage::Preparing(None)
        }),
    }
}

fn dataset(report: &protocol::tune::DataReport) -> DatasetStatus {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    DatasetStatus {
        digest: report.digest.clone(),
        documents: number(report.parts.train),
        dropped: report
            .dropped
            .iter()
            .take(32)
            .map(|(reason, count)| (reason.clone(), number(*count)))
            .collect(),
    }
}

/// Whether a run would learn again what the last one that published has learned.
fn is_unchanged(builder: &Builder<'_>, observed: &Observed, dataset: &DatasetStatus) -> bool {
    let is_run = builder
        .owner
        .parent
        .as_ref()
        .is_some_and(|parent| parent.role == Role::Run);
    let status = observed.parent.as_ref().and_then(|parent| parent.status.as_ref());
    let Some(status) = status.filter(|_| is_run) else {
        return false;
    };
    let others = status.runs.iter().filter(|run| run.name != builder.owner.name);
    let last = others.clone().find(|run| run.output_digest.is_some());
    last.is_some_and(|run| {
        run.plan.as_ref() == Some(&builder.wanted.key) && run.dataset_digest.as_ref() == Some(&dataset.digest)
    })
}

fn begin(
    builder: &Builder<'_>,
    observed: &Observed,
    status: &FineTuneJobStatus,
    suspend: bool,
    plan: &mut Plan,
) -> Stage {
    let base = match &observed.base {
        Some(Base::Ready(version)) => version,
        Some(Base::Missing(trouble)) => return Stage::Waiting(trouble.clone()),
        None => return Stage::Training(None),
    };
    if suspend {
        return Stage::Suspended;
    }
    let of_parent = observed.parent.as_ref().and_then(|parent| parent.status.as_ref());
    let output = of_parent.unwrap_or(status).output.as_ref();
    let start = Start {
        base,
        current: output.map(|output| output.digest.as_str()),
        suspend: false,
    };
    plan.policies.push(builder.train_policy(base));
    plan.service = builder.service();
    plan.jobs.push(builder.train_job(start));
    match builder.wanted.spec.queue_name {
        Some(_) => Stage::Queued,
        None => Stage::Training(None),
    }
}

fn training(builder: &Builder<'_>, observed: &Observed, job: &Job, suspend: bool, plan: &mut Plan) -> Stage {
    let pods = observed.pods_of(job);
    let asked = Pods {
        pods: &pods,
        events: &observed.events,
        image: &builder.settings.worker_image,
        size: outcome::size(builder.wanted),
    };
    match outcome::training(job, asked) {
        Training::Published(report) => Stage::Ended(End::Published(report)),
        Training::Rejected(report) => Stage::Ended(End::Rejected(report)),
        Training::Failed(trouble) => Stage::Ended(End::Failed(trouble)),
        // The next one finds what this one has published.
        Training::Lost => {
            plan.delete.push(identity(job));
            Stage::Training(None)
        }
        Training::Underway(_) if suspend => Stage::Suspended,
        Training::Underway(trouble) => {
            let waits = job.spec.as_ref().and_then(|spec| spec.suspend).unwrap_or_default();
            match waits && builder.wanted.spec.queue_name.is_some() {
                true => Stage::Queued,
                false => Stage::Training(trouble),
            }
        }
    }
}

/// Whether pods are to stop: children stop with their parent.
pub fn is_suspended(builder: &Builder<'_>, observed: &Observed) -> bool {
    builder.wanted.spec.suspend || observed.parent.as_ref().is_some_and(|parent| parent.spec.suspend)
}

/// Whether a Job is over.
fn is_over(job: &Job) -> bool {
    ended(job, "Complete").is_some() || ended(job, "Failed").is_some()
}

/// The key that an object was made for.
pub fn key_of<K: ResourceExt>(object: &K) -> Option<&String> {
    object.annotations().get(ANNOTATION_PLAN)
}

/// Name and uid.
pub fn identity<K: ResourceExt>(object: &K) -> (String, String) {
    (object.name_any(), object.uid().unwrap_or_default())
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub mod world;
