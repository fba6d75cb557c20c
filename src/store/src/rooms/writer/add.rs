//! Chunks on their way into a generation.

use std::collections::BTreeSet;

use rooms::{
    Acl, ChunkId, Grant, Place,
    chunking::Piece,
    index::{Embedding, VectorError},
};

use super::Writer;
use super::document::{DocumentId, ID_BITS, NewDocument, ORDINAL_BITS};
use crate::rooms::error::{Error, Unfit};
use crate::rooms::limits;
use crate::rooms::pages::Picture;
use crate::rooms::rights::json;

/// So many go in one statement.
const ROWS: usize = 100;

/// A chunk of a document that was placed.
#[derive(Clone, Debug, PartialEq)]
pub struct NewChunk {
    document: DocumentId,
    ordinal: u32,
    place: Place,
    text: String,
    tokens: u32,
    embedding: Embedding,
}

impl NewChunk {
    /// The piece with number `ordinal` of those of a document, from 0. It has so many tokens, by the embedding model.
    ///
    /// # Errors
    /// When it is none of the document's, or needs more rights than that: rights are kept for whole documents, so make
    /// several of one whose parts differ.
    pub fn new(
        (id, document): (DocumentId, &NewDocument),
        ordinal: u32,
        piece: Piece,
        tokens: u32,
        embedding: Embedding,
    ) -> Result<Self, Error> {
        if ordinal >= document.chunks {
            return Err(Unfit::Stranger("a chunk behind the last of its document").into());
        }
        if piece.clearance > document.clearance || (piece.acl != Acl::everyone() && piece.acl != document.acl) {
            return Err(Unfit::Rights.into());
        }
        limits::text("the text of a chunk", &piece.text, limits::TEXT)?;
        for heading in &piece.place.headings {
            limits::text("a heading", heading, limits::TEXT)?;
        }
        Ok(Self {
            document: id,
            ordinal,
            place: piece.place,
            text: piece.text,
            tokens,
            embedding,
        })
    }

    /// A chunk of a document that was placed in an earlier request: whether it is one of the document's, the database
    /// looks when it is added.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn of(
        document: DocumentId,
        ordinal: u32,
        place: Place,
        text: String,
        tokens: u32,
        embedding: Embedding,
    ) -> Result<Self, Error> {
        if ordinal as usize >= limits::MAX_CHUNKS || document.0 <= 0 || document.0 >> ID_BITS != 0 {
            return Err(Unfit::Stranger("a chunk of no document").into());
        }
        limits::text("the text of a chunk", &text, limits::TEXT)?;
        for heading in &place.headings {
            limits::text("a heading", heading, limits::TEXT)?;
        }
        Ok(Self {
            document,
            ordinal,
            place,
            text,
            tokens,
            embedding,
        })
    }

    /// Its name.
    pub fn id(&self) -> ChunkId {
        ChunkId(self.document.0 << ORDINAL_BITS | i64::from(self.ordinal))
    }
}

/// Of documents that are in the generation still, and have so many chunks: one may have been removed meanwhile.
const INSERT: &str = "
    INSERT INTO room_chunk (room, generation, id, document, clearance, place, text, tokens, embedding)
    SELECT $1, $2, c.id, k.document, k.clearance, c.place::jsonb, c.text, c.tokens, c.embedding
    FROM unnest($3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::integer[], $8::bytea[])
        AS c (id, document, place, text, tokens, embedding)
    CROSS JOIN LATERAL (SELECT document, clearance, chunks FROM room_content
        WHERE room = $1 AND generation = $2 AND document = c.document AND reason IS NULL LIMIT 1) k
    WHERE (c.id & 1048575) < k.chunks
    ON CONFLICT (room, generation, id) DO UPDATE SET clearance = excluded.clearance, place = excluded.place,
        text = excluded.text, tokens = excluded.tokens, embedding = excluded.embedding";

const PICTURE: &str = "
    INSERT INTO room_page (room, document, digest, page, clearance, media_type, picture)
    SELECT $1, $3, k.digest, $4, k.clearance, $5, $6 FROM room_content k
    WHERE k.room = $1 AND k.generation = $2 AND k.document = $3
    ON CONFLICT (room, document, digest, page) DO UPDATE SET clearance = excluded.clearance,
        media_type = excluded.media_type, picture = excluded.picture";

impl Writer {
    /// Adds up to [`MAX_BATCH`](crate::rooms::MAX_BATCH) chunks, all of them or none, and says how many: those of a
    /// document that was removed meanwhile are left out. What is added again replaces what was there.
    ///
    /// # Errors
    /// [`Error::Fenced`]; [`Error::Vector`] for a vector of another dimension; [`Error::Unfit`].
    pub async fn add(&self, grant: &Grant, chunks: &[NewChunk]) -> Result<u64, Error> {
        limits::batch("chunks", chunks.len())?;
        let mut ids = BTreeSet::new();
        for chunk in chunks {
            let (expected, found) = (self.recipe.dimension, chunk.embedding.dimension());
            if expected != found {
                let error = VectorError::Dimension { expected, found };
                return Err(Error::Vector {
                    chunk: chunk.id(),
                    error,
                });
            }
            if !ids.insert(chunk.id()) {
                return Err(Unfit::Twice("a chunk").into());
            }
        }
        let mut inside = self.step(grant).await?;
        let mut added = 0;
        for rows in chunks.chunks(ROWS) {
            let done = sqlx::query(INSERT)
                .bind(inside.room)
                .bind(self.generation)
                .bind(rows.iter().map(|chunk| chunk.id().0).collect::<Vec<_>>())
                .bind(rows.iter().map(|chunk| chunk.document.0).collect::<Vec<_>>())
                .bind(rows.iter().map(|chunk| json(&chunk.place)).collect::<Vec<_>>())
                .bind(rows.iter().map(|chunk| &*chunk.text).collect::<Vec<_>>())
                .bind(
                    rows.iter()
                        .map(|chunk| chunk.tokens.min(i32::MAX as u32) as i32)
                        .collect::<Vec<_>>(),
                )
                .bind(rows.iter().map(|chunk| chunk.embedding.to_bytes()).collect::<Vec<_>>())
                .execute(&mut *inside.transaction)
                .await?;
            added += done.rows_affected();
        }
        inside.commit().await?;
        Ok(added)
    }

    /// Keeps the picture of a page of a document that was placed, also of one that is set aside. `page` is from 1.
    ///
    /// # Errors
    /// [`Error::Fenced`]; [`Error::Unfit`] for one of more than 4 MiB, or of a document that is not in the generation.
    pub async fn add_picture(&self, grant: &Grant, id: DocumentId, page: u32, picture: &Picture) -> Result<(), Error> {
        picture.check()?;
        let Some(page) = i32::try_from(page).ok().filter(|page| *page > 0) else {
            return Err(Unfit::Stranger("the number of a page").into());
        };
        let mut inside = self.step(grant).await?;
        let done = sqlx::query(PICTURE)
            .bind(inside.room)
            .bind(self.generation)
            .bind(id.0)
            .bind(page)
            .bind(&picture.media_type)
            .bind(&picture.bytes)
            .execute(&mut *inside.transaction)
            .await?;
        if done.rows_affected() == 0 {
            return Err(Unfit::Stranger("a page").into());
        }
        inside.commit().await
    }
}
