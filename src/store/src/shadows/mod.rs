//! What ShadowDeployments measure: pairs of answers as numbers, and what was counted beside them; the report, and the
//! words of a few pairs where a spec asks for them.
//!
//! Everything hangs on one row for each ShadowDeployment, which [`open`] makes and [`forget`] takes away: nothing is
//! added to one that is not there, so a gateway that is late brings nothing back.
//!
//! Each process of the gateway counts for itself, from its start, under a name that no other has. So a count is written as
//! it stands, as often as need be, and never added twice. A copy is counted as begun *before* it is sent, and then
//! together with its pair, or as one that gave none: where a process has not been heard of for [`SILENT`], the difference
//! is what was lost with it. Lost copies are no pairs, and are never taken for equal answers.

mod contents;
mod counts;
mod pairs;
mod reports;

pub use contents::{Kept, MOST, Words, contents, expire, keep};
pub use counts::{Counts, begin, count};
pub use pairs::{Collected, NewPair, Pair, add, pairs};
pub use reports::{keep_report, report_of};

use std::time::Duration;

use crate::{Database, Unreachable};

/// A process that has not been heard of for so long is taken for dead. It writes what it counts far more often.
pub const SILENT: Duration = Duration::from_secs(60);

/// A ShadowDeployment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// `metadata.uid`.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Lets pairs of a ShadowDeployment be kept. Again changes nothing.
///
/// # Errors
/// When the database is not there.
pub async fn open(database: &Database, key: &Key) -> Result<(), Unreachable> {
    sqlx::query("INSERT INTO shadow (uid, namespace, name) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(&key.uid)
        .bind(&key.namespace)
        .bind(&key.name)
        .execute(database.pool())
        .await?;
    Ok(())
}

/// Takes away all that is kept of a ShadowDeployment, and says how many pairs that were. What is still on its way to it
/// is not kept either.
///
/// # Errors
/// When the database is not there.
pub async fn forget(database: &Database, key: &Key) -> Result<u64, Unreachable> {
    let mut transaction = database.pool().begin().await?;
    // Whoever adds a pair holds this row, or finds that it is gone.
    let known: Option<String> =
        sqlx::query_scalar("SELECT uid FROM shadow WHERE uid = $1 AND namespace = $2 AND name = $3 FOR UPDATE")
            .bind(&key.uid)
            .bind(&key.namespace)
            .bind(&key.name)
            .fetch_optional(&mut *transaction)
            .await?;
    let Some(uid) = known else { return Ok(0) };
    let pairs = sqlx::query("DELETE FROM shadow_pair WHERE uid = $1")
        .bind(&uid)
        .execute(&mut *transaction)
        .await?;
    sqlx::query("DELETE FROM shadow WHERE uid = $1")
        .bind(&uid)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(pairs.rows_affected())
}

/// All ShadowDeployments of which something is kept.
///
/// # Errors
/// When the database is not there.
pub async fn kept(database: &Database) -> Result<Vec<Key>, Unreachable> {
    let rows: Vec<(String, String, String)> = sqlx::query_as("SELECT uid, namespace, name FROM shadow ORDER BY uid")
        .fetch_all(database.pool())
        .await?;
    let key = |(uid, namespace, name)| Key { uid, namespace, name };
    Ok(rows.into_iter().map(key).collect())
}
