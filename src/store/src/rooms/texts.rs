//! The texts of what was found.

use std::collections::{BTreeMap, BTreeSet};

use rooms::{Chunk, ChunkId, Grant, Place, search::MAX_TOP_K};
use sqlx::{Row as _, postgres::PgRow};

use super::enter::{READ, enter};
use super::error::{Error, Unfit};
use super::inside::{Inside, names};
use crate::Database;

/// A chunk with what is cited beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// The chunk.
    pub chunk: Chunk,
    /// Its tokens, by the embedding model.
    pub tokens: u32,
    /// What its document is called.
    pub title: Option<String>,
    /// Where its document came from.
    pub origin: Option<String>,
    /// How many pages its document has.
    pub pages: Option<u32>,
}

const GENERATION: &str = "
    SELECT EXISTS (SELECT FROM room_generation WHERE room = $1 AND number = $2 AND state IN ('live', 'retired'))";

const SELECT: &str = "
    SELECT c.room, c.id, c.clearance AS marked, c.place::text AS place, c.text, c.tokens, d.source, d.name, d.clearance,
        d.acl, k.title, k.origin, k.pages
    FROM unnest($3::bigint[]) AS w (id)
    CROSS JOIN LATERAL (SELECT * FROM room_chunk
        WHERE room = $1 AND generation = $2 AND id = w.id AND clearance <= $4 LIMIT 1) c
    CROSS JOIN LATERAL (SELECT * FROM room_document
        WHERE room = $1 AND id = c.document AND state = 'present' AND (acl IS NULL OR acl && $5) LIMIT 1) d
    CROSS JOIN LATERAL (SELECT title, origin, pages FROM room_content
        WHERE room = $1 AND generation = $2 AND document = c.document LIMIT 1) k";

/// The texts of up to [`MAX_TOP_K`] chunks of a generation, in that order. What the grant does not see is left out, and
/// cannot be told from what is not there. For chunks that a search has found, `revision` is that of the index: rights may
/// have changed since, and nothing else. For those that a caller names, there is none.
///
/// # Errors
/// [`Error::NoGeneration`] when it is not kept any more: load and search again. [`Error::Disagreement`] when a chunk is
/// not visible though nothing has changed since `revision`.
pub async fn texts(
    database: &Database,
    grant: &Grant,
    generation: i64,
    revision: Option<i64>,
    chunks: &[ChunkId],
) -> Result<Vec<Text>, Error> {
    let (found, most) = (chunks.len(), MAX_TOP_K);
    if found > most {
        let what = "chunks";
        return Err(Unfit::Many { what, found, most }.into());
    }
    let mut inside = enter(database, grant, READ).await?;
    kept(&mut inside, generation).await?;
    let rows = sqlx::query(SELECT)
        .bind(inside.room)
        .bind(generation)
        .bind(chunks.iter().map(|chunk| chunk.0).collect::<Vec<_>>())
        .bind(i16::from(grant.clearance().0))
        .bind(names(grant))
        .fetch_all(&mut *inside.transaction)
        .await?;
    let mut of_chunk = BTreeMap::new();
    for row in rows {
        let text = read(&inside, grant, &row)?;
        of_chunk.insert(text.chunk.id, text);
    }
    if let Some(revision) = revision {
        missing(&mut inside, (generation, revision), chunks, &of_chunk).await?;
    }
    Ok(chunks.iter().filter_map(|chunk| of_chunk.remove(chunk)).collect())
}

/// Refuses generations that are not kept any more.
async fn kept(inside: &mut Inside<'_>, generation: i64) -> Result<(), Error> {
    let is_kept: bool = sqlx::query_scalar(GENERATION)
        .bind(inside.room)
        .bind(generation)
        .fetch_one(&mut *inside.transaction)
        .await?;
    match is_kept {
        true => Ok(()),
        false => Err(Error::NoGeneration(generation)),
    }
}

fn read(inside: &Inside<'_>, grant: &Grant, row: &PgRow) -> Result<Text, Error> {
    let id: i64 = row.try_get("id")?;
    let (clearance, acl) = inside.seen(grant, row, "a chunk", id)?;
    if row.try_get::<i16, _>("marked")? != i16::from(clearance.0) {
        return Err(inside.disagree("a chunk", id));
    }
    let place: &str = row.try_get("place")?;
    let place: Place = serde_json::from_str(place).map_err(|_| Error::Damaged("the place of a chunk"))?;
    Ok(Text {
        chunk: Chunk {
            id: ChunkId(id),
            document: row.try_get("name")?,
            source: row.try_get("source")?,
            place,
            text: row.try_get("text")?,
            clearance,
            acl,
        },
        tokens: row.try_get::<i32, _>("tokens")?.unsigned_abs(),
        title: row.try_get("title")?,
        origin: row.try_get("origin")?,
        pages: row.try_get::<Option<i32>, _>("pages")?.map(i32::unsigned_abs),
    })
}

const REVISION: &str = "SELECT revision FROM room WHERE id = $1";

/// What an index shows and the database does not, though both know the same, is an error of ours.
async fn missing(
    inside: &mut Inside<'_>,
    (generation, revision): (i64, i64),
    wanted: &[ChunkId],
    found: &BTreeMap<ChunkId, Text>,
) -> Result<(), Error> {
    let wanted: BTreeSet<_> = wanted.iter().collect();
    let Some(missing) = wanted.into_iter().find(|chunk| !found.contains_key(chunk)) else {
        return Ok(());
    };
    // As it is after the texts were read: so it is at least theirs.
    let now: i64 = sqlx::query_scalar(REVISION)
        .bind(inside.room)
        .fetch_one(&mut *inside.transaction)
        .await?;
    if now == revision {
        // Each statement sees things as they are by then: it may have expired behind the first look, and have been swept.
        kept(inside, generation).await?;
        return Err(inside.disagree("a chunk", missing.0));
    }
    Ok(())
}
