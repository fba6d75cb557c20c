//! What is to be done next. Pure.
//!
//! A FineTuneJob trains once for each *key*, the digest of what changes its result. While Jobs of one key are at work,
//! a changed spec waits: it is looked at when they have ended, and then starts a training of its own.

pub mod begun;
mod lost;
mod plan;

use api::{
    FineTuneJobStatus,
    finetunejob::{BaseStatus, DatasetStatus, Phase, RunStatus},
    names::{self, ANNOTATION_BASE, ANNOTATION_PLAN},
    reasons,
};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;

use super::{
    build::{Builder, QUEUE, Start, base_status},
    dereference::{Base, Observed},
    outcome::{self, Cleaning, Training},
    retention, schedule, sweep,
    validate::{Course, Role},
};
use crate::controllers::common::{jobs::is_over, pods::Pods, trouble::Trouble};
pub use plan::{End, Plan, Stage};

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
    if begun::forget_idle(builder, observed, status, plan) {
        return Stage::Preparing(None);
    }
    let under_way = under_way(builder, observed, status);
    let is_current = under_way.as_ref().is_none_or(|key| *key == wanted.key);
    if is_current {
        if let Some(known) = finished(builder, observed, status, now, plan) {
            return known;
        }
        if forget_others(builder, observed, plan) || is_tried_again(builder, observed, status, plan) {
            return Stage::Preparing(None);
        }
    }
    plan.key = under_way.or_else(|| plan.key.take());
    let suspend = is_suspended(builder, observed);
    for job in &observed.jobs {
        let waits = job.spec.as_ref().and_then(|spec| spec.suspend).unwrap_or_default();
        match (is_over(job), is_queued(job)) {
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
    if let Some(job) = observed.job(&names::train_job(&builder.owner.name)) {
        plan.base = base_of(job);
        return training(builder, observed, job, suspend, plan);
    }
    if let Some(Base::Ready(base)) = &observed.base {
        plan.base = Some(base_status(base));
    }
    if is_unchanged(builder, observed, &dataset, plan.base.as_ref()) {
        return Stage::Ended(End::Unchanged);
    }
    begin(builder, observed, status, suspend, plan)
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
    let phase = status.outcome.as_ref().map(|outcome| outcome.phase).or(status.phase);
    if phase == Some(Phase::Failed) && !was_rejected && !is_expired {
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

/// Whether a training that has failed begins again. It asks for its data once more: later runs may have removed them,
/// and those that are still there are only looked at.
fn is_tried_again(builder: &Builder<'_>, observed: &Observed, status: &FineTuneJobStatus, plan: &mut Plan) -> bool {
    let is_over = status.completed.is_some() && status.plan.as_ref() == Some(&builder.wanted.key);
    if !is_over || builder.owner.is_trial() {
        return false;
    }
    plan.delete.extend(observed.jobs.iter().map(identity));
    true
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
        plan.jobs.push(lost::noted(builder.data_job(false), status));
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
        Cleaning::Lost => known().ok_or_else(|| lost::again(job, &pods, plan, Stage::Preparing(None))),
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

/// Whether a run would do again what the last one before it did, which came to an end: with the same data, settings and
/// base it would publish, or be kept from it, once more.
fn is_unchanged(
    builder: &Builder<'_>,
    observed: &Observed,
    dataset: &DatasetStatus,
    base: Option<&BaseStatus>,
) -> bool {
    let is_run = builder
        .owner
        .parent
        .as_ref()
        .is_some_and(|parent| parent.role == Role::Run);
    let status = observed.parent.as_ref().and_then(|parent| parent.status.as_ref());
    let (Some(status), Some(base)) = (status.filter(|_| is_run), base) else {
        return false;
    };
    let own = status.runs.iter().position(|run| run.name == builder.owner.name);
    let mut before = status.runs.iter().skip(own.map_or(0, |own| own + 1));
    let ends = [reasons::PUBLISHED, reasons::GATE_FAILED, reasons::DATA_UNCHANGED];
    let has_learned = |run: &&RunStatus| {
        let reason = run.reason.as_deref();
        sweep::has_ended(run.phase) && reason.is_some_and(|reason| ends.contains(&reason))
    };
    before.find(has_learned).is_some_and(|run| {
        run.plan.as_ref() == Some(&builder.wanted.key)
            && run.dataset_digest.as_ref() == Some(&dataset.digest)
            && run.base_digest.as_ref() == Some(&base.digest)
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
    let kept = retention::kept(builder.owner, observed.parent.as_deref());
    let start = Start {
        base,
        current: output.map(|output| output.digest.as_str()),
        kept: kept.as_deref(),
        suspend: false,
    };
    plan.policies.push(builder.train_policy(base));
    plan.service = builder.service();
    plan.jobs.push(lost::noted(builder.train_job(start), status));
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
        Training::Lost => lost::again(job, &pods, plan, Stage::Training(None)),
        Training::Underway(_) if suspend => Stage::Suspended,
        Training::Underway(trouble) => {
            let waits = job.spec.as_ref().and_then(|spec| spec.suspend).unwrap_or_default();
            match waits && is_queued(job) {
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

/// Whether a queue admits a Job: the one that the Job was made for, whatever the spec says since.
fn is_queued(job: &Job) -> bool {
    job.labels().contains_key(QUEUE)
}

/// What a Job starts from.
fn base_of(job: &Job) -> Option<BaseStatus> {
    serde_json::from_str(job.annotations().get(ANNOTATION_BASE)?).ok()
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
