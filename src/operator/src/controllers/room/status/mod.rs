//! What is reported: computed from what was seen and decided, and written only when it says something new. Pure but for
//! the one write.

mod ended;
mod findings;
mod notices;
mod redteam;

use api::{
    Room, RoomStatus, conditions, names,
    room::{Quarantined, SourceStatus},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use protocol::rooms::state::State;
use serde_json::json;

use super::{
    Settings,
    decide::{Plan, Stage, redteam::Testing},
    dereference::Observed,
    validate::{Owner, Wanted},
};
use crate::{
    cluster::{Cluster, ClusterError},
    controllers::common::trouble::Trouble,
};
pub use findings::stale_at;
pub use notices::notices;

/// How far two times at which rights were read are apart that are not the same: one is told by its age.
const NEWS: SignedDuration = SignedDuration::from_secs(60);
/// Reasons for setting documents aside that are told apart.
const REASONS: usize = 32;

/// What the status is computed from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The object with its status before.
    pub room: &'a Room,
    /// Who it is.
    pub owner: &'a Owner,
    /// What its spec asks for, where that makes sense.
    pub wanted: Option<&'a Wanted>,
    /// What this installation says.
    pub settings: &'a Settings,
    /// What exists.
    pub observed: &'a Observed,
    /// What was decided.
    pub plan: &'a Plan,
    /// Why children could not be written.
    pub failure: Option<&'a Trouble>,
}

/// The status that follows from the facts.
pub fn compute(facts: &Facts<'_>, now: &Time) -> RoomStatus {
    let Facts {
        room,
        owner,
        settings,
        plan,
        observed,
        ..
    } = *facts;
    let before = room.status.clone().unwrap_or_default();
    let mut after = before.clone();
    after.observed_generation = room.metadata.generation;
    after.sources = sources(room, &before);
    if let Stage::Ended(end) = &plan.stage {
        ended::note(&mut after, end, now);
    }
    match (&room.spec.red_team, &plan.testing) {
        (None, _) => {
            after.red_team = None;
            after.detectors.clear();
        }
        (Some(_), Testing::Ended(end)) => redteam::note(&mut after, end, now),
        (Some(_), _) => {}
    }
    redteam::forget(&mut after, room);
    if let Some(state) = observed.state.as_ref().filter(|state| state.uid == owner.uid) {
        look(&mut after, state, now);
    }
    after.next_sync = plan.next.map(Time);
    after.url = Some(format!(
        "{}/v1/rooms/{}/{}",
        settings.gateway_url.trim_end_matches('/'),
        owner.namespace,
        owner.name
    ));
    let found = findings::findings(facts, &after, now);
    after.conditions = conditions::merge(&before.conditions, found, room.metadata.generation, now);
    after
}

/// Takes over what the gateway counts now: people remove documents between runs.
fn look(status: &mut RoomStatus, state: &State, now: &Time) {
    status.generation = state.generation.or(status.generation);
    status.documents = Some(number(state.documents));
    status.chunks = Some(number(state.chunks));
    let by_reason = state.quarantined.iter().map(|it| (&it.reason, &it.documents));
    status.quarantined = quarantined(by_reason);
    if let Some(recall) = state.recall_at_10 {
        status.recall_at_10 = Some(format!("{recall:.2}"));
    }
    for row in &mut status.sources {
        if let Some(database) = state.databases.iter().find(|database| database.name == row.name) {
            row.error.clone_from(&database.error);
        }
        if let Some(source) = state.sources.iter().find(|source| source.name == row.name) {
            row.documents = number(source.documents);
            let read = source.rights_age_seconds.and_then(|age| before(now, age));
            let is_news = |read: &Time| {
                let known = row.access_synced.as_ref();
                known.is_none_or(|known| read.0.duration_since(known.0).abs() > NEWS)
            };
            if let Some(read) = read.filter(is_news) {
                row.access_synced = Some(read);
            }
        }
    }
}

/// A time that is so many seconds before another one, without fractions.
fn before(now: &Time, seconds: f64) -> Option<Time> {
    let age = SignedDuration::try_from_secs_f64(seconds).ok()?;
    let time = now.0.checked_sub(age).ok()?;
    Timestamp::from_second(time.as_second()).ok().map(Time)
}

/// A row for each source of the spec, with what was known of it.
fn sources(room: &Room, before: &RoomStatus) -> Vec<SourceStatus> {
    let row = |name: &String| {
        let known = before.sources.iter().find(|row| row.name == *name).cloned();
        known.unwrap_or_else(|| SourceStatus {
            name: name.clone(),
            documents: 0,
            chunks: None,
            last_sync: None,
            access_synced: None,
            error: None,
        })
    };
    room.spec.sources.iter().map(|source| row(&source.name)).collect()
}

fn quarantined<'a>(by_reason: impl IntoIterator<Item = (&'a String, &'a u64)>) -> Vec<Quarantined> {
    let rows = by_reason
        .into_iter()
        .take(REASONS)
        .map(|(reason, documents)| Quarantined {
            reason: reason.clone(),
            documents: number(*documents),
        });
    rows.collect()
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Writes `status` if it differs from what is there; says whether it did.
///
/// # Errors
/// See [`ClusterError`].
pub async fn write(cluster: &Cluster, owner: &Owner, room: &Room, status: &RoomStatus) -> Result<bool, ClusterError> {
    if room.status.as_ref() == Some(status) {
        return Ok(false);
    }
    // The uid keeps it from a successor of the same name.
    let body = json!({
        "apiVersion": format!("{}/{}", names::GROUP, names::VERSION),
        "kind": "Room",
        "metadata": {"name": room.name_any(), "uid": owner.uid},
        "status": status,
    });
    cluster
        .apply_status::<Room>(names::FIELD_MANAGER_ROOM, &owner.namespace, &owner.name, &body)
        .await?;
    Ok(true)
}

#[cfg(test)]
mod tests;
