//! Whether sources are due. Pure.
//!
//! A run reads all sources that are due, and whenever something else asks for one. After a run that did not read all that
//! it was to, another one begins by itself after a pause that grows, unless trying again cannot help; the schedules, a
//! change of the spec and people may ask for one before.

use std::{collections::BTreeSet, time::Duration};

use api::{
    RoomStatus,
    room::{SourceStatus, SyncStatus},
};
use jiff::{SignedDuration, Timestamp};
use protocol::rooms::state::State;

use crate::controllers::room::{build::Builder, validate::Source};

/// Pause after the first failure; it doubles with each in a row.
const PAUSE: Duration = Duration::from_secs(60);
/// Longest pause.
const LONGEST: Duration = Duration::from_secs(3600);
/// Least time between two runs that uploads ask for: those that come together are read together.
const GATHER: Duration = Duration::from_secs(30);

/// How far clocks may be apart.
const MARGIN: Duration = Duration::from_secs(5);

/// What is due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Whether a run is to begin.
    pub now: bool,
    /// The sources that it is to read.
    pub read: BTreeSet<String>,
    /// When the next one is due by itself, if none is now.
    pub next: Option<Timestamp>,
}

/// What is due, where no run is under way.
pub fn due(
    builder: &Builder<'_>,
    key: &str,
    sync: &SyncStatus,
    status: &RoomStatus,
    state: Option<&State>,
    now: Timestamp,
) -> Due {
    let sources = &builder.wanted.sources;
    let requested = &builder.owner.requested;
    let is_asked = requested.is_some() && *requested != sync.requested;
    let is_changed = sync.published.as_deref() != Some(key);
    let started = sync.started.as_ref().map(|time| time.0);
    let uploaded = state.and_then(|state| later_by(now, -state.newest_upload_seconds?));
    // A run that began right after it may have looked before: clocks differ a little.
    let pending = uploaded.is_some_and(|at| started.is_none_or(|started| later(at, MARGIN) > started));
    let has_gathered = started.is_none_or(|started| later(started, GATHER) <= now);
    let read = sources.iter().filter(|source| {
        let of_uploads = source.times.is_none() && pending;
        let row = status.sources.iter().find(|row| row.name == source.spec.name);
        is_asked || is_changed || of_uploads || is_due(source, row, now)
    });
    let read: BTreeSet<_> = read.map(|source| source.spec.name.clone()).collect();
    // What has just failed does not fail again at once.
    let is_same_again = sync.failures > 0 && sync.attempted.as_deref() == Some(key) && !is_asked;
    let is_now = match is_same_again {
        true => {
            let retry = sync.retry.as_ref().is_some_and(|retry| retry.0 <= now);
            retry || sources.iter().any(|source| has_come(source, started, now))
        }
        false => {
            is_asked
                || is_changed
                || sources
                    .iter()
                    .any(|source| source.times.is_some() && read.contains(&source.spec.name))
                || (pending && has_gathered)
        }
    };
    let retry = sync.retry.as_ref().map(|retry| retry.0).filter(|_| is_same_again);
    let times = sources
        .iter()
        .filter_map(|source| source.times?.after(now, &Source::zone()));
    let gathered = started
        .map(|started| later(started, GATHER))
        .filter(|_| pending && !is_same_again);
    Due {
        now: is_now,
        next: times.chain(retry).chain(gathered).filter(|time| *time > now).min(),
        read,
    }
}

/// Whether a source is to be read again: it never was, could not be, or its time has come.
fn is_due(source: &Source, row: Option<&SourceStatus>, now: Timestamp) -> bool {
    let Some(row) = row else { return true };
    let last = row.last_sync.as_ref().map(|time| time.0);
    row.error.is_some() || last.is_none() || has_come(source, last, now)
}

/// Whether the time of a source has come since then.
fn has_come(source: &Source, since: Option<Timestamp>, now: Timestamp) -> bool {
    let latest = source.times.and_then(|times| times.until(now, &Source::zone()));
    latest.is_some_and(|latest| since.is_none_or(|since| latest > since))
}

/// When to try again after so many failures in a row.
pub fn retry(failures: i32, now: Timestamp) -> Timestamp {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or_default().min(16);
    later(now, PAUSE.saturating_mul(1 << doublings).min(LONGEST))
}

fn later_by(time: Timestamp, seconds: f64) -> Option<Timestamp> {
    time.checked_add(SignedDuration::try_from_secs_f64(seconds).ok()?).ok()
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}
