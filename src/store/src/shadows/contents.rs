//! Words of the pairs whose answers differ most, where a spec asks for them.
//!
//! They are encrypted by keys of whoever asked, as [contents of the audit trail](crate::audit::content) are, and become
//! unreadable with these. Which pairs differ most is known by numbers, so nothing is opened to find out.

use std::{collections::BTreeSet, time::Duration};

use serde::Serialize;
use sqlx::{Connection, PgConnection, Row as _, postgres::PgRow};
use zeroize::Zeroizing;

use super::Key;
use crate::{
    Database, Unreachable,
    audit::{
        Failed,
        content::{Content, KeyRing, WrappedKey, insert_keys, note_shown, open},
    },
};

/// Pairs of a ShadowDeployment whose words are kept, at most.
pub const MOST: usize = 20;
/// What sealed words are, apart from all else that a key seals.
const KIND: &str = "shadow";

/// Words of a pair that was measured just now.
pub struct Words {
    /// The pair's id.
    pub pair: String,
    /// The metric by which the answers differ.
    pub metric: &'static str,
    /// How alike they are by it: the less, the rather they are kept.
    pub likeness: f64,
    /// Who asked.
    pub subject: String,
    /// What was said.
    pub content: Content,
}

/// Words of a pair that were kept.
#[derive(Debug)]
pub struct Kept {
    /// The pair's id.
    pub pair: String,
    /// The metric by which the answers differ.
    pub metric: String,
    /// How alike they are by it.
    pub likeness: f64,
    /// What was said.
    pub words: Zeroizing<Vec<u8>>,
    subject: String,
}

const EXPIRE: &str = "DELETE FROM shadow_content WHERE uid = $1 AND at < clock_timestamp() - make_interval(secs => $2)";

/// How many there are, and the likest of them.
const BAR: &str = "SELECT count(*) AS count, max(likeness) AS likest FROM shadow_content WHERE uid = $1";

/// Nobody shall keep what nobody can open.
const INSERT: &str = "
    INSERT INTO shadow_content (uid, pair, metric, likeness, key, sealed)
    SELECT $1, $2, $3, $4, id, $6 FROM audit_key WHERE id = $5 AND wrapped IS NOT NULL
    ON CONFLICT DO NOTHING";

const LET_GO: &str = "
    DELETE FROM shadow_content WHERE uid = $1 AND pair NOT IN
        (SELECT pair FROM shadow_content WHERE uid = $1 ORDER BY likeness, at, pair LIMIT $2)";

const READ: &str = "
    SELECT c.pair, c.metric, c.likeness, c.sealed, k.id, k.namespace, k.subject, k.kek, k.wrapped
    FROM shadow s JOIN shadow_content c USING (uid) JOIN audit_key k ON k.id = c.key
    WHERE s.uid = $1 AND s.namespace = $2 AND s.name = $3 AND k.wrapped IS NOT NULL
        AND c.at >= clock_timestamp() - make_interval(secs => $4)
    ORDER BY c.likeness, c.at, c.pair LIMIT $5";

/// Keeps words for `retention` at most, if they are among those that differ most; from which likeness on nothing more
/// would be, if there are that many.
///
/// # Errors
/// When the database is not there. Nothing is lost by that but these words.
pub async fn keep(
    database: &Database,
    uid: &str,
    retention: Duration,
    words: Words,
) -> Result<Option<f64>, Unreachable> {
    let mut transaction = database.pool().begin().await?;
    // One after the other, and none of one that is forgotten.
    let known: Option<String> = sqlx::query_scalar("SELECT uid FROM shadow WHERE uid = $1 FOR NO KEY UPDATE")
        .bind(uid)
        .fetch_optional(&mut *transaction)
        .await?;
    if known.is_none() {
        return Ok(None);
    }
    sqlx::query(EXPIRE)
        .bind(uid)
        .bind(retention.as_secs_f64())
        .execute(&mut *transaction)
        .await?;
    let before = bar(&mut transaction, uid).await?;
    if before.is_none_or(|bar| words.likeness < bar) {
        let sealed = words.content.seal_for(KIND, &context(uid, &words.pair), &words.subject);
        insert_keys(&mut transaction, &[(&words.subject, &sealed.key)]).await?;
        sqlx::query(INSERT)
            .bind(uid)
            .bind(&words.pair)
            .bind(words.metric)
            .bind(words.likeness)
            .bind(&sealed.key.id)
            .bind(&sealed.bytes)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(LET_GO)
            .bind(uid)
            .bind(most())
            .execute(&mut *transaction)
            .await?;
    }
    let after = bar(&mut transaction, uid).await?;
    transaction.commit().await?;
    Ok(after)
}

