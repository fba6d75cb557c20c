//! Documents that are gone, in all generations at once.

use rooms::{Grant, Verb};
use sqlx::Row as _;

use super::enter::{Access, FILL, Purpose, Sees, enter};
use super::error::Error;
use super::inside::{Inside, names};
use super::life::FRESHNESS;
use super::limits;
use crate::Database;

/// Curators remove what they see.
const CURATE: Purpose = Purpose {
    verbs: &[Verb::Curate],
    sees: Sees::Granted,
    access: Access::Alone,
};

const FIND: &str = "
    SELECT room, id, clearance, acl FROM room_document
    WHERE room = $1 AND source = $2 AND name = ANY($3) AND state <> 'deleted'
        AND clearance <= $4 AND ($5::text[] IS NULL OR acl IS NULL OR acl && $5)";

/// What was contributed and is in no generation yet.
const WAITING: &str = "
    SELECT room, id, clearance, acl FROM room_upload u
    WHERE room = $1 AND source = $2 AND name = ANY($3) AND digest IS NOT NULL
        AND clearance <= $4 AND ($5::text[] IS NULL OR acl IS NULL OR acl && $5)
        AND NOT EXISTS (SELECT FROM room_document d
            WHERE d.room = $1 AND d.source = u.source AND d.name = u.name AND d.state <> 'deleted')";

const DELETE: &str = "
    UPDATE room_document SET state = 'deleted', reason = NULL, released = NULL, is_barred = is_barred OR $4,
        revision = $3, changed = now()
    WHERE room = $1 AND id = ANY($2)";

/// Nothing is left of them but their names.
const CHUNKS: &str = "DELETE FROM room_chunk WHERE room = $1 AND document = ANY($2)";
const CONTENT: &str = "DELETE FROM room_content WHERE room = $1 AND document = ANY($2)";
const PAGES: &str = "DELETE FROM room_page WHERE room = $1 AND document = ANY($2)";

/// Contributions of these documents.
const THEIRS: &str = "
    SELECT u.id FROM unnest($2::bigint[]) AS w (id)
    CROSS JOIN LATERAL (SELECT source, name FROM room_document WHERE room = $1 AND id = w.id LIMIT 1) d
    CROSS JOIN LATERAL (SELECT id FROM room_upload
        WHERE room = $1 AND source = d.source AND name = d.name AND digest IS NOT NULL LIMIT 1) u";

const UPLOADS: [&str; 2] = [
    "DELETE FROM room_upload_part WHERE room = $1 AND upload = ANY($2)",
    "DELETE FROM room_upload WHERE room = $1 AND id = ANY($2)",
];

/// Removes documents of a source, with what was contributed for them, and says how many of them were there. It holds at
/// once, in all generations. What a curator removes, no writer brings back; what is removed by whoever fills the Room,
/// for the source has it no more, may come back with it. For curators, documents that they do not see are not there.
///
/// # Errors
/// See [`Error`].
pub async fn remove(database: &Database, grant: &Grant, source: &str, documents: &[&str]) -> Result<u64, Error> {
    limits::batch("documents", documents.len())?;
    for name in documents {
        limits::text("the name of a document", name, limits::NAME)?;
    }
    let is_curator = grant.verb() == Verb::Curate;
    let mut inside = enter(database, grant, if is_curator { CURATE } else { FILL }).await?;
    let found = find(&mut inside, grant, FIND, source, documents).await?;
    let waiting = find(&mut inside, grant, WAITING, source, documents).await?;
    // All that belongs to what was found goes, also where it has another clearance.
    inside.see_all().await?;
    if !found.is_empty() {
        let revision = inside.revise().await?;
        delete(&mut inside, &found, revision, is_curator).await?;
    }
    run(&mut inside, &UPLOADS, &waiting).await?;
    inside.commit().await?;
    Ok((found.len() + waiting.len()) as u64)
}

/// Numbers of what is there of these, for whoever asks.
async fn find(
    inside: &mut Inside<'_>,
    grant: &Grant,
    statement: &'static str,
    source: &str,
    documents: &[&str],
) -> Result<Vec<i64>, Error> {
    let is_curator = grant.verb() == Verb::Curate;
    let clearance = if is_curator { grant.clearance() } else { limits::HIGHEST };
    let rows = sqlx::query(statement)
        .bind(inside.room)
        .bind(source)
        .bind(documents)
        .bind(i16::from(clearance.0))
        .bind(is_curator.then(|| names(grant)))
        .fetch_all(&mut *inside.transaction)
        .await?;
    let mut found = Vec::new();
    for row in rows {
        let id: i64 = row.try_get("id")?;
        if is_curator {
            inside.seen(grant, &row, "a document", id)?;
        } else {
            inside.own(&row, "a document", id)?;
        }
        found.push(id);
    }
    Ok(found)
}

async fn delete(inside: &mut Inside<'_>, ids: &[i64], revision: i64, is_barred: bool) -> Result<(), Error> {
    sqlx::query(DELETE)
        .bind(inside.room)
        .bind(ids)
        .bind(revision)
        .bind(is_barred)
        .execute(&mut *inside.transaction)
        .await?;
    let uploads: Vec<i64> = sqlx::query_scalar(THEIRS)
        .bind(inside.room)
        .bind(ids)
        .fetch_all(&mut *inside.transaction)
        .await?;
    run(inside, &UPLOADS, &uploads).await?;
    run(inside, &[CHUNKS, CONTENT, PAGES], ids).await
}

async fn run(inside: &mut Inside<'_>, statements: &[&'static str], ids: &[i64]) -> Result<(), Error> {
    for statement in statements {
        sqlx::query(*statement)
            .bind(inside.room)
            .bind(ids)
            .execute(&mut *inside.transaction)
            .await?;
    }
    Ok(())
}

const OF_SOURCE: &str = "SELECT id FROM room_document WHERE room = $1 AND source = $2 AND state <> 'deleted'";

const REMOVED: &str = "
    INSERT INTO room_source (room, source, removed) VALUES ($1, $2, $3)
    ON CONFLICT (room, source) DO UPDATE SET removed = $3, rights_read_at = NULL";

/// Removes a source with all its documents, and says how many there were. It holds at once, in all generations.
///
/// # Errors
/// See [`Error`].
pub async fn remove_source(database: &Database, grant: &Grant, source: &str) -> Result<u64, Error> {
    limits::name("the name of a source", source, limits::SOURCE)?;
    let mut inside = enter(database, grant, FILL).await?;
    let found: Vec<i64> = sqlx::query_scalar(OF_SOURCE)
        .bind(inside.room)
        .bind(source)
        .fetch_all(&mut *inside.transaction)
        .await?;
    let revision = inside.revise().await?;
    delete(&mut inside, &found, revision, false).await?;
    sqlx::query(REMOVED)
        .bind(inside.room)
        .bind(source)
        .bind(revision)
        .execute(&mut *inside.transaction)
        .await?;
    // What was contributed and never placed.
    for statement in [
        "DELETE FROM room_upload_part p USING room_upload u
        WHERE p.room = $1 AND u.room = $1 AND u.id = p.upload AND u.source = $2",
        "DELETE FROM room_upload WHERE room = $1 AND source = $2",
    ] {
        sqlx::query(statement)
            .bind(inside.room)
            .bind(source)
            .execute(&mut *inside.transaction)
            .await?;
    }
    sqlx::query(FRESHNESS)
        .bind(inside.room)
        .execute(&mut *inside.transaction)
        .await?;
    inside.commit().await?;
    Ok(found.len() as u64)
}
