//! Taking away what somebody has asked.

use sqlx::Row as _;

use super::enter::{User, guard};
use super::error::Error;
use super::limits::HIGHEST;
use crate::Database;

const ROOMS: &str = "SELECT uid FROM room WHERE namespace = $1 ORDER BY id";

/// A purge waits for it, and it for a purge.
const ROOM: &str = "
    SELECT id, set_config('atelier.room', id::text, true) FROM room WHERE uid = $1 FOR KEY SHARE";

const FORGET: &str = "
    UPDATE room_answer SET question = NULL, answer = NULL, statements = NULL
    WHERE room = $1 AND author = $2 AND (question IS NOT NULL OR answer IS NOT NULL OR statements IS NOT NULL)";

/// Takes away the words of all that `author` has asked and was answered in the Rooms of `namespace`, and gives their number.
/// What answers were made of stays, as rows of the audit trail do. For who runs the database, so there is no grant.
/// It may be interrupted: what is left is for the next time.
///
/// # Errors
/// See [`Error`].
pub async fn erase_answers(database: &Database, namespace: &str, author: &str) -> Result<u64, Error> {
    let transaction = database.pool().begin().await?;
    let mut transaction = guard(transaction, "", (HIGHEST, false), User::Guarded).await?;
    sqlx::query("SELECT set_config('atelier.list', 'on', true)")
        .execute(&mut *transaction)
        .await?;
    let rooms: Vec<String> = sqlx::query_scalar(ROOMS)
        .bind(namespace)
        .fetch_all(&mut *transaction)
        .await?;
    transaction.commit().await?;
    let mut erased = 0;
    for uid in rooms {
        let transaction = database.pool().begin().await?;
        let mut transaction = guard(transaction, &uid, (HIGHEST, true), User::Guarded).await?;
        let room = sqlx::query(ROOM).bind(&uid).fetch_optional(&mut *transaction).await?;
        // One that was purged meanwhile has no words any more.
        let Some(room) = room else { continue };
        let done = sqlx::query(FORGET)
            .bind(room.try_get::<i32, _>("id")?)
            .bind(author)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        erased += done.rows_affected();
    }
    Ok(erased)
}
