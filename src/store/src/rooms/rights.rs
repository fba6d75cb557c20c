//! Who may see what, as sources say from time to time.

use std::collections::BTreeSet;

use rooms::{Acl, Clearance, Grant, Verb};
use serde::Serialize;
use sqlx::Row as _;

use super::enter::{Access, FILL, Purpose, Sees, enter};
use super::error::{Error, Unfit};
use super::inside::Inside;
use super::life::FRESHNESS;
use super::limits;
use super::writer::DocumentId;
use crate::Database;

/// A point in time, by the clock of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub(super) i64);

impl Moment {
    /// One that was given out before, from [`Self::micros`].
    pub fn of_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970.
    pub fn micros(self) -> i64 {
        self.0
    }
}

/// Who may see a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Rights {
    /// Its name.
    pub document: String,
    /// Clearance that it needs.
    pub clearance: Clearance,
    /// Who may see it.
    pub acl: Acl,
}

/// Now. Ask for it *before* a source is asked for rights: what the source says is at least as new.
///
/// # Errors
/// See [`Error`].
pub async fn moment(database: &Database, grant: &Grant) -> Result<Moment, Error> {
    let purpose = Purpose {
        verbs: &[Verb::Ingest],
        sees: Sees::All,
        access: Access::Read,
    };
    let mut inside = enter(database, grant, purpose).await?;
    let micros = sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
        .fetch_one(&mut *inside.transaction)
        .await?;
    Ok(Moment(micros))
}

const FIND: &str = "
    SELECT w.at, d.id FROM jsonb_to_recordset($3::jsonb) AS w (at integer, name text)
    CROSS JOIN LATERAL (SELECT id FROM room_document WHERE room = $1 AND source = $2 AND name = w.name LIMIT 1) d";

const FUTURE: &str = "SELECT extract(epoch FROM clock_timestamp()) * 1000000 < $1::bigint";

/// What was read later than now was not read: it would stand against everything that is read until then.
pub(super) async fn check_read(inside: &mut Inside<'_>, read: Moment) -> Result<(), Error> {
    let is_future: bool = sqlx::query_scalar(FUTURE)
        .bind(read.0)
        .fetch_one(&mut *inside.transaction)
        .await?;
    if is_future || read.0 < 0 {
        return Err(Unfit::Stranger("a time at which nothing was read yet").into());
    }
    Ok(())
}

/// Sets the rights of up to [`MAX_BATCH`](super::MAX_BATCH) documents of a source, which were read at `read`, and says of
/// how many they changed. They hold at once, in all generations. Documents that are not known are passed over, and so
/// are rights that are older than those that are known.
///
/// # Errors
/// See [`Error`].
pub async fn set_rights(
    database: &Database,
    grant: &Grant,
    read: Moment,
    source: &str,
    rights: &[Rights],
) -> Result<u64, Error> {
    limits::batch("documents", rights.len())?;
    limits::name("the name of a source", source, limits::SOURCE)?;
    let mut names = BTreeSet::new();
    for one in rights {
        limits::name("the name of a document", &one.document, limits::NAME)?;
        limits::rights(one.clearance, &one.acl)?;
        if !names.insert(&one.document) {
            return Err(Unfit::Twice("a document").into());
        }
    }
    let mut inside = enter(database, grant, FILL).await?;
    check_read(&mut inside, read).await?;
    let wanted: Vec<_> = (rights.iter().enumerate())
        .map(|(at, one)| Named {
            at,
            name: &one.document,
        })
        .collect();
    let rows = sqlx::query(FIND)
        .bind(inside.room)
        .bind(source)
        .bind(json(&wanted))
        .fetch_all(&mut *inside.transaction)
        .await?;
    let mut found = Vec::new();
    for row in rows {
        let one = &rights[row.try_get::<i32, _>("at")? as usize];
        found.push((DocumentId(row.try_get("id")?), one.clearance, &one.acl));
    }
    let changed = apply(&mut inside, read, &found).await?;
    inside.commit().await?;
    Ok(changed)
}

#[derive(Serialize)]
struct Named<'a> {
    at: usize,
    name: &'a str,
}

#[derive(Serialize)]
struct Sent<'a> {
    id: i64,
    clearance: Clearance,
    acl: &'a Acl,
}

const APPLY: &str = "
    UPDATE room_document d SET clearance = w.clearance, acl = w.acl, revision = $4, changed = now(),
        rights_read_at = timestamptz 'epoch' + $3 * interval '1 microsecond'
    FROM jsonb_to_recordset($2::jsonb) AS w (id bigint, clearance smallint, acl text[])
    WHERE d.room = $1 AND d.id = ANY($5) AND d.id = w.id
        AND (d.clearance, d.acl) IS DISTINCT FROM (w.clearance, w.acl)
        AND d.rights_read_at <= timestamptz 'epoch' + $3 * interval '1 microsecond'
    RETURNING d.id";

/// What is the same is newer all the same.
const CONFIRM: &str = "
    UPDATE room_document SET rights_read_at = timestamptz 'epoch' + $3 * interval '1 microsecond'
    WHERE room = $1 AND id = ANY($2) AND rights_read_at < timestamptz 'epoch' + $3 * interval '1 microsecond'";

