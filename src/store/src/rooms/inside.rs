//! What a transaction finds inside a Room, held against the grant row by row.

use std::time::Duration;

use rooms::{Acl, Clearance, Grant, Verb};
use sqlx::{Postgres, Row as _, Transaction, postgres::PgRow};

use super::enter::{Access, Purpose, Sees, enter};
use super::error::{Disagreement, Error};
use super::limits::HIGHEST;
use crate::Database;

/// How things stand in a Room.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Head {
    /// The generation that answers; none before the first one is published.
    pub live: Option<i64>,
    /// Grows with each deletion and each change of rights.
    pub revision: i64,
    /// How long ago rights were read from the source that is longest ago, by the clock of the database. None if there is
    /// a source of which they never were. Whoever knows the Room's limit has to refuse past it.
    pub rights_age: Option<Duration>,
}

/// A transaction that is inside.
pub(super) struct Inside<'c> {
    pub transaction: Transaction<'c, Postgres>,
    pub room: i32,
    pub head: Head,
    /// Of some deletions up to this revision nothing is known any more.
    pub forgotten: i64,
    pub uid: String,
}

pub(super) fn age(row: &PgRow) -> Result<Option<Duration>, Error> {
    let seconds: Option<f64> = row.try_get("rights_age")?;
    // A clock that was set back makes none negative.
    Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()))
}

impl Inside<'_> {
    /// The third net, for a row that belongs to the Room.
    pub fn own(&self, row: &PgRow, what: &'static str, id: i64) -> Result<(), Error> {
        if row.try_get::<i32, _>("room")? == self.room {
            Ok(())
        } else {
            Err(self.disagree(what, id))
        }
    }

    /// The third net, for a row that somebody is to see: it has `room`, `clearance` and `acl` of its document.
    pub fn seen(&self, grant: &Grant, row: &PgRow, what: &'static str, id: i64) -> Result<(Clearance, Acl), Error> {
        self.own(row, what, id)?;
        let (clearance, acl) = rights(row)?;
        if grant.sees(clearance, &acl) {
            Ok((clearance, acl))
        } else {
            Err(self.disagree(what, id))
        }
    }

    /// For the alarm.
    pub fn disagree(&self, what: &'static str, id: i64) -> Error {
        let room = self.uid.clone();
        tracing::error!(room, what, id, "the nets around a Room disagree");
        Disagreement { room, what, id }.into()
    }

    /// The next revision, which is this transaction's.
    pub async fn revise(&mut self) -> Result<i64, Error> {
        let next = sqlx::query_scalar("UPDATE room SET revision = revision + 1 WHERE id = $1 RETURNING revision")
            .bind(self.room)
            .fetch_one(&mut *self.transaction)
            .await?;
        self.head.revision = next;
        Ok(next)
    }

    /// From here on, rows of all clearances: for what belongs to something that was seen.
    pub async fn see_all(&mut self) -> Result<(), Error> {
        sqlx::query("SELECT set_config('atelier.clearance', $1, true)")
            .bind(HIGHEST.0.to_string())
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    pub async fn commit(self) -> Result<(), Error> {
        Ok(self.transaction.commit().await?)
    }
}

/// How things stand, for whoever is let in for whatever.
///
/// # Errors
/// See [`Error`].
pub async fn head(database: &Database, grant: &Grant) -> Result<Head, Error> {
    let purpose = Purpose {
        verbs: &[
            Verb::Search,
            Verb::Ask,
            Verb::Contribute,
            Verb::Curate,
            Verb::Ingest,
            Verb::Feedback,
            Verb::Audit,
            Verb::RedTeam,
        ],
        sees: Sees::Granted,
        access: Access::Read,
    };
    Ok(enter(database, grant, purpose).await?.head)
}

/// Clearance and list of names of a document's row.
pub(super) fn rights(row: &PgRow) -> Result<(Clearance, Acl), Error> {
    let clearance: i16 = row.try_get("clearance")?;
    let clearance = u8::try_from(clearance).map_err(|_| Error::Damaged("a clearance"))?;
    let acl: Option<Vec<String>> = row.try_get("acl")?;
    Ok((Clearance(clearance), acl.map_or_else(Acl::everyone, Acl::of)))
}

/// The names under which lists of names admit somebody, for the first net.
pub(super) fn names(grant: &Grant) -> Vec<String> {
    let principal = grant.principal();
    let groups = principal.groups.iter().map(|group| format!("group:{group}"));
    groups.chain([format!("user:{}", principal.user)]).collect()
}

/// As a column has them.
pub(super) fn column(acl: &Acl) -> Option<Vec<String>> {
    acl.names().map(|names| names.iter().cloned().collect())
}
