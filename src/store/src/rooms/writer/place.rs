//! Documents on their way into a generation.

use std::collections::{BTreeMap, BTreeSet};

use rooms::Grant;
use sqlx::Row as _;

use super::Writer;
use super::document::{DocumentId, NewDocument, Placed, Sent};
use crate::rooms::error::{Error, Unfit};
use crate::rooms::inside::Inside;
use crate::rooms::limits;
use crate::rooms::rights::{Moment, apply, check_read, json};

/// So many draws of numbers. With a million documents, one of eight thousand draws is of one that is taken.
const DRAWS: usize = 16;

const EXISTING: &str = "
    SELECT w.at, d.id, d.state, d.is_barred
    FROM jsonb_to_recordset($2::jsonb) AS w (at integer, source text, name text)
    CROSS JOIN LATERAL (SELECT id, state, is_barred FROM room_document
        WHERE room = $1 AND source = w.source AND name = w.name LIMIT 1) d";

const INSERT: &str = "
    INSERT INTO room_document (room, id, source, name, state, clearance, acl, rights_read_at, revision)
    SELECT $1, w.id, w.source, w.name, 'present', w.clearance, w.acl,
        timestamptz 'epoch' + $3 * interval '1 microsecond', $4
    FROM jsonb_to_recordset($2::jsonb) AS w (id bigint, source text, name text, clearance smallint, acl text[])
    ON CONFLICT (room, id) DO NOTHING RETURNING id";

const RETURN: &str = "
    UPDATE room_document SET state = 'present', reason = NULL, revision = $3, shown = $3, changed = now()
    WHERE room = $1 AND id = ANY($2)";

/// What an earlier step had of them.
const CLEAR: &str = "DELETE FROM room_chunk WHERE room = $1 AND generation = $2 AND document = ANY($3)";

const CONTENT: &str = "
    INSERT INTO room_content
        (room, generation, document, clearance, digest, title, origin, bytes, pages, chunks, reason)
    SELECT $1, $2, d.id, d.clearance, w.digest, w.title, w.origin, w.bytes, w.pages, w.chunks, w.reason
    FROM jsonb_to_recordset($3::jsonb) AS w
        (id bigint, digest bytea, title text, origin text, bytes bigint, pages integer, chunks integer, reason text)
    CROSS JOIN LATERAL (SELECT id, clearance FROM room_document WHERE room = $1 AND id = w.id LIMIT 1) d
    ON CONFLICT (room, generation, document) DO UPDATE SET clearance = excluded.clearance, digest = excluded.digest,
        title = excluded.title, origin = excluded.origin, bytes = excluded.bytes, pages = excluded.pages,
        chunks = excluded.chunks, reason = excluded.reason";

impl Writer {
    /// Places up to [`MAX_BATCH`](crate::rooms::MAX_BATCH) documents in the generation, and says of each what became of
    /// it. One that is placed again begins anew. Their rights were read at `read`; where they differ from what is known,
    /// and are not older, they hold at once in all generations. Nothing else of this is seen before the generation is
    /// published.
    ///
    /// # Errors
    /// [`Error::Fenced`]; [`Error::Unfit`] for a document that cannot be kept, before anything is written.
    pub async fn place(&self, grant: &Grant, read: Moment, documents: &[NewDocument]) -> Result<Vec<Placed>, Error> {
        limits::batch("documents", documents.len())?;
        let mut names = BTreeSet::new();
        for document in documents {
            document.check()?;
            if !names.insert((&document.source, &document.name)) {
                return Err(Unfit::Twice("a document").into());
            }
        }
        let mut inside = self.step(grant).await?;
        check_read(&mut inside, read).await?;
        let mut placed = existing(&mut inside, documents).await?;
        let known: Vec<_> = (documents.iter().enumerate())
            .filter_map(|(at, document)| match placed.get(&at) {
                Some(Placed::Here(id)) => Some((*id, document.clearance, &document.acl)),
                _ => None,
            })
            .collect();
        apply(&mut inside, read, &known).await?;
        let ids: Vec<i64> = known.iter().map(|known| known.0.0).collect();
        sqlx::query(CLEAR)
            .bind(inside.room)
            .bind(self.generation)
            .bind(ids)
            .execute(&mut *inside.transaction)
            .await?;
        insert(&mut inside, read, documents, &mut placed).await?;
        let here: Vec<_> = (documents.iter().enumerate())
            .filter_map(|(at, document)| match placed.get(&at) {
                Some(Placed::Here(id)) => Some(Sent::new(at, id.0, document)),
                _ => None,
            })
            .collect();
        sqlx::query(CONTENT)
            .bind(inside.room)
            .bind(self.generation)
            .bind(json(&here))
            .execute(&mut *inside.transaction)
            .await?;
        inside.commit().await?;
        Ok(placed.into_values().collect())
    }
}

/// What is known of documents, by their places in the batch. Those that had gone are there again.
async fn existing(inside: &mut Inside<'_>, documents: &[NewDocument]) -> Result<BTreeMap<usize, Placed>, Error> {
    let sent: Vec<_> = (documents.iter().enumerate())
        .map(|(at, document)| Sent::new(at, 0, document))
        .collect();
    let rows = sqlx::query(EXISTING)
        .bind(inside.room)
        .bind(json(&sent))
        .fetch_all(&mut *inside.transaction)
        .await?;
    let (mut placed, mut returning) = (BTreeMap::new(), Vec::new());
    for row in rows {
        let (at, id): (i32, i64) = (row.try_get("at")?, row.try_get("id")?);
        let what = match row.try_get("state")? {
            _ if row.try_get("is_barred")? => Placed::Barred,
            "quarantined" => Placed::Quarantined,
            state => {
                if state == "deleted" {
                    returning.push(id);
                }
                Placed::Here(DocumentId(id))
            }
        };
        placed.insert(at as usize, what);
    }
    if !returning.is_empty() {
        let revision = inside.revise().await?;
        sqlx::query(RETURN)
            .bind(inside.room)
            .bind(returning)
            .bind(revision)
            .execute(&mut *inside.transaction)
            .await?;
    }
    Ok(placed)
}

/// Gives numbers to documents that have none.
async fn insert(
    inside: &mut Inside<'_>,
    read: Moment,
    documents: &[NewDocument],
    placed: &mut BTreeMap<usize, Placed>,
) -> Result<(), Error> {
    for _ in 0..DRAWS {
        let fresh: Vec<_> = (documents.iter().enumerate())
            .filter(|(at, _)| !placed.contains_key(at))
            .collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let mut ids = BTreeSet::new();
        while ids.len() < fresh.len() {
            ids.insert(DocumentId::draw());
        }
        let drawn: Vec<_> = (fresh.into_iter().zip(ids))
            .map(|((at, document), id)| Sent::new(at, id.0, document))
            .collect();
        let taken: Vec<i64> = sqlx::query_scalar(INSERT)
            .bind(inside.room)
            .bind(json(&drawn))
            .bind(read.0)
            .bind(inside.head.revision)
            .fetch_all(&mut *inside.transaction)
            .await?;
        let of_id: BTreeMap<i64, usize> = drawn.iter().map(|sent| (sent.id, sent.at)).collect();
        for id in taken {
            if let Some(at) = of_id.get(&id) {
                placed.insert(*at, Placed::Here(DocumentId(id)));
            }
        }
    }
    Err(Error::Damaged("the numbering of documents"))
}
