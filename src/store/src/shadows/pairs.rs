//! Pairs of answers: what was measured of them.

use std::collections::BTreeMap;

use sqlx::{Row as _, postgres::PgRow};

use super::{Counts, Key, SILENT, counts};
use crate::{Database, Unreachable};

/// A pair that was measured just now.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPair {
    /// A hash of what it is kept together with.
    pub cluster: String,
    /// Scores as JSON, by the name of the metric.
    pub scores: serde_json::Value,
}

/// A pair that is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// Its number, which grows.
    pub seq: i64,
    /// When it was kept, in RFC 3339.
    pub at: String,
    /// See [`NewPair`].
    pub cluster: String,
    /// See [`NewPair`].
    pub scores: serde_json::Value,
}

/// What was collected, of all processes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collected {
    /// Pairs, the oldest first.
    pub pairs: Vec<Pair>,
    /// Whether there are more after these.
    pub more: bool,
    /// Requests that gave no pair, by reason; `lost` are those of processes that died.
    pub drops: BTreeMap<String, u64>,
    /// Tokens of copies.
    pub tokens: u64,
    /// Billionths of the currency's unit; none without a pricing.
    pub nanos: Option<i64>,
}

/// Why copies gave no pair whose process died.
const LOST: &str = "lost";

const PAIRS: &str = r#"
    SELECT p.seq, to_char(p.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at, p.cluster, p.scores::text AS scores
    FROM shadow s JOIN shadow_pair p USING (uid)
    WHERE s.uid = $1 AND s.namespace = $2 AND s.name = $3 AND p.seq > $4 ORDER BY p.seq LIMIT $5"#;

const COUNTS: &str = "
    SELECT coalesce(sum(c.tokens), 0)::bigint AS tokens, sum(c.nanos)::bigint AS nanos,
        coalesce(sum(greatest(c.begun - c.paired - c.unpaired, 0)) FILTER (WHERE c.seen < now() - make_interval(secs => $4)), 0)::bigint AS lost
    FROM shadow s JOIN shadow_count c USING (uid) WHERE s.uid = $1 AND s.namespace = $2 AND s.name = $3";

const DROPS: &str = "
    SELECT d.reason, sum(d.count)::bigint AS count FROM shadow s JOIN shadow_drop d USING (uid)
    WHERE s.uid = $1 AND s.namespace = $2 AND s.name = $3 GROUP BY d.reason";

/// Keeps a pair, with what `replica` has counted. `false` if the ShadowDeployment was forgotten.
///
/// # Errors
/// When the database is not there. The pair is not kept then, unless the connection broke while it was.
pub async fn add(
    database: &Database,
    uid: &str,
    replica: &str,
    pair: &NewPair,
    counts: &Counts,
) -> Result<bool, Unreachable> {
    let mut transaction = database.pool().begin().await?;
    // One after the other, so that numbers become visible in their order. It locks out `forget` as well.
    let known: Option<String> = sqlx::query_scalar("SELECT uid FROM shadow WHERE uid = $1 FOR NO KEY UPDATE")
        .bind(uid)
        .fetch_optional(&mut *transaction)
        .await?;
    if known.is_none() {
        return Ok(false);
    }
    sqlx::query("INSERT INTO shadow_pair (uid, cluster, scores) VALUES ($1, $2, $3::jsonb)")
        .bind(uid)
        .bind(&pair.cluster)
        .bind(pair.scores.to_string())
        .execute(&mut *transaction)
        .await?;
    counts::write(&mut transaction, uid, replica, counts, 1).await?;
    transaction.commit().await?;
    Ok(true)
}

/// The pairs of a ShadowDeployment after the one numbered `after`, `most` of them at most, and all that was counted. One
/// of which nothing is kept has none.
///
/// # Errors
/// When the database is not there.
pub async fn pairs(database: &Database, key: &Key, after: i64, most: usize) -> Result<Collected, Unreachable> {
    let Key { uid, namespace, name } = key;
    let limit = i64::try_from(most.saturating_add(1)).unwrap_or(i64::MAX);
    let rows = sqlx::query(PAIRS)
        .bind(uid)
        .bind(namespace)
        .bind(name)
        .bind(after)
        .bind(limit)
        .fetch_all(database.pool())
        .await?;
    let more = rows.len() > most;
    let pairs = rows.iter().take(most).map(read).collect::<Result<_, _>>()?;
    let counts = sqlx::query(COUNTS)
        .bind(uid)
        .bind(namespace)
        .bind(name)
        .bind(SILENT.as_secs_f64())
        .fetch_one(database.pool())
        .await?;
    let rows: Vec<(String, i64)> = sqlx::query_as(DROPS)
        .bind(uid)
        .bind(namespace)
        .bind(name)
        .fetch_all(database.pool())
        .await?;
    let mut drops: BTreeMap<_, _> = rows
        .into_iter()
        .map(|(reason, count)| (reason, count.unsigned_abs()))
        .collect();
    let lost: i64 = counts.try_get("lost")?;
    if lost > 0 {
        drops.insert(LOST.into(), lost.unsigned_abs());
    }
    Ok(Collected {
        pairs,
        more,
        drops,
        tokens: counts.try_get::<i64, _>("tokens")?.unsigned_abs(),
        nanos: counts.try_get("nanos")?,
    })
}

fn read(row: &PgRow) -> sqlx::Result<Pair> {
    let scores: String = row.try_get("scores")?;
    Ok(Pair {
        seq: row.try_get("seq")?,
        at: row.try_get("at")?,
        cluster: row.try_get("cluster")?,
        scores: serde_json::from_str(&scores).map_err(|error| sqlx::Error::Decode(error.into()))?,
    })
}
