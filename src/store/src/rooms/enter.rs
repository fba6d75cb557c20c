//! The one door to a Room's rows.
//!
//! A transaction becomes somebody for whom row-level security holds, is told the Room and the clearance, and looks whether
//! it holds. All of that ends with the transaction, so that a pooled connection keeps nothing of it.

use std::time::Instant;

use rooms::{Clearance, Grant, Verb};
use sqlx::{Connection as _, PgConnection, Postgres, Row as _, Transaction};

use super::error::Error;
use super::inside::{Head, Inside, age};
use super::limits::HIGHEST;
use crate::Database;

/// What a transaction is for.
#[derive(Clone, Copy)]
pub(super) struct Purpose {
    /// Grants of these will do.
    pub verbs: &'static [Verb],
    /// Up to which clearance the database shows rows.
    pub sees: Sees,
    pub access: Access,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sees {
    /// What the grant does.
    Granted,
    /// Everything: for those who fill a Room, and for indexes, which hold all and show what a grant sees.
    All,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Reads.
    Read,
    /// Reads as things are now, however long it takes.
    Snapshot,
    /// Writes beside others.
    Write,
    /// Writes while nobody else writes documents or generations of the Room.
    Alone,
}

macro_rules! room {
    ($lock:literal) => {
        concat!(
            "SELECT id, namespace, name, live, revision, forgotten,
                extract(epoch FROM clock_timestamp() - rights_read_at)::float8 AS rights_age,
                row_security_active('room') AND row_security_active('room_document')
                    AND row_security_active('room_chunk') AS guarded,
                set_config('atelier.room', id::text, true)
            FROM room WHERE uid = $1 AND is_open ",
            $lock
        )
    };
}

impl Access {
    fn begin(self) -> &'static str {
        match self {
            Self::Read => "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY",
            Self::Snapshot => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Self::Write | Self::Alone => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
        }
    }

    /// All of them wait for a purge, and it for them.
    fn room(self) -> &'static str {
        match self {
            Self::Read | Self::Snapshot => room!(""),
            Self::Write => room!("FOR KEY SHARE"),
            Self::Alone => room!("FOR NO KEY UPDATE"),
        }
    }
}

/// For those who search.
pub(super) const READ: Purpose = Purpose {
    verbs: &[Verb::Search, Verb::Ask, Verb::RedTeam],
    sees: Sees::Granted,
    access: Access::Read,
};
/// For those who fill a Room.
pub(super) const FILL: Purpose = Purpose {
    verbs: &[Verb::Ingest],
    sees: Sees::All,
    access: Access::Alone,
};

/// A generic plan would lock the partitions of all Rooms, and wait where another Room is purged.
const ENTER: &str = "
    SELECT before.taint, set_config('atelier.uid', $1, true), set_config('atelier.room', '', true),
        set_config('atelier.clearance', $2, true), set_config('atelier.write', $3, true),
        set_config('plan_cache_mode', 'force_custom_plan', true),
        set_config('role', CASE WHEN $4 AND pg_has_role(to_regrole('atelier_rooms')::oid, 'MEMBER') THEN 'atelier_rooms'
            ELSE current_setting('role') END, true)
    FROM (SELECT concat(current_setting('atelier.uid', true), current_setting('atelier.room', true),
        current_setting('atelier.clearance', true), current_setting('atelier.write', true)) AS taint OFFSET 0) before";

/// Looks whether a grant is for this, now.
pub(super) fn admit(grant: &Grant, verbs: &[Verb]) -> Result<(), Error> {
    if grant.has_expired(Instant::now()) {
        Err(Error::Expired)
    } else if !verbs.contains(&grant.verb()) {
        Err(Error::Verb(grant.verb()))
    } else {
        Ok(())
    }
}

/// Opens a transaction on a shared connection.
pub(super) async fn enter(database: &Database, grant: &Grant, purpose: Purpose) -> Result<Inside<'static>, Error> {
    admit(grant, purpose.verbs)?;
    let transaction = database.pool().begin_with(purpose.access.begin()).await?;
    within(transaction, grant, purpose).await
}

/// Opens one on a connection of one's own.
pub(super) async fn enter_on<'c>(
    connection: &'c mut PgConnection,
    grant: &Grant,
    purpose: Purpose,
) -> Result<Inside<'c>, Error> {
    admit(grant, purpose.verbs)?;
    let transaction = connection.begin_with(purpose.access.begin()).await?;
    within(transaction, grant, purpose).await
}

async fn within<'c>(
    mut transaction: Transaction<'c, Postgres>,
    grant: &Grant,
    purpose: Purpose,
) -> Result<Inside<'c>, Error> {
    let clearance = match purpose.sees {
        Sees::Granted => grant.clearance().min(HIGHEST),
        Sees::All => HIGHEST,
    };
    let writes = matches!(purpose.access, Access::Write | Access::Alone);
    let room = grant.room();
    transaction = guard(transaction, &room.uid, (clearance, writes), User::Guarded).await?;
    let found = sqlx::query(purpose.access.room())
        .bind(&room.uid)
        .fetch_optional(&mut *transaction)
        .await?;
    // Whether this user is guarded is not known without a Room; neither is there anything to see.
    let found = found.ok_or(Error::NoRoom)?;
    if !found.try_get::<bool, _>("guarded")? {
        return Err(Error::Unguarded);
    }
    let id: i32 = found.try_get("id")?;
    let is_same =
        found.try_get::<&str, _>("namespace")? == room.namespace && found.try_get::<&str, _>("name")? == room.name;
    let inside = Inside {
        transaction,
        room: id,
        head: Head {
            live: found.try_get("live")?,
            revision: found.try_get("revision")?,
            rights_age: age(&found)?,
        },
        forgotten: found.try_get("forgotten")?,
        uid: room.uid.clone(),
    };
    if is_same {
        Ok(inside)
    } else {
        Err(inside.disagree("the Room", i64::from(id)))
    }
}

/// Who a transaction is to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum User {
    /// Somebody for whom policies hold, wherever there is one.
    Guarded,
    /// The owner of the tables, for what only an owner may.
    Owner,
}

/// Makes a transaction one that sees a Room's own row and nothing else yet.
pub(super) async fn guard<'c>(
    mut transaction: Transaction<'c, Postgres>,
    uid: &str,
    (clearance, writes): (Clearance, bool),
    user: User,
) -> Result<Transaction<'c, Postgres>, Error> {
    let taint: String = sqlx::query(ENTER)
        .bind(uid)
        .bind(clearance.0.to_string())
        .bind(if writes { "on" } else { "" })
        .bind(user == User::Guarded)
        .fetch_one(&mut *transaction)
        .await?
        .try_get("taint")?;
    if taint.is_empty() {
        return Ok(transaction);
    }
    sqlx::query("RESET ALL").execute(&mut *transaction).await?;
    // Otherwise the settings from before would come back.
    transaction.commit().await?;
    Err(Error::Tainted)
}
