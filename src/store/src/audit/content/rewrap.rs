//! Changing to another key-encryption key.

use std::collections::BTreeMap;

use sqlx::{PgConnection, Row as _};

use super::keys::{KeyRing, WrappedKey};

/// Keys in memory at once.
const PAGE: i64 = 500;

/// What became of the data keys that were not wrapped by the active key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// They are now.
    pub done: u64,
    /// They are still wrapped by these, which are not there, or are others than at that time.
    pub left: BTreeMap<String, i64>,
}

const NEXT: &str = "
    SELECT id, namespace, subject, kek, wrapped FROM audit_key
    WHERE wrapped IS NOT NULL AND kek <> $1 AND kek = ANY($2) AND id > $3 ORDER BY id LIMIT $4";

/// Not one that was erased meanwhile.
const UPDATE: &str = "
    UPDATE audit_key k SET kek = $1, wrapped = n.new
    FROM unnest($2::text[], $3::bytea[], $4::bytea[]) AS n (id, old, new)
    WHERE k.id = n.id AND k.wrapped = n.old";

const LEFT: &str = "
    SELECT kek, count(*) AS keys FROM audit_key WHERE wrapped IS NOT NULL AND kek <> $1 GROUP BY kek";

/// Wraps all data keys by the active key-encryption key.
///
/// # Errors
/// When the database is not there.
pub async fn rewrap(connection: &mut PgConnection, keys: &KeyRing) -> sqlx::Result<Rewrapped> {
    let mut rewrapped = Rewrapped::default();
    let mut last = String::new();
    loop {
        let page = sqlx::query(NEXT)
            .bind(keys.active())
            .bind(keys.ids())
            .bind(&last)
            .bind(PAGE)
            .fetch_all(&mut *connection)
            .await?;
        let mut changes = (Vec::new(), Vec::new(), Vec::new());
        for row in &page {
            let subject: String = row.try_get("subject")?;
            let old = WrappedKey {
                id: row.try_get("id")?,
                namespace: row.try_get("namespace")?,
                kek: row.try_get("kek")?,
                wrapped: row.try_get("wrapped")?,
                made: 0,
            };
            last.clone_from(&old.id);
            let Ok(key) = keys.unwrap(&old, &subject) else { continue };
            changes.2.push(keys.wrap(&key, &old.id, &old.namespace, &subject));
            changes.0.push(old.id);
            changes.1.push(old.wrapped);
        }
        if page.is_empty() {
            break;
        }
        let update = sqlx::query(UPDATE).bind(keys.active());
        let update = update.bind(&changes.0).bind(&changes.1).bind(&changes.2);
        rewrapped.done += update.execute(&mut *connection).await?.rows_affected();
    }
    for row in sqlx::query(LEFT).bind(keys.active()).fetch_all(connection).await? {
        rewrapped.left.insert(row.try_get("kek")?, row.try_get("keys")?);
    }
    Ok(rewrapped)
}
