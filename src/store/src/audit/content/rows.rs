//! Contents and data keys on their way to the database.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::PgConnection;

use super::vault::LIFETIME;
use crate::audit::Row;

/// The advisory lock of whoever writes data keys, which they share, or erases them; the number means nothing.
pub const LOCK: i64 = 0x6174_656c_6965_7202;
/// How far clocks may differ.
const SKEW: Duration = Duration::from_secs(60);
/// What is asked as long after an erasure may be asked with a key that was erased.
pub const REACH: Duration = LIFETIME.saturating_add(SKEW);

/// Keys that an erasure meant before they came here are left out.
const INSERT_KEYS: &str = "
    INSERT INTO audit_key (id, namespace, subject, kek, wrapped, made)
    SELECT id, namespace, subject, kek, wrapped, timestamptz 'epoch' + made * interval '1 microsecond'
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::bigint[])
        AS k (id, namespace, subject, kek, wrapped, made)
    WHERE NOT EXISTS (
        SELECT FROM audit e WHERE e.kind = 'erased' AND e.subject = k.subject
            AND e.at >= timestamptz 'epoch' + (k.made - $7) * interval '1 microsecond'
            AND e.event ->> 'namespace' = k.namespace)
    ON CONFLICT DO NOTHING";

/// Nobody shall keep what nobody can open.
const INSERT_CONTENTS: &str = "
    INSERT INTO audit_content (chain, seq, at, key, sealed)
    SELECT chain, seq, timestamptz 'epoch' + at * interval '1 microsecond', key, sealed
    FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::bytea[]) AS c (chain, seq, at, key, sealed)
    WHERE EXISTS (SELECT FROM audit_key k WHERE k.id = c.key AND k.wrapped IS NOT NULL)
    ON CONFLICT DO NOTHING";

/// Writes the contents of `rows`, and the keys that they need, within a transaction.
pub async fn insert(transaction: &mut PgConnection, rows: &[&Row]) -> sqlx::Result<()> {
    let contents = || rows.iter().filter_map(|row| Some((row, row.content.as_deref()?)));
    let keys: BTreeMap<_, _> = contents()
        .map(|(row, content)| (&*content.key.id, (&*row.subject, &content.key)))
        .collect();
    insert_keys(transaction, &keys.into_values().collect::<Vec<_>>()).await?;
    sqlx::query(INSERT_CONTENTS)
        .bind(contents().map(|(row, _)| &*row.chain).collect::<Vec<_>>())
        .bind(contents().map(|(row, _)| row.seq).collect::<Vec<_>>())
        .bind(contents().map(|(row, _)| row.at).collect::<Vec<_>>())
        .bind(contents().map(|(_, content)| &*content.key.id).collect::<Vec<_>>())
        .bind(contents().map(|(_, content)| &*content.bytes).collect::<Vec<_>>())
        .execute(transaction)
        .await?;
    Ok(())
}

/// Writes data keys and whose they are, each once, within a transaction that writes what they open.
pub(crate) async fn insert_keys(
    transaction: &mut PgConnection,
    keys: &[(&str, &super::WrappedKey)],
) -> sqlx::Result<()> {
    let text = |of: fn(&(&str, &super::WrappedKey)) -> String| keys.iter().map(of).collect::<Vec<_>>();
    sqlx::query("SELECT pg_advisory_xact_lock_shared($1)")
        .bind(LOCK)
        .execute(&mut *transaction)
        .await?;
    sqlx::query(INSERT_KEYS)
        .bind(text(|(_, key)| key.id.clone()))
        .bind(text(|(_, key)| key.namespace.clone()))
        .bind(text(|(subject, _)| (*subject).to_owned()))
        .bind(text(|(_, key)| key.kek.clone()))
        .bind(keys.iter().map(|(_, key)| &*key.wrapped).collect::<Vec<_>>())
        .bind(keys.iter().map(|(_, key)| key.made).collect::<Vec<_>>())
        .bind(micros(SKEW))
        .execute(transaction)
        .await?;
    Ok(())
}

/// As the database is told.
pub fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
