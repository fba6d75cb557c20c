//! Contents that have expired, and what is left of erased ones.

use std::time::Duration;

use sqlx::PgConnection;

use super::marks::{Mark, marks};
use crate::audit::{
    Kind,
    evidence::{Evidence, Failed},
};

/// What one statement takes away.
const BATCH: i64 = 1000;
/// A key that nothing was encrypted with may still be on its way with what was.
const UNUSED: Duration = Duration::from_secs(2 * 86_400);

const ARE_DUE: &str = "
    SELECT EXISTS (SELECT FROM audit_content WHERE at < timestamptz 'epoch' + $1 * interval '1 microsecond')";

const EXPIRE: &str = "
    DELETE FROM audit_content WHERE (chain, seq) IN
        (SELECT chain, seq FROM audit_content WHERE at < timestamptz 'epoch' + $1 * interval '1 microsecond' LIMIT $2)";

/// Takes away contents from before `before`; how many.
pub async fn expire(connection: &mut PgConnection, evidence: &mut Evidence, before: i64) -> Result<u64, Failed> {
    let are_due: bool = sqlx::query_scalar(ARE_DUE)
        .bind(before)
        .fetch_one(&mut *connection)
        .await?;
    if !are_due {
        return Ok(0);
    }
    if marks(connection).await?.contents.is_none_or(|mark| mark < before) {
        let mark = Mark::Contents { content_before: before };
        evidence.write(connection, Kind::Pruned, "", "", &mark).await?;
    }
    let mut gone = 0;
    loop {
        let done = sqlx::query(EXPIRE).bind(before).bind(BATCH);
        match done.execute(&mut *connection).await?.rows_affected() {
            0 => return Ok(gone),
            some => gone += some,
        }
    }
}

const UNREADABLE: &str = "
    DELETE FROM audit_content WHERE (chain, seq) IN
        (SELECT c.chain, c.seq FROM audit_key k JOIN audit_content c ON c.key = k.id WHERE k.wrapped IS NULL LIMIT $1)";

const UNREADABLE_PAIRS: &str = "
    DELETE FROM shadow_content c USING audit_key k WHERE c.key = k.id AND k.wrapped IS NULL";

const UNUSED_KEYS: &str = "
    DELETE FROM audit_key k WHERE made < timestamptz 'epoch' + $1 * interval '1 microsecond'
        AND NOT EXISTS (SELECT FROM audit_content c WHERE c.key = k.id)
        AND NOT EXISTS (SELECT FROM shadow_content c WHERE c.key = k.id)";

/// Takes away contents that nobody can read any more, and keys that open nothing; how many contents.
pub async fn sweep(connection: &mut PgConnection, now: i64) -> Result<u64, Failed> {
    let mut gone = 0;
    loop {
        let done = sqlx::query(UNREADABLE).bind(BATCH);
        match done.execute(&mut *connection).await?.rows_affected() {
            0 => break,
            some => gone += some,
        }
    }
    // Of a ShadowDeployment there are a few, so it takes no batches.
    gone += sqlx::query(UNREADABLE_PAIRS)
        .execute(&mut *connection)
        .await?
        .rows_affected();
    let unused = now.saturating_sub(i64::try_from(UNUSED.as_micros()).unwrap_or(i64::MAX));
    sqlx::query(UNUSED_KEYS).bind(unused).execute(connection).await?;
    Ok(gone)
}