/// The likeness that words must be below to be kept; none while there is room.
async fn bar(connection: &mut PgConnection, uid: &str) -> Result<Option<f64>, Unreachable> {
    let row = sqlx::query(BAR).bind(uid).fetch_one(connection).await?;
    let count: i64 = row.try_get("count")?;
    match count < most() {
        true => Ok(None),
        false => Ok(row.try_get("likest")?),
    }
}

/// Takes away words that are older than `retention`; none of them may be kept where there is none.
///
/// # Errors
/// When the database is not there.
pub async fn expire(database: &Database, uid: &str, retention: Option<Duration>) -> Result<u64, Unreachable> {
    let expire = match retention {
        Some(retention) => sqlx::query(EXPIRE).bind(uid).bind(retention.as_secs_f64()),
        None => sqlx::query("DELETE FROM shadow_content WHERE uid = $1").bind(uid),
    };
    Ok(expire.execute(database.pool()).await?.rows_affected())
}

/// The words that are kept of a ShadowDeployment and no older than `retention`, those first that differ most. Whose they
/// are is written down before, with `request` and a reason. What has been erased is left out.
///
/// # Errors
/// When the database is not there, or that cannot be written down.
pub async fn contents(
    database: &Database,
    keys: &KeyRing,
    key: &Key,
    retention: Duration,
    request: &str,
) -> Result<Vec<Kept>, Failed> {
    let mut connection = database.connect().await?;
    let rows = sqlx::query(READ)
        .bind(&key.uid)
        .bind(&key.namespace)
        .bind(&key.name)
        .bind(retention.as_secs_f64())
        .bind(most())
        .fetch_all(&mut connection)
        .await?;
    let mut kept = Vec::new();
    for row in &rows {
        kept.extend(read(row, keys, &key.uid)?);
    }
    let whose: BTreeSet<&str> = kept.iter().map(|kept| &*kept.subject).collect();
    if !whose.is_empty() {
        let event = Shown {
            reason: "the report of a ShadowDeployment",
            namespace: &key.namespace,
            shadow: &key.name,
        };
        let mut transaction = connection.begin().await?;
        note_shown(&mut transaction, request, &whose, &event).await?;
        transaction.commit().await?;
    }
    Ok(kept)
}

#[derive(Serialize)]
struct Shown<'a> {
    reason: &'a str,
    namespace: &'a str,
    shadow: &'a str,
}

fn read(row: &PgRow, keys: &KeyRing, uid: &str) -> sqlx::Result<Option<Kept>> {
    let key = WrappedKey {
        id: row.try_get("id")?,
        namespace: row.try_get("namespace")?,
        kek: row.try_get("kek")?,
        wrapped: row.try_get("wrapped")?,
        made: 0,
    };
    let (pair, subject): (String, String) = (row.try_get("pair")?, row.try_get("subject")?);
    let sealed: Vec<u8> = row.try_get("sealed")?;
    let Some(words) = open(keys, &key, &subject, &sealed, KIND, &context(uid, &pair)) else {
        tracing::warn!(uid, pair, key = key.id, "words of a pair cannot be opened");
        return Ok(None);
    };
    Ok(Some(Kept {
        metric: row.try_get("metric")?,
        likeness: row.try_get("likeness")?,
        pair,
        words,
        subject,
    }))
}

/// Words are no other pair's.
fn context(uid: &str, pair: &str) -> String {
    format!("{uid}/{pair}")
}

fn most() -> i64 {
    i64::try_from(MOST).unwrap_or(i64::MAX)
}
