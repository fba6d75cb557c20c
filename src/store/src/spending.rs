//! What was spent in the current month, by account.
//!
//! A month is a calendar month in UTC, by the clock of the database: all who ask agree on when it ends. Sums are whole
//! billionths, so that many small ones add up to what they are.

use std::time::Duration;

use sqlx::Row as _;

use crate::{Database, Unreachable};

/// What was spent in the current month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// In billionths of the currency's unit.
    pub nanos: i64,
    /// Until the next month begins.
    pub month_left: Duration,
}

const READ: &str = "
    WITH clock AS (SELECT now() AT TIME ZONE 'UTC' AS at)
    SELECT extract(epoch FROM date_trunc('month', at) + interval '1 month' - at)::float8 AS left_seconds,
        coalesce((SELECT nanos FROM spending
            WHERE account = $1 AND currency = $2 AND month = date_trunc('month', at)::date), 0) AS nanos
    FROM clock";

const ADD: &str = "
    INSERT INTO spending (account, currency, month, nanos)
    VALUES ($1, $2, date_trunc('month', now() AT TIME ZONE 'UTC')::date, $3)
    ON CONFLICT (account, currency, month) DO UPDATE SET nanos = spending.nanos + excluded.nanos
    RETURNING nanos";

/// What `account` has spent this month.
///
/// # Errors
/// When the database is not there.
pub async fn read(database: &Database, account: &str, currency: &str) -> Result<Spent, Unreachable> {
    let row = sqlx::query(READ)
        .bind(account)
        .bind(currency)
        .fetch_one(database.pool())
        .await?;
    Ok(Spent {
        nanos: row.try_get("nanos")?,
        month_left: Duration::try_from_secs_f64(row.try_get("left_seconds")?).unwrap_or_default(),
    })
}

/// Adds to what `account` has spent this month, and says what it has spent then.
///
/// # Errors
/// When the database is not there. Whether it was added is not known then.
pub async fn add(database: &Database, account: &str, currency: &str, nanos: i64) -> Result<i64, Unreachable> {
    let added = sqlx::query_scalar(ADD)
        .bind(account)
        .bind(currency)
        .bind(nanos)
        .fetch_one(database.pool())
        .await?;
    Ok(added)
}
