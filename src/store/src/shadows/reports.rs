//! Reports of comparisons that have ended.

use super::Key;
use crate::{Database, Unreachable};

/// Keeps the report of a ShadowDeployment, as it is written, in place of an earlier one: an operator that is replaced
/// before it has told of its report writes another. `false` if the ShadowDeployment is not known, or was forgotten.
///
/// # Errors
/// When the database is not there.
pub async fn keep_report(database: &Database, key: &Key, report: &str) -> Result<bool, Unreachable> {
    const KEEP: &str = "
        INSERT INTO shadow_report (uid, report)
        SELECT uid, $4 FROM shadow WHERE uid = $1 AND namespace = $2 AND name = $3
        ON CONFLICT (uid) DO UPDATE SET report = excluded.report, at = now()";
    let kept = sqlx::query(KEEP)
        .bind(&key.uid)
        .bind(&key.namespace)
        .bind(&key.name)
        .bind(report)
        .execute(database.pool())
        .await?;
    Ok(kept.rows_affected() > 0)
}

/// The report of a ShadowDeployment, if there is one.
///
/// # Errors
/// When the database is not there.
pub async fn report_of(database: &Database, key: &Key) -> Result<Option<String>, Unreachable> {
    const READ: &str = "
        SELECT r.report FROM shadow s JOIN shadow_report r USING (uid)
        WHERE s.uid = $1 AND s.namespace = $2 AND s.name = $3";
    let report = sqlx::query_scalar(READ)
        .bind(&key.uid)
        .bind(&key.namespace)
        .bind(&key.name)
        .fetch_optional(database.pool())
        .await?;
    Ok(report)
}
