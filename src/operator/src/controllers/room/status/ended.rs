//! What a run over the sources leaves in the status.

use api::{RoomStatus, reasons};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use protocol::ingest::{IngestReport, IngestedSource};

use super::{number, quarantined};
use crate::controllers::room::{
    decide::{Ended, due::retry},
    outcome::Outcome,
};

/// Longest error of a source, in bytes.
const ERROR: usize = 1024;

/// Notes a run that has ended.
pub fn note(status: &mut RoomStatus, ended: &Ended, now: &Time) {
    let started = ended.started.map(Time);
    let trouble = match &ended.outcome {
        Outcome::Done(report) => {
            contents(status, report);
            let unread = sources(status, ended, report);
            status.last_sync.clone_from(&started);
            unread.map(|message| (reasons::SOURCE_FAILED.to_owned(), message, true))
        }
        Outcome::Failed(failure) => {
            let trouble = failure.trouble.clone();
            Some((trouble.reason, trouble.message, failure.retryable))
        }
        // It has not ended.
        Outcome::Underway(_) => return,
    };
    let sync = status.sync.get_or_insert_default();
    sync.run = ended.run;
    sync.started = started;
    sync.requested.clone_from(&ended.requested);
    sync.attempted.clone_from(&ended.key);
    if let Outcome::Done(_) = &ended.outcome {
        sync.published.clone_from(&ended.key);
    }
    match trouble {
        None => {
            sync.failures = 0;
            sync.retry = None;
            sync.reason = None;
            sync.message = None;
        }
        Some((reason, message, retryable)) => {
            sync.failures = sync.failures.saturating_add(1);
            sync.retry = retryable.then(|| Time(to_the_second(retry(sync.failures, now.0))));
            sync.reason = Some(reason);
            sync.message = Some(message);
        }
    }
}

fn contents(status: &mut RoomStatus, report: &IngestReport) {
    status.generation = Some(number(report.generation));
    status.documents = Some(number(report.documents));
    status.chunks = Some(number(report.chunks));
    status.quarantined = quarantined(&report.quarantined);
    if report.recall_at_10.is_some() {
        status.recall_at_10.clone_from(&report.recall_at_10);
    }
}

/// Notes what became of each source; which of those could not be read that were to be, and why.
fn sources(status: &mut RoomStatus, ended: &Ended, report: &IngestReport) -> Option<String> {
    let started = ended.started.map(Time);
    let mut unread = Vec::new();
    for row in &mut status.sources {
        let was_asked = ended.reads.contains(&row.name);
        let said = report.sources.iter().find(|said| said.name == row.name);
        if let Some(IngestedSource { documents, chunks, .. }) = said {
            row.documents = number(*documents);
            row.chunks = Some(number(*chunks));
        }
        // Of a long list the end may be missing in last words; it would be told that it was not read.
        let is_read = said.is_none_or(|said| said.read);
        let error = said.and_then(|said| said.error.clone());
        if !was_asked {
            continue;
        }
        if is_read && error.is_none() {
            row.last_sync.clone_from(&started);
            row.access_synced.clone_from(&started);
            row.error = None;
            continue;
        }
        let mut error = error
            .filter(|error| !error.is_empty())
            .unwrap_or_else(|| "it was not read".into());
        error.truncate(error.floor_char_boundary(ERROR));
        unread.push(format!("{}: {error}", row.name));
        row.error = Some(error);
    }
    (!unread.is_empty()).then(|| unread.join("; "))
}

/// Times of the API have no fractions.
pub(super) fn to_the_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
