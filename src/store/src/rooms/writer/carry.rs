//! Documents that did not change since the live generation.

use std::collections::BTreeSet;

use rooms::Grant;
use serde::Serialize;

use super::Writer;
use super::document::bytea;
use crate::rooms::error::{Error, Unfit};
use crate::rooms::limits;
use crate::rooms::rights::json;

/// Whether the live generation was made in the same way.
const SAME: &str = "
    SELECT EXISTS (SELECT FROM room_generation WHERE room = $1 AND number = $2 AND model = $3 AND model_digest = $4
        AND dimension = $5 AND settings = $6)";

/// What a curator has released is not set aside once more.
const CONTENT: &str = "
    INSERT INTO room_content
        (room, generation, document, clearance, digest, title, origin, bytes, pages, chunks, reason)
    SELECT $1, $2, d.id, d.clearance, k.digest, k.title, k.origin, k.bytes, k.pages, k.chunks, k.reason
    FROM jsonb_to_recordset($5::jsonb) AS w (name text, digest bytea)
    CROSS JOIN LATERAL (SELECT id, clearance, released FROM room_document
        WHERE room = $1 AND source = $4 AND name = w.name AND state = 'present' LIMIT 1) d
    CROSS JOIN LATERAL (SELECT * FROM room_content
        WHERE room = $1 AND generation = $3 AND document = d.id AND digest = w.digest LIMIT 1) k
    WHERE k.reason IS NULL OR d.released IS DISTINCT FROM k.digest
    ON CONFLICT (room, generation, document) DO NOTHING RETURNING document";

/// The vectors do not leave the database. What is computed comes from a subquery: under row-level security, only what
/// is known to leak nothing is looked up in an index, and to shift bits is not.
const CHUNKS: &str = "
    INSERT INTO room_chunk (room, generation, id, document, clearance, place, text, tokens, embedding)
    SELECT $1, $2, c.id, c.document, k.clearance, c.place, c.text, c.tokens, c.embedding
    FROM (SELECT document, document << 20 AS first, ((document + 1) << 20) - 1 AS last
        FROM unnest($4::bigint[]) AS u (document) OFFSET 0) w
    CROSS JOIN LATERAL (SELECT clearance FROM room_content
        WHERE room = $1 AND generation = $2 AND document = w.document LIMIT 1) k
    CROSS JOIN LATERAL (SELECT * FROM room_chunk
        WHERE room = $1 AND generation = $3 AND id BETWEEN w.first AND w.last OFFSET 0) c";

/// Those that are whole, also of an earlier step.
const HAVE: &str = "
    SELECT w.name FROM jsonb_to_recordset($4::jsonb) AS w (name text, digest bytea)
    CROSS JOIN LATERAL (SELECT id, released, id << 20 AS first, ((id + 1) << 20) - 1 AS last FROM room_document
        WHERE room = $1 AND source = $3 AND name = w.name AND state = 'present' LIMIT 1) d
    CROSS JOIN LATERAL (SELECT digest, chunks, reason FROM room_content
        WHERE room = $1 AND generation = $2 AND document = d.id AND digest = w.digest LIMIT 1) k
    WHERE (k.reason IS NULL OR d.released IS DISTINCT FROM k.digest)
        AND k.chunks = (SELECT count(*) FROM room_chunk
            WHERE room = $1 AND generation = $2 AND id BETWEEN d.first AND d.last)";

#[derive(Serialize)]
struct Wanted<'a> {
    name: &'a str,
    digest: String,
}

impl Writer {
    /// Takes over documents of a source that the live generation has with the same bytes, if that was made in the same
    /// way; each with its name and the SHA-256 of its bytes, up to [`MAX_BATCH`](crate::rooms::MAX_BATCH). Gives the names
    /// of those that are whole in this generation now, also from before: only the others have to be placed. Rights are
    /// as they are known: see [`set_rights`](crate::rooms::set_rights).
    ///
    /// # Errors
    /// [`Error::Fenced`], [`Error::Unfit`].
    pub async fn carry(
        &self,
        grant: &Grant,
        source: &str,
        documents: &[(String, [u8; 32])],
    ) -> Result<BTreeSet<String>, Error> {
        limits::batch("documents", documents.len())?;
        limits::name("the name of a source", source, limits::SOURCE)?;
        let mut names = BTreeSet::new();
        for (name, _) in documents {
            limits::name("the name of a document", name, limits::NAME)?;
            if !names.insert(name) {
                return Err(Unfit::Twice("a document").into());
            }
        }
        let digest = |digest: &[u8; 32]| bytea(digest);
        let wanted = documents.iter().map(|(name, sum)| Wanted {
            name,
            digest: digest(sum),
        });
        let wanted = json(&wanted.collect::<Vec<_>>());
        let mut inside = self.step(grant).await?;
        let live = inside.head.live;
        let is_same = sqlx::query_scalar(SAME)
            .bind(inside.room)
            .bind(live)
            .bind(&self.recipe.model)
            .bind(&self.recipe.digest)
            .bind(self.recipe.dimension as i32)
            .bind(&self.recipe.settings)
            .fetch_one(&mut *inside.transaction)
            .await?;
        if is_same {
            let carried: Vec<i64> = sqlx::query_scalar(CONTENT)
                .bind(inside.room)
                .bind(self.generation)
                .bind(live)
                .bind(source)
                .bind(&wanted)
                .fetch_all(&mut *inside.transaction)
                .await?;
            sqlx::query(CHUNKS)
                .bind(inside.room)
                .bind(self.generation)
                .bind(live)
                .bind(carried)
                .execute(&mut *inside.transaction)
                .await?;
        }
        let have: Vec<String> = sqlx::query_scalar(HAVE)
            .bind(inside.room)
            .bind(self.generation)
            .bind(source)
            .bind(&wanted)
            .fetch_all(&mut *inside.transaction)
            .await?;
        inside.commit().await?;
        Ok(have.into_iter().collect())
    }
}
