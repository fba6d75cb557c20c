//! What a Room's status says, for its operator. It counts what only some may see: members do not get it.

use std::time::Duration;

use rooms::{Grant, Verb, redteam::planted_names};
use sqlx::Row as _;

use super::enter::{Access, Purpose, Sees, enter};
use super::error::Error;
use super::inside::{Head, Inside};
use crate::Database;

/// A Room in numbers, of the generation that answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overview {
    /// How it stands.
    pub head: Head,
    /// Documents that can be found.
    pub documents: u64,
    /// Their chunks.
    pub chunks: u64,
    /// Documents that were set aside, by reason.
    pub quarantined: Vec<(String, u64)>,
    /// The sources that it knows of, by name.
    pub sources: Vec<Source>,
    /// How long ago the last contribution arrived as a whole.
    pub newest_upload: Option<Duration>,
}

/// A source in numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Documents of it that can be found.
    pub documents: u64,
    /// How long ago its rights were read.
    pub rights_age: Option<Duration>,
}

/// What is planted for the red team is nobody's document: see [`rooms::redteam`].
const COUNTS: &str = "
    SELECT count(*) AS documents, coalesce(sum(k.chunks), 0)::bigint AS chunks
    FROM room_document d CROSS JOIN LATERAL (SELECT chunks FROM room_content
        WHERE room = $1 AND generation = $2 AND document = d.id AND reason IS NULL LIMIT 1) k
    WHERE d.room = $1 AND d.state = 'present'
        AND NOT (d.acl IS NOT NULL AND cardinality(d.acl) > 0 AND d.acl <@ $3)";

const QUARANTINED: &str = "
    SELECT coalesce(CASE WHEN d.state = 'quarantined' THEN d.reason ELSE k.reason END, '') AS reason, count(*) AS documents
    FROM room_document d LEFT JOIN LATERAL (SELECT reason FROM room_content
        WHERE room = $1 AND generation = $2 AND document = d.id LIMIT 1) k ON true
    WHERE d.room = $1 AND (d.state = 'quarantined' OR d.state = 'present' AND k.reason IS NOT NULL)
    GROUP BY 1 ORDER BY 1";

const SOURCES: &str = "
    SELECT s.source, extract(epoch FROM clock_timestamp() - s.rights_read_at)::float8 AS rights_age,
        (SELECT count(*) FROM room_document d CROSS JOIN LATERAL (SELECT FROM room_content
                WHERE room = $1 AND generation = $2 AND document = d.id AND reason IS NULL LIMIT 1) k
            WHERE d.room = $1 AND d.source = s.source AND d.state = 'present'
                AND NOT (d.acl IS NOT NULL AND cardinality(d.acl) > 0 AND d.acl <@ $3)) AS documents
    FROM room_source s WHERE s.room = $1 AND s.removed IS NULL ORDER BY s.source";

const NEWEST_UPLOAD: &str = "
    SELECT extract(epoch FROM clock_timestamp() - max(at))::float8 FROM room_upload WHERE room = $1 AND digest IS NOT NULL";

/// How a Room stands.
///
/// # Errors
/// See [`Error`].
pub async fn overview(database: &Database, grant: &Grant) -> Result<Overview, Error> {
    let purpose = Purpose {
        verbs: &[Verb::Ingest],
        sees: Sees::All,
        access: Access::Snapshot,
    };
    let mut inside = enter(database, grant, purpose).await?;
    let head = inside.head;
    let counts = sqlx::query(COUNTS)
        .bind(inside.room)
        .bind(head.live)
        .bind(planted_names())
        .fetch_one(&mut *inside.transaction)
        .await?;
    let quarantined = sqlx::query(QUARANTINED)
        .bind(inside.room)
        .bind(head.live)
        .fetch_all(&mut *inside.transaction)
        .await?;
    let quarantined = quarantined.iter().map(|row| {
        let documents: i64 = row.try_get("documents")?;
        Ok((row.try_get("reason")?, documents.unsigned_abs()))
    });
    Ok(Overview {
        head,
        documents: counts.try_get::<i64, _>("documents")?.unsigned_abs(),
        chunks: counts.try_get::<i64, _>("chunks")?.unsigned_abs(),
        quarantined: quarantined.collect::<sqlx::Result<_>>()?,
        sources: sources(&mut inside).await?,
        newest_upload: newest_upload(&mut inside).await?,
    })
}

async fn sources(inside: &mut Inside<'_>) -> Result<Vec<Source>, Error> {
    let rows = sqlx::query(SOURCES)
        .bind(inside.room)
        .bind(inside.head.live)
        .bind(planted_names())
        .fetch_all(&mut *inside.transaction)
        .await?;
    let read = |row: sqlx::postgres::PgRow| {
        let age: Option<f64> = row.try_get("rights_age")?;
        Ok(Source {
            name: row.try_get("source")?,
            documents: row.try_get::<i64, _>("documents")?.unsigned_abs(),
            rights_age: age.map(duration),
        })
    };
    rows.into_iter().map(read).collect()
}

async fn newest_upload(inside: &mut Inside<'_>) -> Result<Option<Duration>, Error> {
    let age: Option<f64> = sqlx::query_scalar(NEWEST_UPLOAD)
        .bind(inside.room)
        .fetch_one(&mut *inside.transaction)
        .await?;
    Ok(age.map(duration))
}

/// What lies in the future, by a clock that was set back, is now.
fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
