//! Takes away what nobody needs any more.

use std::time::Duration;

use rooms::Grant;
use sqlx::Row as _;

use super::enter::{FILL, enter};
use super::error::Error;
use super::inside::Inside;
use crate::Database;

/// What one transaction takes away, so that others get their turn.
const BATCH: i64 = 5000;
/// Caches ask what changed at every search. One that did not for so long loads anew.
const MEMORY: Duration = Duration::from_secs(24 * 3600);

/// What was taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Generations that had failed, had been abandoned or were not kept.
    pub generations: u64,
    /// Their chunks.
    pub chunks: u64,
    /// Documents that no generation has and nobody removed, and what was remembered of some that were.
    pub documents: u64,
    /// Pictures of pages of documents that no generation has like this.
    pub pages: u64,
    /// Contributions that did not arrive.
    pub uploads: u64,
}

const ABANDON: &str = "
    UPDATE room_generation SET state = 'failed'
    WHERE room = $1 AND state = 'building' AND touched < now() - $2 * interval '1 second'";

const ENDED: &str = "
    SELECT number FROM room_generation WHERE room = $1 AND state IN ('failed', 'expired') ORDER BY number";

const CHUNKS: &str = "
    DELETE FROM room_chunk WHERE room = $1 AND generation = $2 AND id IN
        (SELECT id FROM room_chunk WHERE room = $1 AND generation = $2 ORDER BY id LIMIT $3)";

const CONTENT: &str = "
    DELETE FROM room_content WHERE room = $1 AND generation = $2 AND document IN
        (SELECT document FROM room_content WHERE room = $1 AND generation = $2 ORDER BY document LIMIT $3)";

const PAGES: &str = "
    DELETE FROM room_page p WHERE p.room = $1 AND (SELECT true FROM room_content k
        WHERE k.room = $1 AND k.document = p.document AND k.digest = p.digest LIMIT 1) IS NULL";

/// What a curator decided is remembered for good.
const DOCUMENTS: &str = "
    DELETE FROM room_document d WHERE d.room = $1 AND NOT d.is_barred AND d.released IS NULL
        AND (SELECT true FROM room_content k WHERE k.room = $1 AND k.document = d.id LIMIT 1) IS NULL
        AND (SELECT true FROM room_page p WHERE p.room = $1 AND p.document = d.id LIMIT 1) IS NULL
        AND (d.state = 'present' OR d.state = 'deleted' AND d.changed < now() - $2 * interval '1 second')
    RETURNING revision, state = 'deleted' AS was_deleted";

const FORGET: &str = "UPDATE room SET forgotten = greatest(forgotten, $2) WHERE id = $1";

const PARTS: &str = "
    DELETE FROM room_upload_part p USING room_upload u WHERE p.room = $1 AND u.room = $1 AND u.id = p.upload
        AND u.digest IS NULL AND u.at < now() - $2 * interval '1 second'";
const UPLOADS: &str = "
    DELETE FROM room_upload WHERE room = $1 AND digest IS NULL AND at < now() - $2 * interval '1 second'";

/// Gives up generations whose writers did nothing for `patience`, and takes away those that ended, batch by batch, with
/// what they alone had. Contributions that did not arrive within the same time go, too. It may be interrupted.
///
/// # Errors
/// See [`Error`]. The grant may expire meanwhile: what is left is for the next time.
pub async fn sweep(database: &Database, grant: &Grant, patience: Duration) -> Result<Swept, Error> {
    let mut swept = Swept::default();
    let mut inside = enter(database, grant, FILL).await?;
    sqlx::query(ABANDON)
        .bind(inside.room)
        .bind(patience.as_secs_f64())
        .execute(&mut *inside.transaction)
        .await?;
    let ended: Vec<i64> = sqlx::query_scalar(ENDED)
        .bind(inside.room)
        .fetch_all(&mut *inside.transaction)
        .await?;
    inside.commit().await?;
    for generation in ended {
        swept.chunks += rows(database, grant, CHUNKS, generation).await?;
        rows(database, grant, CONTENT, generation).await?;
        let mut inside = enter(database, grant, FILL).await?;
        swept.generations += run(
            &mut inside,
            "DELETE FROM room_generation WHERE room = $1 AND number = $2",
            generation,
        )
        .await?;
        inside.commit().await?;
    }
    let mut inside = enter(database, grant, FILL).await?;
    swept.pages = sqlx::query(PAGES)
        .bind(inside.room)
        .execute(&mut *inside.transaction)
        .await?
        .rows_affected();
    swept.documents = documents(&mut inside).await?;
    for statement in [PARTS, UPLOADS] {
        let done = sqlx::query(statement)
            .bind(inside.room)
            .bind(patience.as_secs_f64())
            .execute(&mut *inside.transaction)
            .await?;
        swept.uploads = done.rows_affected();
    }
    inside.commit().await?;
    Ok(swept)
}

/// All rows of a generation, in as many transactions as it takes.
async fn rows(database: &Database, grant: &Grant, statement: &'static str, generation: i64) -> Result<u64, Error> {
    let mut gone = 0;
    loop {
        let mut inside = enter(database, grant, FILL).await?;
        let done = sqlx::query(statement)
            .bind(inside.room)
            .bind(generation)
            .bind(BATCH)
            .execute(&mut *inside.transaction)
            .await?
            .rows_affected();
        inside.commit().await?;
        gone += done;
        if done < BATCH as u64 {
            return Ok(gone);
        }
    }
}

async fn run(inside: &mut Inside<'_>, statement: &'static str, generation: i64) -> Result<u64, Error> {
    let done = sqlx::query(statement)
        .bind(inside.room)
        .bind(generation)
        .execute(&mut *inside.transaction)
        .await?;
    Ok(done.rows_affected())
}

/// Whoever has a cache from before the last of those that are forgotten cannot be told of it any more.
async fn documents(inside: &mut Inside<'_>) -> Result<u64, Error> {
    let rows = sqlx::query(DOCUMENTS)
        .bind(inside.room)
        .bind(MEMORY.as_secs_f64())
        .fetch_all(&mut *inside.transaction)
        .await?;
    let mut forgotten = 0;
    for row in &rows {
        if row.try_get("was_deleted")? {
            forgotten = row.try_get::<i64, _>("revision")?.max(forgotten);
        }
    }
    sqlx::query(FORGET)
        .bind(inside.room)
        .bind(forgotten)
        .execute(&mut *inside.transaction)
        .await?;
    Ok(rows.len() as u64)
}
