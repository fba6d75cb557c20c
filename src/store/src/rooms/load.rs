//! A generation as an index in memory.

use rooms::{
    Acl, Chunk, ChunkId, Clearance, Grant, Verb,
    index::{Builder, Embedding, Index},
};
use sqlx::{Row as _, postgres::PgRow};

use super::enter::{Access, Purpose, Sees, enter_on};
use super::error::Error;
use super::inside::{Head, Inside, rights};
use crate::Database;

/// Chunks that are in memory at once, beside the index.
const ROWS: i64 = 500;
/// Others have their turn after so many.
const TURN: usize = 50;

/// An index, and how the Room stood when it was read. What changed since is to be asked for before it is searched.
pub struct Loaded {
    /// All chunks. It shows nobody more than their grant.
    pub index: Index,
    /// As of the index.
    pub head: Head,
    /// The model that made its vectors, by name.
    pub model: String,
    /// Its digest.
    pub model_digest: String,
}

/// The generation that answers, unless none was published yet. It is read in pieces, all of them of one moment, on a
/// connection of its own. Begin [`rooms::cache::Cache::begin`] before.
///
/// # Errors
/// See [`Error`]. [`Error::Disagreement`] where a chunk is not marked as its document is.
pub async fn load(database: &Database, grant: &Grant) -> Result<Option<Loaded>, Error> {
    let purpose = Purpose {
        verbs: &[Verb::Search, Verb::Ask, Verb::RedTeam],
        sees: Sees::All,
        access: Access::Snapshot,
    };
    let mut connection = database.connect().await?;
    let mut inside = enter_on(&mut connection, grant, purpose).await?;
    let Some(generation) = inside.head.live else {
        return Ok(None);
    };
    build(&mut inside, grant, generation).await.map(Some)
}

/// A generation that is building or kept, so that it can be measured before it answers.
///
/// # Errors
/// See [`Error`]. [`Error::NoGeneration`] where there is none of that number.
pub async fn load_shadow(database: &Database, grant: &Grant, generation: i64) -> Result<Loaded, Error> {
    let purpose = Purpose {
        verbs: &[Verb::Ingest],
        sees: Sees::All,
        access: Access::Snapshot,
    };
    let mut connection = database.connect().await?;
    let mut inside = enter_on(&mut connection, grant, purpose).await?;
    build(&mut inside, grant, generation).await
}

const GENERATION: &str = "
    SELECT dimension, model, model_digest FROM room_generation
    WHERE room = $1 AND number = $2 AND state IN ('building', 'live', 'retired')";

const CHUNKS: &str = "
    SELECT room, id, document, clearance, text, tokens, embedding FROM room_chunk
    WHERE room = $1 AND generation = $2 AND id > $3 ORDER BY id LIMIT $4";

/// One row for many chunks.
const DOCUMENTS: &str = "
    SELECT room, id, source, name, clearance, acl FROM room_document
    WHERE room = $1 AND id = ANY($2) AND state = 'present' ORDER BY id";

async fn build(inside: &mut Inside<'_>, grant: &Grant, generation: i64) -> Result<Loaded, Error> {
    let made = sqlx::query(GENERATION)
        .bind(inside.room)
        .bind(generation)
        .fetch_optional(&mut *inside.transaction)
        .await?;
    let made = made.ok_or(Error::NoGeneration(generation))?;
    let dimension: i32 = made.try_get("dimension")?;
    let mut builder = Builder::new(grant.room().clone(), generation, dimension.unsigned_abs() as usize);
    let mut after = 0i64;
    loop {
        let rows = sqlx::query(CHUNKS)
            .bind(inside.room)
            .bind(generation)
            .bind(after)
            .bind(ROWS)
            .fetch_all(&mut *inside.transaction)
            .await?;
        let Some(last) = rows.last() else { break };
        after = last.try_get("id")?;
        let documents = documents(inside, &rows).await?;
        for (number, row) in rows.iter().enumerate() {
            push(inside, &mut builder, row, &documents)?;
            if number % TURN == 0 {
                tokio::task::yield_now().await;
            }
        }
    }
    let index = builder.finish()?;
    let head = inside.head;
    Ok(Loaded {
        index,
        head,
        model: made.try_get("model")?,
        model_digest: made.try_get("model_digest")?,
    })
}

struct Document {
    id: i64,
    source: String,
    name: String,
    clearance: Clearance,
    acl: Acl,
}

/// Those of the chunks, in the order of their numbers, unless they are hidden from everyone.
async fn documents(inside: &mut Inside<'_>, chunks: &[PgRow]) -> Result<Vec<Document>, Error> {
    let mut ids: Vec<i64> = Vec::new();
    for chunk in chunks {
        let id = chunk.try_get("document")?;
        if ids.last() != Some(&id) {
            ids.push(id);
        }
    }
    let rows = sqlx::query(DOCUMENTS)
        .bind(inside.room)
        .bind(ids)
        .fetch_all(&mut *inside.transaction)
        .await?;
    let mut documents = Vec::new();
    for row in rows {
        let id = row.try_get("id")?;
        inside.own(&row, "a document", id)?;
        let (clearance, acl) = rights(&row)?;
        documents.push(Document {
            id,
            source: row.try_get("source")?,
            name: row.try_get("name")?,
            clearance,
            acl,
        });
    }
    Ok(documents)
}

fn push(inside: &Inside<'_>, builder: &mut Builder, row: &PgRow, documents: &[Document]) -> Result<(), Error> {
    let id = row.try_get("id")?;
    inside.own(row, "a chunk", id)?;
    let document: i64 = row.try_get("document")?;
    let Ok(place) = documents.binary_search_by_key(&document, |document| document.id) else {
        return Ok(());
    };
    let document = &documents[place];
    // What row-level security goes by, and what the grant does.
    if row.try_get::<i16, _>("clearance")? != i16::from(document.clearance.0) {
        return Err(inside.disagree("a chunk", id));
    }
    let chunk = ChunkId(id);
    let embedding = Embedding::from_bytes(row.try_get("embedding")?);
    let embedding = embedding.map_err(|error| Error::Vector { chunk, error })?;
    let tokens: i32 = row.try_get("tokens")?;
    let chunk = Chunk {
        id: chunk,
        document: document.name.clone(),
        source: document.source.clone(),
        // Those who search do not look at it: texts come with it.
        place: Default::default(),
        text: row.try_get("text")?,
        clearance: document.clearance,
        acl: document.acl.clone(),
    };
    builder.push(&chunk, tokens.unsigned_abs(), embedding)?;
    Ok(())
}
