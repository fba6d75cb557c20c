//! Documents, as somebody sees them: what is hidden is not listed, not counted, and not told from what is not there.

use rooms::{Clearance, Grant, Verb};
use sqlx::{Row as _, postgres::PgRow};

use super::enter::{Access, Purpose, Sees, enter};
use super::error::Error;
use super::inside::{Inside, names};
use super::limits::MAX_BATCH;
use crate::Database;

/// For all who are inside.
const LIST: Purpose = Purpose {
    verbs: &[Verb::Search, Verb::Ask, Verb::RedTeam, Verb::Contribute, Verb::Curate],
    sees: Sees::Granted,
    access: Access::Snapshot,
};

/// A document of the generation that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its source.
    pub source: String,
    /// Its name, unique in its source.
    pub name: String,
    /// What it is called.
    pub title: Option<String>,
    /// Where it came from.
    pub origin: Option<String>,
    /// Clearance that it needs.
    pub clearance: Clearance,
    /// SHA-256 of its bytes.
    pub digest: [u8; 32],
    /// Its size in bytes.
    pub bytes: u64,
    /// Its pages, where it has pages.
    pub pages: Option<u32>,
    /// Its chunks.
    pub chunks: u32,
}

/// Where a page of a list ends: a source, and the name of a document.
pub type Cursor = (String, String);

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// By source and name.
    pub documents: Vec<Document>,
    /// How many there are on all pages together; said with the first page only, for it takes a look at each.
    pub total: Option<u64>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}

macro_rules! visible {
    ($what:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            $what,
            " FROM room_document d CROSS JOIN LATERAL (SELECT * FROM room_content
                WHERE room = $1 AND generation = $2 AND document = d.id AND reason IS NULL LIMIT 1) k
            WHERE d.room = $1 AND d.state = 'present'
                AND d.clearance <= $3 AND (d.acl IS NULL OR d.acl && $4) ",
            $rest
        )
    };
}

const COUNT: &str = visible!("count(*)", "");
const PAGE: &str = visible!(
    "d.room, d.id, d.source, d.name, d.clearance, d.acl, k.title, k.origin, k.digest, k.bytes, k.pages, k.chunks",
    "AND (d.source, d.name) > ($5, $6) ORDER BY d.source, d.name LIMIT $7"
);
const ONE: &str = visible!(
    "d.room, d.id, d.source, d.name, d.clearance, d.acl, k.title, k.origin, k.digest, k.bytes, k.pages, k.chunks",
    "AND d.source = $5 AND d.name = $6 LIMIT $7"
);

/// Documents that the grant sees, up to `limit` of them and [`MAX_BATCH`], from the first behind `after`.
///
/// # Errors
/// See [`Error`].
pub async fn documents(
    database: &Database,
    grant: &Grant,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Listing, Error> {
    let mut inside = enter(database, grant, LIST).await?;
    let limit = limit.min(MAX_BATCH);
    let total = match after {
        None => Some(count(&mut inside, grant).await?),
        Some(_) => None,
    };
    let (source, name) = after.map_or(("", ""), |after| (&after.0, &after.1));
    // One more says whether there is a next page.
    let mut documents = select(&mut inside, grant, PAGE, (source, name), limit as i64 + 1).await?;
    let is_more = documents.len() > limit;
    documents.truncate(limit);
    let next = documents.last().filter(|_| is_more);
    Ok(Listing {
        next: next.map(|last| (last.source.clone(), last.name.clone())),
        documents,
        total,
    })
}

async fn count(inside: &mut Inside<'_>, grant: &Grant) -> Result<u64, Error> {
    let total: i64 = sqlx::query_scalar(COUNT)
        .bind(inside.room)
        .bind(inside.head.live)
        .bind(i16::from(grant.clearance().0))
        .bind(names(grant))
        .fetch_one(&mut *inside.transaction)
        .await?;
    Ok(total.unsigned_abs())
}

/// A document by its name. One that is hidden and one that is not there are the same.
///
/// # Errors
/// See [`Error`].
pub async fn document(database: &Database, grant: &Grant, source: &str, name: &str) -> Result<Option<Document>, Error> {
    // No document has such a name.
    if source.contains('\0') || name.contains('\0') {
        return Ok(None);
    }
    let mut inside = enter(database, grant, LIST).await?;
    let documents = select(&mut inside, grant, ONE, (source, name), 1).await?;
    Ok(documents.into_iter().next())
}

async fn select(
    inside: &mut Inside<'_>,
    grant: &Grant,
    statement: &'static str,
    (source, name): (&str, &str),
    limit: i64,
) -> Result<Vec<Document>, Error> {
    let rows = sqlx::query(statement)
        .bind(inside.room)
        .bind(inside.head.live)
        .bind(i16::from(grant.clearance().0))
        .bind(names(grant))
        .bind(source)
        .bind(name)
        .bind(limit)
        .fetch_all(&mut *inside.transaction)
        .await?;
    rows.iter().map(|row| read(inside, grant, row)).collect()
}

fn read(inside: &Inside<'_>, grant: &Grant, row: &PgRow) -> Result<Document, Error> {
    let (clearance, _) = inside.seen(grant, row, "a document", row.try_get("id")?)?;
    let digest: Vec<u8> = row.try_get("digest")?;
    Ok(Document {
        source: row.try_get("source")?,
        name: row.try_get("name")?,
        title: row.try_get("title")?,
        origin: row.try_get("origin")?,
        clearance,
        digest: digest.try_into().map_err(|_| Error::Damaged("a digest"))?,
        bytes: row.try_get::<i64, _>("bytes")?.unsigned_abs(),
        pages: row.try_get::<Option<i32>, _>("pages")?.map(i32::unsigned_abs),
        chunks: row.try_get::<i32, _>("chunks")?.unsigned_abs(),
    })
}
