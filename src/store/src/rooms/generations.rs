//! Which generations there are, and back to an earlier one.

use std::time::Duration;

use rooms::{Grant, Verb};
use sqlx::Row as _;

use super::enter::{Access, FILL, Purpose, Sees, enter};
use super::error::Error;
use super::inside::Inside;
use crate::Database;

/// What a generation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is being filled.
    Building,
    /// It answers.
    Live,
    /// It is kept to roll back to.
    Retired,
    /// Its writer was given up.
    Failed,
    /// It is not kept any more.
    Expired,
}

/// A generation. Numbers are as its writer verified them; they count what only some may see.
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
    /// Its number.
    pub number: i64,
    /// What it is for.
    pub state: State,
    /// The embedding model's name.
    pub model: String,
    /// Its digest.
    pub model_digest: String,
    /// How many components vectors have.
    pub dimension: usize,
    /// Documents that are not set aside.
    pub documents: i64,
    /// Chunks.
    pub chunks: i64,
    /// How long ago its writer did something.
    pub idle: Duration,
}

const SELECT: &str = "
    SELECT room, number, state, model, model_digest, dimension, documents, chunks,
        extract(epoch FROM clock_timestamp() - touched)::float8 AS idle
    FROM room_generation WHERE room = $1 ORDER BY number DESC";

/// All generations, the latest first. For whoever runs the Room: see [`Generation`].
///
/// # Errors
/// See [`Error`].
pub async fn generations(database: &Database, grant: &Grant) -> Result<Vec<Generation>, Error> {
    let purpose = Purpose {
        verbs: &[Verb::Ingest],
        sees: Sees::All,
        access: Access::Read,
    };
    let mut inside = enter(database, grant, purpose).await?;
    let rows = sqlx::query(SELECT)
        .bind(inside.room)
        .fetch_all(&mut *inside.transaction)
        .await?;
    let mut generations = Vec::new();
    for row in rows {
        let number = row.try_get("number")?;
        inside.own(&row, "a generation", number)?;
        let state = match row.try_get("state")? {
            "building" => State::Building,
            "live" => State::Live,
            "retired" => State::Retired,
            "failed" => State::Failed,
            "expired" => State::Expired,
            _ => return Err(Error::Damaged("the state of a generation")),
        };
        generations.push(Generation {
            number,
            state,
            model: row.try_get("model")?,
            model_digest: row.try_get("model_digest")?,
            dimension: row.try_get::<i32, _>("dimension")?.unsigned_abs() as usize,
            documents: row.try_get("documents")?,
            chunks: row.try_get("chunks")?,
            idle: Duration::try_from_secs_f64(row.try_get("idle")?).unwrap_or_default(),
        });
    }
    Ok(generations)
}

const IS_KEPT: &str = "
    SELECT EXISTS (SELECT FROM room_generation WHERE room = $1 AND number = $2 AND state = 'retired')";

const RETIRE: &str = "
    UPDATE room_generation SET state = 'retired', retired = clock_timestamp() WHERE room = $1 AND state = 'live'";

const REVIVE: &str = "
    WITH flipped AS (
        UPDATE room_generation SET state = 'live', retired = NULL WHERE room = $1 AND number = $2
    )
    UPDATE room SET live = $2 WHERE id = $1";

/// Makes a generation that is kept the one that answers, in one moment; the one that answered so far is kept. What was
/// removed since, or narrowed, stays so.
///
/// # Errors
/// [`Error::NoGeneration`] for one that is not kept.
pub async fn roll_back(database: &Database, grant: &Grant, to: i64) -> Result<(), Error> {
    let mut inside = enter(database, grant, FILL).await?;
    let is_kept: bool = sqlx::query_scalar(IS_KEPT)
        .bind(inside.room)
        .bind(to)
        .fetch_one(&mut *inside.transaction)
        .await?;
    if !is_kept {
        return Err(Error::NoGeneration(to));
    }
    sqlx::query(RETIRE)
        .bind(inside.room)
        .execute(&mut *inside.transaction)
        .await?;
    sqlx::query(REVIVE)
        .bind(inside.room)
        .bind(to)
        .execute(&mut *inside.transaction)
        .await?;
    inside.commit().await
}

const EXPIRE: &str = "
    UPDATE room_generation SET state = 'expired'
    WHERE room = $1 AND state = 'retired' AND number NOT IN (
        SELECT number FROM room_generation WHERE room = $1 AND state = 'retired'
        ORDER BY retired DESC, number DESC LIMIT $2)
    RETURNING number";

/// Keeps only so many of the retired ones.
pub(super) async fn expire(inside: &mut Inside<'_>, keep: u32) -> Result<Vec<i64>, Error> {
    let mut expired: Vec<i64> = sqlx::query_scalar(EXPIRE)
        .bind(inside.room)
        .bind(i64::from(keep))
        .fetch_all(&mut *inside.transaction)
        .await?;
    expired.sort_unstable();
    Ok(expired)
}
