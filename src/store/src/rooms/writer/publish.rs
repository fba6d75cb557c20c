//! How a generation becomes the one that answers.

use rooms::{Grant, redteam::planted_names};
use sqlx::Row as _;

use super::Writer;
use crate::rooms::enter::{Access, FILL, Purpose, enter};
use crate::rooms::error::Error;
use crate::rooms::generations::expire;

/// What a generation has. Whoever filled it knows whether that is all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Documents that are not set aside.
    pub documents: u64,
    /// Documents that are.
    pub quarantined: u64,
    /// Chunks.
    pub chunks: u64,
}

/// What became of generations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The one that answers now.
    pub live: i64,
    /// Those that are not kept any more. [`sweep`](crate::rooms::sweep) takes them away.
    pub expired: Vec<i64>,
}

const STEPS: &str = "
    SELECT steps FROM room_generation WHERE room = $1 AND number = $2 AND fence = $3 AND state = 'building'";

/// Chunks without a document count for one that lacks some. As many bytes belong to a vector as
/// [`rooms::index::Embedding::to_bytes`] says. What is planted for the red team has to be whole, and counts for nothing else.
const COUNT: &str = "
    SELECT count(*) FILTER (WHERE k.reason IS NULL AND k.planted IS NOT TRUE) AS documents,
        count(*) FILTER (WHERE k.reason IS NOT NULL AND k.planted IS NOT TRUE) AS quarantined,
        coalesce(sum(c.chunks) FILTER (WHERE k.planted IS NOT TRUE), 0)::bigint AS chunks,
        count(*) FILTER (WHERE coalesce(k.chunks, 0) <> coalesce(c.chunks, 0)) AS incomplete,
        coalesce(sum(c.strangers), 0)::bigint AS strangers
    FROM (SELECT document, chunks, reason,
            (SELECT d.acl IS NOT NULL AND cardinality(d.acl) > 0 AND d.acl <@ $4
                FROM room_document d WHERE d.room = $1 AND d.id = document LIMIT 1) AS planted
        FROM room_content WHERE room = $1 AND generation = $2) k
    FULL JOIN (
        SELECT document, count(*) AS chunks, count(*) FILTER (WHERE octet_length(embedding) <> 7 + 3 * $3) AS strangers
        FROM room_chunk WHERE room = $1 AND generation = $2 GROUP BY document
    ) c USING (document)";

const VERIFIED: &str = "
    UPDATE room_generation SET verified = steps, touched = now(), documents = $5, chunks = $6
    WHERE room = $1 AND number = $2 AND fence = $3 AND state = 'building' AND steps = $4";

const READY: &str = "
    SELECT verified = steps AS is_verified FROM room_generation
    WHERE room = $1 AND number = $2 AND fence = $3 AND state = 'building'";

const RETIRE: &str = "
    UPDATE room_generation SET state = 'retired', retired = clock_timestamp() WHERE room = $1 AND state = 'live'";

const PUBLISH: &str = "
    WITH flipped AS (
        UPDATE room_generation SET state = 'live', published = clock_timestamp() WHERE room = $1 AND number = $2
    )
    UPDATE room SET live = $2 WHERE id = $1";

impl Writer {
    /// Counts what the generation has: each document has all its chunks, and each vector its dimension. Others may read
    /// and change the Room meanwhile.
    ///
    /// # Errors
    /// [`Error::Incomplete`]; [`Error::Fenced`]; [`Error::Unverified`] if something was written while it counted.
    pub async fn verify(&self, grant: &Grant) -> Result<Verified, Error> {
        let snapshot = Purpose {
            access: Access::Snapshot,
            ..FILL
        };
        let mut inside = enter(&self.database, grant, snapshot).await?;
        let steps: Option<i64> = sqlx::query_scalar(STEPS)
            .bind(inside.room)
            .bind(self.generation)
            .bind(self.fence)
            .fetch_optional(&mut *inside.transaction)
            .await?;
        let steps = steps.ok_or(Error::Fenced)?;
        let row = sqlx::query(COUNT)
            .bind(inside.room)
            .bind(self.generation)
            .bind(self.recipe.dimension as i32)
            .bind(planted_names())
            .fetch_one(&mut *inside.transaction)
            .await?;
        inside.commit().await?;
        let (documents, vectors) = (row.try_get("incomplete")?, row.try_get("strangers")?);
        if documents != 0 || vectors != 0 {
            return Err(Error::Incomplete { documents, vectors });
        }
        let count = |column| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
        let verified = Verified {
            documents: count("documents")?,
            quarantined: count("quarantined")?,
            chunks: count("chunks")?,
        };
        let mut inside = enter(&self.database, grant, FILL).await?;
        let done = sqlx::query(VERIFIED)
            .bind(inside.room)
            .bind(self.generation)
            .bind(self.fence)
            .bind(steps)
            .bind(verified.documents as i64)
            .bind(verified.chunks as i64)
            .execute(&mut *inside.transaction)
            .await?;
        if done.rows_affected() == 0 {
            return Err(Error::Unverified);
        }
        inside.commit().await?;
        Ok(verified)
    }

    /// Makes the generation the one that answers, in one moment, and keeps up to `keep` of those from before, the latest
    /// first.
    ///
    /// # Errors
    /// [`Error::Unverified`] unless it was verified after the last step; [`Error::Fenced`].
    pub async fn publish(&self, grant: &Grant, keep: u32) -> Result<Published, Error> {
        let mut inside = enter(&self.database, grant, FILL).await?;
        let is_verified: Option<Option<bool>> = sqlx::query_scalar(READY)
            .bind(inside.room)
            .bind(self.generation)
            .bind(self.fence)
            .fetch_optional(&mut *inside.transaction)
            .await?;
        if is_verified.ok_or(Error::Fenced)? != Some(true) {
            return Err(Error::Unverified);
        }
        sqlx::query(RETIRE)
            .bind(inside.room)
            .execute(&mut *inside.transaction)
            .await?;
        sqlx::query(PUBLISH)
            .bind(inside.room)
            .bind(self.generation)
            .execute(&mut *inside.transaction)
            .await?;
        let expired = expire(&mut inside, keep).await?;
        inside.commit().await?;
        let live = self.generation;
        Ok(Published { live, expired })
    }
}
