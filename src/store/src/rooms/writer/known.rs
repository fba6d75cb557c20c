//! What a Room knows of a source, for whoever fills it.

use rooms::{Acl, Clearance, Grant, Verb};
use sqlx::{Row as _, postgres::PgRow};

use crate::rooms::enter::{Access, Purpose, Sees, enter};
use crate::rooms::error::Error;
use crate::rooms::inside::rights;
use crate::rooms::limits::MAX_BATCH;

/// A document of a source. There is nothing in it of what the document says.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// Its name.
    pub name: String,
    /// Clearance that it needs.
    pub clearance: Clearance,
    /// Who may see it.
    pub acl: Acl,
    /// SHA-256 of its bytes in the live generation, if it is in that.
    pub live: Option<[u8; 32]>,
    /// Why the live generation, or all of them, have set it aside.
    pub quarantined: Option<String>,
    /// SHA-256 of the bytes that a curator has released: do not set them aside again.
    pub released: Option<[u8; 32]>,
    /// Whether a curator has removed it: pass it over.
    pub is_barred: bool,
    /// Whether it is gone, by whomever.
    pub is_deleted: bool,
}

const SELECT: &str = "
    SELECT d.room, d.id, d.name, d.clearance, d.acl, d.state, d.released, d.is_barred, k.digest,
        CASE WHEN d.state = 'quarantined' THEN d.reason ELSE k.reason END AS quarantined
    FROM room_document d
    LEFT JOIN LATERAL (SELECT digest, reason FROM room_content
        WHERE room = $1 AND generation = $2 AND document = d.id LIMIT 1) k ON true
    WHERE d.room = $1 AND d.source = $3 AND d.name > $4 ORDER BY d.name LIMIT $5";

/// Up to [`MAX_BATCH`] documents of a source in the order of their names, from the first behind `after`.
///
/// # Errors
/// See [`Error`].
pub async fn known(database: &crate::Database, grant: &Grant, source: &str, after: &str) -> Result<Vec<Known>, Error> {
    let purpose = Purpose {
        verbs: &[Verb::Ingest],
        sees: Sees::All,
        access: Access::Read,
    };
    let mut inside = enter(database, grant, purpose).await?;
    let rows = sqlx::query(SELECT)
        .bind(inside.room)
        .bind(inside.head.live)
        .bind(source)
        .bind(after)
        .bind(MAX_BATCH as i64)
        .fetch_all(&mut *inside.transaction)
        .await?;
    let read = |row: PgRow| {
        inside.own(&row, "a document", row.try_get("id")?)?;
        let (clearance, acl) = rights(&row)?;
        Ok(Known {
            name: row.try_get("name")?,
            clearance,
            acl,
            live: digest(&row, "digest")?,
            quarantined: row.try_get("quarantined")?,
            released: digest(&row, "released")?,
            is_barred: row.try_get("is_barred")?,
            is_deleted: row.try_get::<&str, _>("state")? == "deleted",
        })
    };
    rows.into_iter().map(read).collect()
}

pub(in crate::rooms) fn digest(row: &PgRow, column: &str) -> Result<Option<[u8; 32]>, Error> {
    let bytes: Option<Vec<u8>> = row.try_get(column)?;
    let digest = bytes.map(|bytes| bytes.try_into().map_err(|_| Error::Damaged("a digest")));
    digest.transpose()
}
