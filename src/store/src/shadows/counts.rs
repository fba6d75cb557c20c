//! What a process of the gateway has counted of a ShadowDeployment since it started.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use crate::{Database, Unreachable};

/// Counts of one process, from its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Copies that were about to be sent.
    pub begun: i64,
    /// Those of them that gave no pair, for a reason that is known.
    pub unpaired: i64,
    /// Tokens of prompts and answers of copies.
    pub tokens: i64,
    /// What they cost, in billionths of the currency's unit; none without a pricing.
    pub nanos: Option<i64>,
    /// Requests that gave no pair, by reason.
    pub drops: BTreeMap<&'static str, i64>,
}

const COUNT: &str = "
    INSERT INTO shadow_count AS c (uid, replica, begun, unpaired, tokens, nanos, paired)
    SELECT uid, $2, $3, $4, $5, $6, $7 FROM shadow WHERE uid = $1
    ON CONFLICT (uid, replica) DO UPDATE SET
        begun = greatest(c.begun, excluded.begun), unpaired = greatest(c.unpaired, excluded.unpaired),
        tokens = greatest(c.tokens, excluded.tokens), nanos = greatest(c.nanos, excluded.nanos),
        paired = c.paired + excluded.paired, seen = now()";

const DROP: &str = "
    INSERT INTO shadow_drop AS d (uid, replica, reason, count)
    SELECT s.uid, $2, n.reason, n.count
    FROM shadow s, unnest($3::text[], $4::bigint[]) AS n (reason, count) WHERE s.uid = $1
    ON CONFLICT (uid, replica, reason) DO UPDATE SET count = greatest(d.count, excluded.count)";

/// Writes down that a copy is about to be sent: `begun` are those of `replica`, this one among them. `false` if the
/// ShadowDeployment was forgotten, and nothing must be sent.
///
/// # Errors
/// When the database is not there: nothing must be sent, for it could be lost without a trace.
pub async fn begin(database: &Database, uid: &str, replica: &str, begun: i64) -> Result<bool, Unreachable> {
    let counts = Counts {
        begun,
        ..Counts::default()
    };
    let mut connection = database.pool().acquire().await?;
    write(&mut connection, uid, replica, &counts, 0).await
}

/// Writes down what `replica` has counted, and that it is alive. `false` if the ShadowDeployment was forgotten.
///
/// # Errors
/// When the database is not there.
pub async fn count(database: &Database, uid: &str, replica: &str, counts: &Counts) -> Result<bool, Unreachable> {
    let mut transaction = database.pool().begin().await?;
    let is_kept = write(&mut transaction, uid, replica, counts, 0).await?;
    transaction.commit().await?;
    Ok(is_kept)
}

/// Counts are written as they stand; `paired` is added, in the transaction that keeps the pair.
pub(super) async fn write(
    connection: &mut PgConnection,
    uid: &str,
    replica: &str,
    counts: &Counts,
    paired: i64,
) -> Result<bool, Unreachable> {
    let written = sqlx::query(COUNT)
        .bind(uid)
        .bind(replica)
        .bind(counts.begun)
        .bind(counts.unpaired)
        .bind(counts.tokens)
        .bind(counts.nanos)
        .bind(paired)
        .execute(&mut *connection)
        .await?;
    if written.rows_affected() == 0 {
        return Ok(false);
    }
    if !counts.drops.is_empty() {
        let (reasons, numbers): (Vec<&str>, Vec<i64>) =
            counts.drops.iter().map(|(reason, count)| (*reason, *count)).unzip();
        sqlx::query(DROP)
            .bind(uid)
            .bind(replica)
            .bind(reasons)
            .bind(numbers)
            .execute(&mut *connection)
            .await?;
    }
    Ok(true)
}
