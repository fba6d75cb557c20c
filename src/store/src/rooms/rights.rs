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
        for statement in ALIGN {
            sqlx::query(statement)
                .bind(inside.room)
                .bind(&changed)
                .execute(&mut *inside.transaction)
                .await?;
        }
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

/// A batch as one value, which keeps lists in lists.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("names and numbers are JSON")
}