/// Row-level security knows the clearance of each row by itself.
macro_rules! align {
    ($table:literal) => {
        concat!(
            "UPDATE ",
            $table,
            " r SET clearance = (SELECT clearance FROM room_document WHERE room = $1 AND id = r.document)
            WHERE r.room = $1 AND r.document = ANY($2)
                AND r.clearance <> (SELECT clearance FROM room_document WHERE room = $1 AND id = r.document)"
        )
    };
}
const ALIGN: [&str; 3] = [align!("room_chunk"), align!("room_content"), align!("room_page")];

async fn align(inside: &mut Inside<'_>, changed: &[i64]) -> Result<(), Error> {
    for statement in ALIGN {
        sqlx::query(statement)
            .bind(inside.room)
            .bind(changed)
            .execute(&mut *inside.transaction)
            .await?;
    }
    Ok(())
}

/// Sets rights within a transaction that is alone, and says of how many documents they changed.
pub(super) async fn apply(
    inside: &mut Inside<'_>,
    read: Moment,
    rights: &[(DocumentId, Clearance, &Acl)],
) -> Result<u64, Error> {
    if rights.is_empty() {
        return Ok(0);
    }
    let sent: Vec<_> = (rights.iter())
        .map(|(id, clearance, acl)| Sent {
            id: id.0,
            clearance: *clearance,
            acl,
        })
        .collect();
    let ids: Vec<i64> = sent.iter().map(|sent| sent.id).collect();
    // Nobody else takes this revision meanwhile.
    let changed: Vec<i64> = sqlx::query_scalar(APPLY)
        .bind(inside.room)
        .bind(json(&sent))
        .bind(read.0)
        .bind(inside.head.revision + 1)
        .bind(&ids)
        .fetch_all(&mut *inside.transaction)
        .await?;
    if !changed.is_empty() {
        inside.revise().await?;
        align(inside, &changed).await?;
    }
    sqlx::query(CONFIRM)
        .bind(inside.room)
        .bind(&ids)
        .bind(read.0)
        .execute(&mut *inside.transaction)
        .await?;
    Ok(changed.len() as u64)
}

const SYNCED: &str = "
    UPDATE room_source SET rights_read_at = greatest(rights_read_at, timestamptz 'epoch' + $3 * interval '1 microsecond')
    WHERE room = $1 AND source = ANY($2) AND removed IS NULL";

/// Remembers that all rights of these sources have been read at `read`, and have been set.
///
/// # Errors
/// See [`Error`].
pub async fn synced(database: &Database, grant: &Grant, read: Moment, sources: &[&str]) -> Result<(), Error> {
    let mut inside = enter(database, grant, FILL).await?;
    check_read(&mut inside, read).await?;
    sqlx::query(SYNCED)
        .bind(inside.room)
        .bind(sources)
        .bind(read.0)
        .execute(&mut *inside.transaction)
        .await?;
    sqlx::query(FRESHNESS)
        .bind(inside.room)
        .execute(&mut *inside.transaction)
        .await?;
    inside.commit().await
}

const LOWER: &str = "
    UPDATE room_document SET clearance = $3, revision = $4, changed = now()
    WHERE room = $1 AND source = $2 AND clearance < $3 RETURNING id";

const ANY_LOWER: &str = "
    SELECT EXISTS (SELECT FROM room_document WHERE room = $1 AND source = $2 AND clearance < $3)";

const LOWER_UPLOADS: [&str; 2] = [
    "UPDATE room_upload_part p SET clearance = $3 FROM room_upload u
    WHERE p.room = $1 AND u.room = $1 AND u.id = p.upload AND u.source = $2 AND p.clearance < $3",
    "UPDATE room_upload SET clearance = $3 WHERE room = $1 AND source = $2 AND clearance < $3",
];

/// Raises the clearance of all documents of a source, and of what was contributed to it, to at least this, at once and in
/// all generations; says of how many documents. Those that need more stay as they are.
///
/// # Errors
/// See [`Error`].
pub async fn raise(database: &Database, grant: &Grant, source: &str, least: Clearance) -> Result<u64, Error> {
    limits::name("the name of a source", source, limits::SOURCE)?;
    limits::rights(least, &Acl::everyone())?;
    let least = i16::from(least.0);
    let mut inside = enter(database, grant, FILL).await?;
    for statement in LOWER_UPLOADS {
        sqlx::query(statement)
            .bind(inside.room)
            .bind(source)
            .bind(least)
            .execute(&mut *inside.transaction)
            .await?;
    }
    let is_any: bool = sqlx::query_scalar(ANY_LOWER)
        .bind(inside.room)
        .bind(source)
        .bind(least)
        .fetch_one(&mut *inside.transaction)
        .await?;
    let mut raised = Vec::new();
    if is_any {
        let revision = inside.revise().await?;
        raised = sqlx::query_scalar(LOWER)
            .bind(inside.room)
            .bind(source)
            .bind(least)
            .bind(revision)
            .fetch_all(&mut *inside.transaction)
            .await?;
        align(&mut inside, &raised).await?;
    }
    inside.commit().await?;
    Ok(raised.len() as u64)
}

/// A batch as one value, which keeps lists in lists.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("names and numbers are JSON")
}
