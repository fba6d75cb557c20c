//! What is set aside, and let in again.

use rooms::{Clearance, Grant, Verb};
use sqlx::{Row as _, postgres::PgRow};

use super::enter::{Access, Purpose, Sees, enter};
use super::error::Error;
use super::inside::{Inside, names};
use super::limits::{self, MAX_BATCH};
use super::listing::Cursor;
use super::writer::digest;
use crate::Database;

/// Curators act on what they see.
const CURATE: Purpose = Purpose {
    verbs: &[Verb::Curate],
    sees: Sees::Granted,
    access: Access::Alone,
};

/// A document that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Its source.
    pub source: String,
    /// Its name.
    pub name: String,
    /// What it is called.
    pub title: Option<String>,
    /// Clearance that it needs.
    pub clearance: Clearance,
    /// Why.
    pub reason: String,
    /// Whether a curator has released it, and it comes with the next generation.
    pub is_released: bool,
    /// How many pictures of its pages there are.
    pub pictures: u32,
}

const SELECT: &str = "
    SELECT d.room, d.id, d.source, d.name, d.clearance, d.acl, d.state, k.title,
        CASE WHEN d.state = 'quarantined' THEN d.reason ELSE k.reason END AS reason,
        d.state = 'present' AND d.released IS NOT DISTINCT FROM k.digest AS is_released,
        (SELECT count(*) FROM room_page p WHERE p.room = $1 AND p.document = d.id AND p.digest = k.digest) AS pictures
    FROM room_document d LEFT JOIN LATERAL (SELECT title, digest, reason FROM room_content
        WHERE room = $1 AND generation = $2 AND document = d.id LIMIT 1) k ON true
    WHERE d.room = $1 AND (d.state = 'quarantined' OR d.state = 'present' AND k.reason IS NOT NULL)
        AND d.clearance <= $3 AND (d.acl IS NULL OR d.acl && $4) AND (d.source, d.name) > ($5, $6)
    ORDER BY d.source, d.name LIMIT $7";

/// Documents that were set aside and that the grant sees, by source and name, up to `limit` of them and [`MAX_BATCH`], from
/// the first behind `after`.
///
/// # Errors
/// See [`Error`].
pub async fn quarantined(
    database: &Database,
    grant: &Grant,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Vec<Quarantined>, Error> {
    let purpose = Purpose {
        access: Access::Read,
        ..CURATE
    };
    let mut inside = enter(database, grant, purpose).await?;
    let (source, name) = after.map_or(("", ""), |after| (&after.0, &after.1));
    let rows = sqlx::query(SELECT)
        .bind(inside.room)
        .bind(inside.head.live)
        .bind(i16::from(grant.clearance().0))
        .bind(names(grant))
        .bind(source)
        .bind(name)
        .bind(limit.min(MAX_BATCH) as i64)
        .fetch_all(&mut *inside.transaction)
        .await?;
    let read = |row: PgRow| {
        let (clearance, _) = inside.seen(grant, &row, "a document", row.try_get("id")?)?;
        Ok(Quarantined {
            source: row.try_get("source")?,
            name: row.try_get("name")?,
            title: row.try_get("title")?,
            clearance,
            reason: row.try_get::<Option<String>, _>("reason")?.unwrap_or_default(),
            is_released: row.try_get("is_released")?,
            pictures: row.try_get::<i64, _>("pictures")?.unsigned_abs() as u32,
        })
    };
    rows.into_iter().map(read).collect()
}

const FIND: &str = "
    SELECT d.room, d.id, d.clearance, d.acl, d.state, d.is_barred, k.digest, k.reason
    FROM room_document d LEFT JOIN LATERAL (SELECT title, digest, reason FROM room_content
        WHERE room = $1 AND generation = $2 AND document = d.id LIMIT 1) k ON true
    WHERE d.room = $1 AND d.source = $3 AND d.name = $4 AND d.clearance <= $5 AND (d.acl IS NULL OR d.acl && $6)";

/// A document of this name that a curator sees, whatever became of it.
async fn find(inside: &mut Inside<'_>, grant: &Grant, source: &str, name: &str) -> Result<Option<PgRow>, Error> {
    let row = sqlx::query(FIND)
        .bind(inside.room)
        .bind(inside.head.live)
        .bind(source)
        .bind(name)
        .bind(i16::from(grant.clearance().0))
        .bind(names(grant))
        .fetch_optional(&mut *inside.transaction)
        .await?;
    if let Some(row) = &row {
        inside.seen(grant, row, "a document", row.try_get("id")?)?;
    }
    Ok(row)
}

const QUARANTINE: &str = "
    UPDATE room_document SET state = 'quarantined', reason = $3, released = NULL, revision = $4, changed = now()
    WHERE room = $1 AND id = $2";

/// Sets a document aside, at once and in all generations, and says whether there is one that the grant sees. It is kept
/// until it is released or removed.
///
/// # Errors
/// See [`Error`].
pub async fn quarantine(
    database: &Database,
    grant: &Grant,
    source: &str,
    name: &str,
    reason: &str,
) -> Result<bool, Error> {
    limits::text("the name of a document", name, limits::NAME)?;
    limits::text("a reason", reason, limits::LINE)?;
    let mut inside = enter(database, grant, CURATE).await?;
    let found = find(&mut inside, grant, source, name).await?;
    let Some(found) = found else { return Ok(false) };
    if found.try_get::<&str, _>("state")? != "present" {
        return Ok(false);
    }
    let id: i64 = found.try_get("id")?;
    let revision = inside.revise().await?;
    sqlx::query(QUARANTINE)
        .bind(inside.room)
        .bind(id)
        .bind(reason)
        .bind(revision)
        .execute(&mut *inside.transaction)
        .await?;
    inside.commit().await?;
    Ok(true)
}

/// One that was removed is not there before a writer brings it back.
const RELEASE: &str = "
    UPDATE room_document SET is_barred = false, released = coalesce($3, released), changed = now(),
        state = CASE WHEN state = 'quarantined' THEN 'present' ELSE state END,
        reason = CASE WHEN state = 'quarantined' THEN NULL ELSE reason END,
        revision = CASE WHEN state = 'quarantined' THEN $4 ELSE revision END,
        shown = CASE WHEN state = 'quarantined' THEN $4 ELSE shown END
    WHERE room = $1 AND id = $2";

/// Lets a document in again, and says whether there is one that the grant sees. One that was set aside at once is back
/// at once; one that a generation has set aside, or that was removed, comes with the next generation that finds it.
///
/// # Errors
/// See [`Error`].
pub async fn release(database: &Database, grant: &Grant, source: &str, name: &str) -> Result<bool, Error> {
    limits::text("the name of a document", name, limits::NAME)?;
    let mut inside = enter(database, grant, CURATE).await?;
    let found = find(&mut inside, grant, source, name).await?;
    let Some(found) = found else { return Ok(false) };
    let (id, state): (i64, &str) = (found.try_get("id")?, found.try_get("state")?);
    let set_aside: Option<&str> = found.try_get("reason")?;
    let is_barred: bool = found.try_get("is_barred")?;
    if state != "quarantined" && set_aside.is_none() && !is_barred {
        return Ok(false);
    }
    let bytes = digest(&found, "digest")?;
    let revision = inside.revise().await?;
    sqlx::query(RELEASE)
        .bind(inside.room)
        .bind(id)
        .bind(bytes.as_ref().map(|bytes| &bytes[..]))
        .bind(revision)
        .execute(&mut *inside.transaction)
        .await?;
    inside.commit().await?;
    Ok(true)
}
