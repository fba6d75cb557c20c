//! What expires, and how.
//!
//! *Contents* expire by their age. *Rows* expire in whole blocks, each of all that a [root](super::seal) has sealed: so the
//! walk along a chain begins behind a row whose hash is a leaf of a signed root. Roots and their leaves stay, for they
//! say nothing about anybody. Contents never outlive their rows.
//!
//! Before anything goes, a row tells until where it may: up to there, [`verify`](super::verify()) misses nothing. Whoever
//! owns the tables can write such a row as well; what it says is shown to whoever verifies.
//!
//! Every replica looks after this; one at a time does.

mod contents;
mod marks;
mod rows;

use std::time::Duration;

use sqlx::{Connection, PgConnection};

use super::{
    chain::now,
    content::{KeyRing, Rewrapped, rewrap},
    evidence::{Evidence, Failed},
};
use crate::Database;
pub(super) use marks::{Marks, marks};

/// The advisory lock of whoever is about it; the number means nothing.
const LOCK: i64 = 0x6174_656c_6965_7203;

/// The first time is soon, for a process may not live long.
const FIRST: Duration = Duration::from_secs(60);

/// What can be set.
#[derive(Clone, Default)]
pub struct Settings {
    /// How old contents become. Never older than rows.
    pub content: Option<Duration>,
    /// How old rows become.
    pub metadata: Option<Duration>,
    /// Data keys are wrapped by the active one of these.
    pub keys: Option<KeyRing>,
}

/// What was done at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Contents that have expired, or that nobody could read any more.
    pub contents: u64,
    /// Rows that have expired.
    pub rows: u64,
    /// Data keys that were wrapped by other keys.
    pub rewrapped: Rewrapped,
}

/// Looks after the age of things.
pub struct Keeper {
    database: Database,
    settings: Settings,
    evidence: Evidence,
}

impl Keeper {
    /// Of what is in `database`.
    pub fn new(database: Database, settings: Settings) -> Self {
        Self {
            database,
            settings,
            evidence: Evidence::default(),
        }
    }

    /// Does what is due, `every` so often.
    pub async fn keep(mut self, every: Duration) {
        let mut pause = every.min(FIRST);
        loop {
            tokio::time::sleep(pause).await;
            pause = every;
            match self.pass(now()).await {
                Ok(None) => {}
                Ok(Some(pass)) => tell(&pass),
                Err(error) => tracing::warn!(%error, "what has expired in the audit trail cannot be removed"),
            }
        }
    }

    /// Does what is due at `now`, in microseconds since 1970; `None` if somebody else is about it.
    ///
    /// # Errors
    /// When the database is not there. What was not done is done the next time.
    pub async fn pass(&mut self, now: i64) -> Result<Option<Pass>, Failed> {
        // Held by a transaction of its own: what pools connections may give each transaction another session.
        let mut other = self.database.connect().await?;
        let mut lock = other.begin().await?;
        let is_mine: bool = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)")
            .bind(LOCK)
            .fetch_one(&mut *lock)
            .await?;
        if !is_mine {
            return Ok(None);
        }
        let mut connection = self.database.connect().await?;
        let pass = self.pass_with(&mut connection, now).await?;
        lock.rollback().await?;
        Ok(Some(pass))
    }

    async fn pass_with(&mut self, connection: &mut PgConnection, now: i64) -> Result<Pass, Failed> {
        let Settings {
            content,
            metadata,
            keys,
        } = &self.settings;
        let before = |age: Duration| now.saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX));
        let mut pass = Pass::default();
        if let Some(age) = content.iter().chain(metadata).min() {
            pass.contents += contents::expire(connection, &mut self.evidence, before(*age)).await?;
        }
        if let Some(age) = metadata {
            pass.rows = rows::expire(connection, &mut self.evidence, before(*age)).await?;
        }
        pass.contents += contents::sweep(connection, now).await?;
        if let Some(keys) = keys {
            pass.rewrapped = rewrap(connection, keys).await?;
        }
        Ok(pass)
    }
}

fn tell(pass: &Pass) {
    let Pass {
        contents,
        rows,
        rewrapped,
    } = pass;
    if contents + rows + rewrapped.done > 0 {
        tracing::info!(contents, rows, rewrapped = rewrapped.done, "the audit trail was tidied");
    }
    for (kek, keys) in &rewrapped.left {
        tracing::warn!(kek, keys, "data keys need a key-encryption key that is not there");
    }
}
