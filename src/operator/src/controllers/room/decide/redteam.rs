//! Whether a Room is to be tested: whether what is hidden in it stays so. Pure.
//!
//! It is tested once what is to be looked for was planted, and again with each index that is published, with each change of
//! members, and by its schedule; one at a time, and never while sources are being read, for what is planted changes with
//! them. Whoever tests has its rights only as long as it does.

use std::time::Duration;

use api::{
    RoomStatus,
    names::{ANNOTATION_PLAN, redteam_job},
    room::RedTeamStatus,
};
use jiff::{Timestamp, tz::TimeZone};
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use serde_json::json;

use super::{Plan, Stage, identity, run_of};
use crate::controllers::{
    common::{canonical, dereference::pods_of, jobs::is_over, pods::Pods, trouble::Trouble},
    room::{
        build::{Builder, red_team_access, test_size},
        dereference::Observed,
        outcome::{Outcome, tested},
        validate::Tests,
    },
};

/// Least time between two runs: members are often changed one after the other.
const GATHER: Duration = Duration::from_secs(30);

/// How far attempts are to make a Room leak.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Testing {
    /// Nobody asks for any, or the spec cannot be fulfilled.
    #[default]
    Off,
    /// There is nothing yet to be looked for.
    Waiting,
    /// They are made, or about to be made again after this trouble.
    Running(Option<Trouble>),
    /// A run has ended.
    Ended(Box<Ended>),
    /// None is due.
    Idle,
}

/// A run that has ended and is not noted yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// Its number.
    pub run: i64,
    /// When it began.
    pub started: Option<Timestamp>,
    /// What it was about.
    pub key: Option<String>,
    /// What came of it.
    pub outcome: Outcome<protocol::redteam::RedTeamReport>,
}

/// What is to be done about it, given what is done about the sources.
pub fn test(
    builder: &Builder<'_>,
    observed: &Observed,
    status: &RoomStatus,
    now: Timestamp,
    plan: &mut Plan,
) -> Testing {
    let under_way: Vec<_> = observed.tests.iter().filter(|job| !is_over(job)).collect();
    let Some(wanted) = &builder.wanted.red_team else {
        plan.delete_jobs.extend(under_way.iter().map(|job| identity(*job)));
        return Testing::Off;
    };
    plan.accounts.push(builder.red_team_account());
    plan.policies.push(builder.red_team_policy());
    let noted = status.red_team.clone().unwrap_or_default();
    if let Some(ended) = ended(builder, observed, &noted) {
        return Testing::Ended(Box::new(ended));
    }
    if let Some(job) = under_way.first() {
        plan.access.push(red_team_access(builder.owner));
        return Testing::Running(trouble(builder, observed, job));
    }
    let is_planted = noted.verdict.is_some() || plan.key.is_some() && plan.key == published(status);
    let (Some(generation), true) = (status.generation, is_planted) else {
        return Testing::Waiting;
    };
    let key = key(builder, generation);
    let (is_due, next) = due(wanted, &noted, &key, now);
    plan.next_test = next;
    if !is_due || plan.stage != Stage::Idle {
        return Testing::Idle;
    }
    // More than what is noted, and than what is there: a status may have been lost.
    let last = observed.tests.iter().filter_map(|job| number(builder, job)).max();
    let run = last.unwrap_or_default().max(noted.run) + 1;
    plan.access.push(red_team_access(builder.owner));
    plan.test = Some(builder.test(run, &key));
    Testing::Running(None)
}

fn published(status: &RoomStatus) -> Option<String> {
    status.sync.as_ref()?.published.clone()
}

/// Everything whose change asks for another run.
fn key(builder: &Builder<'_>, generation: i64) -> String {
    let spec = &builder.wanted.spec;
    let suites = spec.red_team.as_ref().map(|asked| &asked.suites);
    let answers = json!([&spec.model, &spec.answer, &spec.retrieval, &spec.reranker]);
    let digest = canonical::digest(&json!([generation, &spec.members, suites, answers]), 10);
    format!("t-{digest}")
}

/// Whether a run is due, and when the next one is by itself, if none is now.
fn due(wanted: &Tests, noted: &RedTeamStatus, key: &str, now: Timestamp) -> (bool, Option<Timestamp>) {
    let started = noted.started.as_ref().map(|time| time.0);
    let latest = wanted.times.until(now, &TimeZone::UTC);
    let has_come = latest.is_some_and(|latest| started.is_none_or(|started| latest > started));
    let is_new = noted.attempted.as_deref() != Some(key);
    let retry = noted.retry.as_ref().map(|retry| retry.0);
    let gathered = started.and_then(|started| started.checked_add(GATHER).ok());
    let may_be_new = gathered.is_none_or(|gathered| gathered <= now);
    let is_due = has_come || is_new && may_be_new || retry.is_some_and(|retry| retry <= now);
    let next = wanted.times.after(now, &TimeZone::UTC);
    let times = [next, retry, gathered.filter(|_| is_new)].into_iter().flatten();
    (is_due, times.filter(|time| *time > now && !is_due).min())
}

/// The oldest run that has ended and is not noted.
fn ended(builder: &Builder<'_>, observed: &Observed, noted: &RedTeamStatus) -> Option<Ended> {
    let over = observed.tests.iter().filter(|job| is_over(job));
    let unnoted = over.filter_map(|job| Some((number(builder, job)?, job)));
    let (run, job) = unnoted
        .filter(|(run, _)| *run > noted.run)
        .min_by_key(|(run, _)| *run)?;
    Some(Ended {
        run,
        started: job.metadata.creation_timestamp.as_ref().map(|time| time.0),
        key: job.annotations().get(ANNOTATION_PLAN).cloned(),
        outcome: look(builder, observed, job),
    })
}

fn look(builder: &Builder<'_>, observed: &Observed, job: &Job) -> Outcome<protocol::redteam::RedTeamReport> {
    let pods = pods_of(&observed.pods, job);
    let asked = Pods {
        pods: &pods,
        events: &observed.events,
        image: builder.settings.common.data_image.as_deref().unwrap_or_default(),
        size: test_size(),
    };
    tested(job, asked)
}

fn trouble(builder: &Builder<'_>, observed: &Observed, job: &Job) -> Option<Trouble> {
    match look(builder, observed, job) {
        Outcome::Underway(trouble) => trouble,
        Outcome::Done(_) | Outcome::Failed(_) => None,
    }
}

/// The number of a run, by its name.
fn number(builder: &Builder<'_>, job: &Job) -> Option<i64> {
    run_of(job).filter(|run| job.name_any() == redteam_job(&builder.owner.name, *run))
}

#[cfg(test)]
mod tests;
