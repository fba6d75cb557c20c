//! Rows that have expired, block by block.

use sqlx::{Connection, PgConnection, Row as _};

use super::marks::{Mark, marks};
use crate::audit::{
    Kind,
    evidence::{Evidence, Failed},
    rows, seal,
};

/// What one statement takes away.
const BATCH: i64 = 5000;

/// The last root whose rows are all older. A root is younger than all that it seals.
const DUE: &str = "
    SELECT id, hash FROM audit_root WHERE at < timestamptz 'epoch' + $1 * interval '1 microsecond'
    ORDER BY id DESC LIMIT 1";

/// Against accidents, the table takes nothing away otherwise.
const ALLOW: &str = "SET LOCAL atelier.retention = 'on'";

/// A crash may have left contents behind.
const EXPIRE: &str = "
    WITH gone AS (
        DELETE FROM audit WHERE chain = $1 AND seq IN
            (SELECT seq FROM audit WHERE chain = $1 AND seq <= $2 ORDER BY seq LIMIT $3)
        RETURNING chain, seq
    ), contents AS (
        DELETE FROM audit_content c USING gone WHERE c.chain = gone.chain AND c.seq = gone.seq
    )
    SELECT count(*) FROM gone";

/// Takes away rows that roots from before `before` have sealed; how many.
pub async fn expire(connection: &mut PgConnection, evidence: &mut Evidence, before: i64) -> Result<u64, Failed> {
    let mut through = marks(connection).await?.through();
    let due = sqlx::query(DUE).bind(before).fetch_optional(&mut *connection).await?;
    if let Some(due) = due {
        let root: i64 = due.try_get("id")?;
        if root > through {
            let hash = seal::hash_of(&due, "hash")?;
            let mark = Mark::Rows {
                through: root,
                root: hash,
            };
            evidence.write(connection, Kind::Pruned, "", "", &mark).await?;
            through = root;
        }
    }
    if through == 0 {
        return Ok(0);
    }
    let mut gone = 0;
    // Those as well that were left when this was interrupted.
    for chain in rows::chains(connection).await? {
        let Some(base) = seal::base(connection, &chain, through).await? else {
            continue;
        };
        loop {
            let mut transaction = connection.begin().await?;
            sqlx::query(ALLOW).execute(&mut *transaction).await?;
            let done: i64 = sqlx::query_scalar(EXPIRE)
                .bind(&chain)
                .bind(base.seq)
                .bind(BATCH)
                .fetch_one(&mut *transaction)
                .await?;
            transaction.commit().await?;
            if done == 0 {
                break;
            }
            gone += done.unsigned_abs();
        }
    }
    Ok(gone)
}
