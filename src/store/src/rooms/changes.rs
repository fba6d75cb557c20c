//! What changed in a Room since it was looked at last.

use rooms::{Grant, index::Change};
use sqlx::Row as _;

use super::enter::{Purpose, READ, Sees, enter};
use super::error::Error;
use super::inside::{Head, Inside, rights};
use crate::Database;

/// With more than these it is as quick to load anew.
const MOST: i64 = 10_000;

/// What changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Since {
    /// This, to be given to [`rooms::cache::Cache::revise`]. It leads to [`Head::revision`].
    Changes {
        /// How things stand with these changes.
        head: Head,
        /// None of them where nothing changed. They tell of documents that the grant does not see: they are for the
        /// cache, and for nobody else.
        changes: Vec<Change>,
    },
    /// Too much, or something that an index cannot be changed to: drop it and load it again.
    Reload(Head),
}

const SOURCES: &str = "
    SELECT room, source FROM room_source WHERE room = $1 AND removed > $2 ORDER BY source";

/// Without those that went with their source.
const DOCUMENTS: &str = "
    SELECT d.room, d.id, d.source, d.name, d.state, d.clearance, d.acl, d.shown > $2 AS is_back
    FROM room_document d LEFT JOIN room_source s ON s.room = $1 AND s.source = d.source
    WHERE d.room = $1 AND d.revision > $2
        AND NOT (d.state = 'deleted' AND s.removed IS NOT NULL AND s.removed = d.revision)
    ORDER BY d.revision, d.id LIMIT $3";

/// What changed since revision `since`, which came with an index or with the last answer. To be asked before each search:
/// so deletions and rights that were narrowed hold from the next search on. Whether another generation answers, the head
/// says.
///
/// # Errors
/// See [`Error`].
pub async fn changes(database: &Database, grant: &Grant, since: i64) -> Result<Since, Error> {
    let purpose = Purpose {
        sees: Sees::All,
        ..READ
    };
    let mut inside = enter(database, grant, purpose).await?;
    let head = inside.head;
    if since == head.revision {
        return Ok(Since::Changes {
            head,
            changes: Vec::new(),
        });
    }
    // A later one is of another history: the database was restored.
    if since < inside.forgotten || since > head.revision {
        return Ok(Since::Reload(head));
    }
    let mut changes = sources(&mut inside, since).await?;
    let rows = sqlx::query(DOCUMENTS)
        .bind(inside.room)
        .bind(since)
        .bind(MOST + 1)
        .fetch_all(&mut *inside.transaction)
        .await?;
    if rows.len() as i64 > MOST {
        return Ok(Since::Reload(head));
    }
    for row in rows {
        inside.own(&row, "a document", row.try_get("id")?)?;
        let (source, document) = (row.try_get("source")?, row.try_get("name")?);
        if row.try_get::<&str, _>("state")? != "present" {
            changes.push(Change::Remove { source, document });
        } else if row.try_get("is_back")? {
            // An index has dropped it, or has not heard yet that it was gone.
            return Ok(Since::Reload(head));
        } else {
            let (clearance, acl) = rights(&row)?;
            changes.push(Change::Rights {
                source,
                document,
                clearance,
                acl,
            });
        }
    }
    Ok(Since::Changes { head, changes })
}

async fn sources(inside: &mut Inside<'_>, since: i64) -> Result<Vec<Change>, Error> {
    let rows = sqlx::query(SOURCES)
        .bind(inside.room)
        .bind(since)
        .fetch_all(&mut *inside.transaction)
        .await?;
    let mut changes = Vec::new();
    for row in rows {
        inside.own(&row, "a source", 0)?;
        let source = row.try_get("source")?;
        changes.push(Change::RemoveSource { source });
    }
    Ok(changes)
}
