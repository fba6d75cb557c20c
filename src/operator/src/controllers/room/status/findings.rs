//! The conditions of a Room.

use api::{
    RoomStatus,
    conditions::{Finding, Status, types},
    reasons,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Facts, redteam};
use crate::controllers::{
    common::trouble::Trouble,
    room::{decide::Stage, validate::Wanted},
};

/// What is true now.
pub fn findings(facts: &Facts<'_>, after: &RoomStatus, now: &Time) -> Vec<Finding> {
    let synced = synced(facts, after);
    let access = access(facts, after, now);
    let passed = redteam::passed(facts.room, after, &facts.plan.testing);
    let ready = ready(facts, after, &synced, [access.as_ref(), passed.as_ref()]);
    let mut list = vec![ready, synced];
    list.extend(access);
    list.extend(passed);
    if facts.owner.paused {
        list.push(Finding::new(
            types::PAUSED,
            true,
            reasons::PAUSED,
            "the annotation atelier.dev/paused is \"true\": members stay who they were, and no sources are read",
        ));
    }
    list
}

fn ready(facts: &Facts<'_>, after: &RoomStatus, synced: &Finding, [access, passed]: [Option<&Finding>; 2]) -> Finding {
    let not = |trouble: &Trouble| Finding::new(types::READY, false, &trouble.reason, &trouble.message);
    if let Some(failure) = facts.failure {
        return not(failure);
    }
    if let Stage::Refused(trouble) = &facts.plan.stage {
        return not(trouble);
    }
    if let Err(trouble) = &facts.observed.models.embedder {
        return not(trouble);
    }
    if let Some(trouble) = &facts.observed.models.others {
        return not(trouble);
    }
    let databases = databases(facts, after);
    if let Some(Err(trouble)) = &databases
        && facts.wanted.is_some_and(|wanted| wanted.sources.is_empty())
    {
        return not(trouble);
    }
    if after.generation.is_none() && databases.is_none() {
        let reason = match synced.reason.as_str() {
            reasons::NO_SOURCES => reasons::NO_SOURCES,
            _ => reasons::NOTHING_INDEXED,
        };
        let message = format!("nothing can be found yet: {}", synced.message);
        return Finding::new(types::READY, false, reason, message);
    }
    if let Some(stale) = access.filter(|access| access.reason == reasons::ACCESS_STALE) {
        return Finding::new(types::READY, false, &stale.reason, &stale.message);
    }
    if let Some(untested) = passed.filter(|passed| passed.status != Status::True) {
        return Finding::new(types::READY, false, &untested.reason, &untested.message);
    }
    let message = match (after.generation, facts.room.spec.model.is_some()) {
        (None, _) => "members can ask its databases; there are no documents yet",
        (Some(_), true) => "members can search it and ask",
        (Some(_), false) => "members can search it",
    };
    let message = match databases {
        Some(Err(trouble)) => format!("{message}; a database cannot be asked: {}", trouble.message),
        Some(Ok(())) | None => message.to_owned(),
    };
    Finding::new(types::READY, true, reasons::OPEN, message)
}

/// Whether databases can be asked, where there are some: what is wrong with those that cannot. What nobody has looked at yet
/// is taken for good.
fn databases(facts: &Facts<'_>, after: &RoomStatus) -> Option<Result<(), Trouble>> {
    let wanted = facts.wanted.filter(|wanted| !wanted.databases.is_empty())?;
    let is_database = |name: &String| wanted.databases.contains(name);
    let rows = after.sources.iter().filter(|row| is_database(&row.name));
    let errors: Vec<_> = rows.filter_map(|row| row.error.as_deref()).collect();
    Some(match errors.is_empty() {
        true => Ok(()),
        false => Err(Trouble::new(reasons::DATABASE_UNAVAILABLE, errors.join("; "))),
    })
}

fn synced(facts: &Facts<'_>, after: &RoomStatus) -> Finding {
    let finding = |status: bool, reason: &str, message: &str| Finding::new(types::SYNCED, status, reason, message);
    let sync = after.sync.clone().unwrap_or_default();
    let failed = || {
        let reason = sync.reason.as_deref().unwrap_or(reasons::SYNC_FAILED);
        let message = sync.message.as_deref().unwrap_or_default();
        let again = match &sync.retry {
            Some(retry) => format!("it is tried again at {}", retry.0),
            None => "trying again does not help: change the spec or the source, and set the annotation \
                     atelier.dev/sync to another value than before"
                .into(),
        };
        finding(false, reason, &format!("{message}; {again}"))
    };
    let is_current = sync.failures == 0 && sync.published.is_some() && sync.published == facts.plan.key;
    match &facts.plan.stage {
        Stage::Refused(trouble) | Stage::Waiting(trouble) => finding(false, &trouble.reason, &trouble.message),
        Stage::Empty => finding(true, reasons::NO_SOURCES, "spec.sources has nothing to read"),
        Stage::Reading(Some(trouble)) => {
            let message = format!(
                "sources are being read; the last attempt is in trouble: {}",
                trouble.message
            );
            finding(is_current, &trouble.reason, &message)
        }
        // That they are read again says nothing against what was read before.
        Stage::Reading(None) | Stage::Idle | Stage::Ended(_) if is_current => {
            finding(true, reasons::SYNCED, "all sources were read")
        }
        Stage::Idle | Stage::Ended(_) | Stage::Reading(None) if sync.failures > 0 => failed(),
        Stage::Ended(_) => finding(true, reasons::SYNCED, "all sources were read"),
        Stage::Reading(None) | Stage::Idle => finding(false, reasons::SYNCING, "sources are being read"),
    }
}

/// Whether rights are as fresh as they are to be; nothing while none have been read.
fn access(facts: &Facts<'_>, after: &RoomStatus, now: &Time) -> Option<Finding> {
    let wanted = facts.wanted?;
    let stale: Vec<_> = ages(wanted, after)
        .filter(|(_, until)| *until <= now.0)
        .map(|(name, _)| name)
        .collect();
    if !stale.is_empty() {
        let longest = wanted
            .spec
            .access
            .as_ref()
            .and_then(|access| access.max_staleness.as_deref());
        let message = format!(
            "rights of {} were read longer ago than {}: nobody is let in until they are read again",
            stale.join(", "),
            longest.unwrap_or("1d, the default of spec.access.maxStaleness"),
        );
        return Some(Finding::new(
            types::ACCESS_SYNCED,
            false,
            reasons::ACCESS_STALE,
            message,
        ));
    }
    after.generation?;
    let message = "rights of all sources are as fresh as spec.access.maxStaleness asks";
    Some(Finding::new(
        types::ACCESS_SYNCED,
        true,
        reasons::ACCESS_SYNCED,
        message,
    ))
}

/// When the rights of sources that were read will be too old. What people bring has no other rights than those they give.
fn ages<'a>(wanted: &'a Wanted, status: &'a RoomStatus) -> impl Iterator<Item = (&'a str, Timestamp)> {
    let timed = wanted.sources.iter().filter(|source| source.times.is_some());
    timed.filter_map(|source| {
        let row = status.sources.iter().find(|row| row.name == source.spec.name)?;
        let read = row.access_synced.as_ref()?.0;
        let until = read.checked_add(wanted.max_staleness).unwrap_or(Timestamp::MAX);
        Some((source.spec.name.as_str(), until))
    })
}

/// When rights of the next source will be too old.
pub fn stale_at(wanted: &Wanted, status: &RoomStatus, now: Timestamp) -> Option<Timestamp> {
    ages(wanted, status)
        .map(|(_, until)| until)
        .filter(|until| *until > now)
        .min()
}
