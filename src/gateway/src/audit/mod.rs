//! The audit trail of requests, written by [`store::audit`].
//!
//! [`Recorder::begin`] starts a [`Trail`] for every request of a known caller. It ends in one of two ways: the request is
//! refused, which is one row, or it is opened, which is one row before anything is asked of a model and one, by
//! [`Entry`], when the answer has ended. Requests whose caller is not known leave no row: they are counted as answers with
//! status 401, and nobody shall be able to fill the database without a name.

mod commands;
mod content;
mod entry;
mod event;
mod metrics;
mod period;
mod settings;
mod trail;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::http::HeaderMap;
use store::{
    Database,
    audit::{Log, content::KeyRing},
};

pub use commands::{Command, run as run_command};
pub use entry::Entry;
pub use event::{AskedDatabase, RoomOpening, ShadowOpening};
pub use settings::AuditArgs;
pub use trail::Trail;

use crate::identity::Identity;

/// Keeps the audit trail, if there is one.
#[derive(Clone, Default)]
pub struct Recorder(Option<Kept>);

#[derive(Clone)]
struct Kept {
    log: Arc<Log>,
    database: Database,
    keys: Option<KeyRing>,
}

/// How long the last rows of a process may take.
const DRAIN: Duration = Duration::from_secs(10);

impl Recorder {
    /// Keeps it in `log`, which writes to `database`.
    pub fn new(log: Arc<Log>, database: Database) -> Self {
        Self(Some(Kept {
            log,
            database,
            keys: None,
        }))
    }

    /// With keys by which words are kept elsewhere too, which the trail tells of when they are shown.
    #[must_use]
    pub fn with_keys(mut self, keys: Option<KeyRing>) -> Self {
        if let Some(kept) = &mut self.0 {
            kept.keys = keys;
        }
        self
    }

    /// The keys by which words are kept, if there is a trail that tells whom they are shown to.
    pub fn keys(&self) -> Option<&KeyRing> {
        self.0.as_ref()?.keys.as_ref()
    }

    /// The trail of a request of `caller` for `operation` that arrived at `received`.
    pub fn begin<'a>(
        &'a self,
        operation: &'static str,
        headers: &'a HeaderMap,
        caller: &'a Identity,
        received: Instant,
    ) -> Trail<'a> {
        let log = self.0.as_ref().map(|kept| &kept.log);
        Trail::new(log, operation, headers, caller, received)
    }

    /// Where feedback is kept, if there is a trail that it can be tied to.
    pub fn database(&self) -> Option<&Database> {
        self.0.as_ref().map(|kept| &kept.database)
    }

    /// What shows the state of the trail.
    pub fn collector(&self) -> Option<impl prometheus::core::Collector + 'static> {
        let log = &self.0.as_ref()?.log;
        Some(metrics::LogCollector::new(log.clone()))
    }

    /// Waits until every row is in the database, within bounds.
    pub async fn drain(&self) {
        if let Some(kept) = &self.0
            && !kept.log.drain(DRAIN).await
        {
            let rows = kept.log.stats().queued;
            tracing::error!(rows, "audit rows are not in the database at the end of the process");
        }
    }
}
