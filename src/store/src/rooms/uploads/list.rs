//! What was contributed, for who did and for whoever fills the Room.

use rooms::Grant;
use sqlx::{Row as _, postgres::PgRow};

use super::{CONTRIBUTE, Stored, read};
use crate::Database;
use crate::rooms::enter::{Access, FILL, Purpose, enter};
use crate::rooms::error::Error;
use crate::rooms::limits::MAX_BATCH;

const MINE: &str = "
    SELECT * FROM room_upload WHERE room = $1 AND author = $2 AND digest IS NOT NULL AND clearance <= $3
    ORDER BY at DESC, id LIMIT $4";

/// What the grant's own user has contributed, the latest first, up to [`MAX_BATCH`].
///
/// # Errors
/// See [`Error`].
pub async fn uploads(database: &Database, grant: &Grant) -> Result<Vec<Stored>, Error> {
    let purpose = Purpose {
        access: Access::Read,
        ..CONTRIBUTE
    };
    let author = &grant.principal().user;
    let mut inside = enter(database, grant, purpose).await?;
    let rows = sqlx::query(MINE)
        .bind(inside.room)
        .bind(author)
        .bind(i16::from(grant.clearance().0))
        .bind(MAX_BATCH as i64)
        .fetch_all(&mut *inside.transaction)
        .await?;
    let mut mine = Vec::new();
    for row in rows {
        let id = row.try_get("id")?;
        inside.own(&row, "a contribution", id)?;
        if row.try_get::<&str, _>("author")? != author {
            return Err(inside.disagree("a contribution", id));
        }
        mine.push(read(&row)?);
    }
    Ok(mine)
}

const OF_SOURCE: &str = "
    SELECT * FROM room_upload WHERE room = $1 AND source = $2 AND digest IS NOT NULL AND name > $3 ORDER BY name LIMIT $4";

/// Contributions to a source for whoever fills the Room, in the order of their names, up to [`MAX_BATCH`], from the first
/// behind `after`.
///
/// # Errors
/// See [`Error`].
pub async fn stored(database: &Database, grant: &Grant, source: &str, after: &str) -> Result<Vec<Stored>, Error> {
    let purpose = Purpose {
        access: Access::Read,
        ..FILL
    };
    let mut inside = enter(database, grant, purpose).await?;
    let rows = sqlx::query(OF_SOURCE)
        .bind(inside.room)
        .bind(source)
        .bind(after)
        .bind(MAX_BATCH as i64)
        .fetch_all(&mut *inside.transaction)
        .await?;
    let one = |row: PgRow| {
        inside.own(&row, "a contribution", row.try_get("id")?)?;
        read(&row)
    };
    rows.into_iter().map(one).collect()
}

/// A contribution by its number, for whoever fills the Room, if it has arrived.
///
/// # Errors
/// See [`Error`].
pub async fn upload(database: &Database, grant: &Grant, id: i64) -> Result<Option<Stored>, Error> {
    let purpose = Purpose {
        access: Access::Read,
        ..FILL
    };
    let mut inside = enter(database, grant, purpose).await?;
    let row = sqlx::query("SELECT * FROM room_upload WHERE room = $1 AND id = $2 AND digest IS NOT NULL")
        .bind(inside.room)
        .bind(id)
        .fetch_optional(&mut *inside.transaction)
        .await?;
    let Some(row) = row else { return Ok(None) };
    inside.own(&row, "a contribution", id)?;
    read(&row).map(Some)
}

/// A part of a contribution, from 0; none behind the last one, or where it was removed meanwhile.
///
/// # Errors
/// See [`Error`].
pub async fn read_upload(database: &Database, grant: &Grant, upload: i64, part: u32) -> Result<Option<Vec<u8>>, Error> {
    let purpose = Purpose {
        access: Access::Read,
        ..FILL
    };
    let mut inside = enter(database, grant, purpose).await?;
    let select = "SELECT room, content FROM room_upload_part WHERE room = $1 AND upload = $2 AND part = $3";
    let row = sqlx::query(select)
        .bind(inside.room)
        .bind(upload)
        .bind(i64::from(part))
        .fetch_optional(&mut *inside.transaction)
        .await?;
    let Some(row) = row else { return Ok(None) };
    inside.own(&row, "a contribution", upload)?;
    Ok(Some(row.try_get("content")?))
}
