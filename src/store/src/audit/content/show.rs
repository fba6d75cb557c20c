//! Reading what was asked and answered.

use std::collections::BTreeSet;

use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection, Row as _, postgres::PgRow};
use zeroize::Zeroizing;

use super::{
    cipher::Cipher,
    keys::{KeyRing, Locked, WrappedKey},
    vault,
};
use crate::{
    Database,
    audit::{
        Kind, Row,
        evidence::{Evidence, Failed},
        rows,
    },
};

/// A request id is the caller's choice; more rows than this have one by mischief only.
const MOST: i64 = 1000;

/// A row and what was said in it.
#[derive(Debug)]
pub struct Shown {
    /// The row.
    pub row: Row,
    /// Its content.
    pub content: State,
}

/// What has become of content.
#[derive(Debug, PartialEq, Eq)]
pub enum State {
    /// None was kept.
    Never,
    /// It was erased, or has expired.
    Gone,
    /// It is not what was written.
    Changed,
    /// The key-encryption key is not the one that it takes.
    Locked(Locked),
    /// Here it is.
    Kept(Zeroizing<Vec<u8>>),
}

#[derive(Serialize)]
struct Event<'a> {
    reason: &'a str,
}

const FIND: &str = "
    SELECT a.chain, a.seq, a.hash, (extract(epoch FROM a.at) * 1000000)::bigint AS at, a.kind, a.request, a.subject,
        a.event::text AS event, a.event -> 'content' ->> 'sha256' AS sha256, c.sealed,
        k.id, k.namespace, k.subject AS owner, k.kek, k.wrapped
    FROM audit a LEFT JOIN audit_content c USING (chain, seq) LEFT JOIN audit_key k ON k.id = c.key
    WHERE a.request = $1 AND ($2::text IS NULL OR a.subject = $2) AND a.kind IN ('opened', 'closed', 'refused')
    ORDER BY a.at, a.chain, a.seq LIMIT $3";

/// The rows of a request, with what was asked and answered. Whose content was shown is written down first, with the
/// reason.
///
/// # Errors
/// When the database is not there, or that cannot be written down.
pub async fn show(
    database: &Database,
    keys: &KeyRing,
    request: &str,
    subject: Option<&str>,
    reason: &str,
) -> Result<Vec<Shown>, Failed> {
    let mut connection = database.connect().await?;
    let found = sqlx::query(FIND).bind(request).bind(subject).bind(MOST);
    let found = found.fetch_all(&mut connection).await?;
    let shown = found
        .iter()
        .map(|row| read(row, keys))
        .collect::<sqlx::Result<Vec<_>>>()?;
    let is_kept = |shown: &&Shown| matches!(shown.content, State::Kept(_));
    let whose: BTreeSet<_> = shown.iter().filter(is_kept).map(|shown| &*shown.row.subject).collect();
    write_down(&mut connection, request, &whose, reason).await?;
    Ok(shown)
}

async fn write_down(
    connection: &mut PgConnection,
    request: &str,
    whose: &BTreeSet<&str>,
    reason: &str,
) -> Result<(), Failed> {
    let mut transaction = connection.begin().await?;
    note_shown(&mut transaction, request, whose, &Event { reason }).await?;
    Ok(transaction.commit().await?)
}

/// Writes down whose content is about to be shown, within a transaction.
pub(crate) async fn note_shown(
    transaction: &mut PgConnection,
    request: &str,
    whose: &BTreeSet<&str>,
    event: &impl Serialize,
) -> Result<(), Failed> {
    let mut evidence = Evidence::default();
    for subject in whose {
        evidence
            .write(transaction, Kind::Shown, request, subject, event)
            .await?;
    }
    Ok(())
}

/// What was sealed for `owner` with this kind and request; `None` if it cannot be opened.
pub(crate) fn open(
    keys: &KeyRing,
    key: &WrappedKey,
    owner: &str,
    sealed: &[u8],
    kind: &str,
    request: &str,
) -> Option<Zeroizing<Vec<u8>>> {
    let secret = keys.unwrap(key, owner).ok()?;
    Cipher::new(&secret).open(sealed, &vault::context(&key.id, kind, request))
}

fn read(row: &PgRow, keys: &KeyRing) -> sqlx::Result<Shown> {
    let content = content(row, keys)?;
    let row = rows::of(row, row.try_get("chain")?)?;
    Ok(Shown { row, content })
}

fn content(row: &PgRow, keys: &KeyRing) -> sqlx::Result<State> {
    let Some(sha256) = row.try_get::<Option<String>, _>("sha256")? else {
        return Ok(State::Never);
    };
    let (Some(sealed), Some(wrapped)) = (
        row.try_get::<Option<Vec<u8>>, _>("sealed")?,
        row.try_get::<Option<Vec<u8>>, _>("wrapped")?,
    ) else {
        return Ok(State::Gone);
    };
    if hex::encode(Sha256::digest(&sealed)) != sha256 {
        return Ok(State::Changed);
    }
    let key = WrappedKey {
        id: row.try_get("id")?,
        namespace: row.try_get("namespace")?,
        kek: row.try_get("kek")?,
        wrapped,
        made: 0,
    };
    let (owner, kind, request): (String, String, String) =
        (row.try_get("owner")?, row.try_get("kind")?, row.try_get("request")?);
    Ok(match keys.unwrap(&key, &owner) {
        Err(why) => State::Locked(why),
        Ok(secret) => match Cipher::new(&secret).open(&sealed, &vault::context(&key.id, &kind, &request)) {
            Some(text) => State::Kept(text),
            None => State::Changed,
        },
    })
}
