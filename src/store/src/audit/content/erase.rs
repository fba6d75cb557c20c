//! Taking away the keys of one user, and what they have asked in Rooms.

use serde::Serialize;
use sqlx::Connection;

use super::rows::LOCK;
use crate::{
    Database,
    audit::{
        Kind,
        evidence::{Evidence, Failed},
    },
    rooms,
};

/// What was erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Erased {
    /// Data keys.
    pub keys: u64,
    /// Requests and answers that nobody can read any more.
    pub contents: i64,
    /// Questions in Rooms and their answers, whose words are gone. They lie beside the documents, not in the trail.
    pub room_answers: u64,
}

#[derive(Serialize)]
struct Event<'a> {
    namespace: &'a str,
    reason: &'a str,
    #[serde(flatten)]
    erased: Erased,
}

const COUNT: &str = "
    WITH k AS (SELECT id FROM audit_key WHERE namespace = $1 AND subject = $2 AND wrapped IS NOT NULL)
    SELECT (SELECT count(*) FROM audit_content WHERE key IN (SELECT id FROM k))
        + (SELECT count(*) FROM shadow_content WHERE key IN (SELECT id FROM k))";

const ERASE: &str = "
    UPDATE audit_key SET wrapped = NULL WHERE namespace = $1 AND subject = $2 AND wrapped IS NOT NULL";

/// Makes all content of `subject` at the models and Rooms of `namespace` unreadable, and writes a row that says so, with the
/// reason. Rows stay as they are.
///
/// # Errors
/// When the database is not there, or does not say that it has done so.
pub async fn erase(database: &Database, namespace: &str, subject: &str, reason: &str) -> Result<Erased, Failed> {
    // Of the one that was interrupted nothing is told; the next one does what is left.
    let room_answers = rooms::erase_answers(database, namespace, subject).await?;
    let mut connection = database.connect().await?;
    let mut transaction = connection.begin().await?;
    // Who writes keys at this moment ends first, so that none is overlooked.
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(LOCK)
        .execute(&mut *transaction)
        .await?;
    let contents = sqlx::query_scalar(COUNT).bind(namespace).bind(subject);
    let contents = contents.fetch_one(&mut *transaction).await?;
    let keys = sqlx::query(ERASE).bind(namespace).bind(subject);
    let keys = keys.execute(&mut *transaction).await?.rows_affected();
    let erased = Erased {
        keys,
        contents,
        room_answers,
    };
    let event = Event {
        namespace,
        reason,
        erased,
    };
    Evidence::default()
        .write(&mut transaction, Kind::Erased, "", subject, &event)
        .await?;
    transaction.commit().await?;
    Ok(erased)
}
