//! Rows in the database.

use sqlx::{Connection, PgConnection, Row as _, postgres::PgRow};

use super::{chain::Row, content};

const INSERT: &str = "
    INSERT INTO audit (chain, seq, hash, at, kind, request, subject, event)
    SELECT chain, seq, hash, timestamptz 'epoch' + at * interval '1 microsecond', kind, request, subject, event::json
    FROM unnest($1::text[], $2::bigint[], $3::bytea[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[])
        AS r (chain, seq, hash, at, kind, request, subject, event)
    ON CONFLICT DO NOTHING";

const PRESENT: &str = "
    SELECT count(*) FROM audit JOIN unnest($1::text[], $2::bigint[], $3::bytea[]) AS r (chain, seq, hash)
    USING (chain, seq, hash)";

/// Why rows are not in the database.
#[derive(Debug, thiserror::Error)]
pub enum NotWritten {
    /// The database did not do it, or did not say so.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// Other rows are in their places.
    #[error("somebody else has written to chain {0}")]
    Taken(String),
}

/// Writes rows with their contents in one commit. Rows that are there already, since it was not known whether they were
/// written, stay as they are.
pub async fn insert(connection: &mut PgConnection, rows: &[&Row]) -> Result<(), NotWritten> {
    if rows.iter().all(|row| row.content.is_none()) {
        return insert_rows(connection, rows).await;
    }
    let mut transaction = connection.begin().await?;
    insert_rows(&mut transaction, rows).await?;
    content::insert(&mut transaction, rows).await?;
    Ok(transaction.commit().await?)
}

async fn insert_rows(connection: &mut PgConnection, rows: &[&Row]) -> Result<(), NotWritten> {
    let chains: Vec<_> = rows.iter().map(|row| &*row.chain).collect();
    let seqs: Vec<_> = rows.iter().map(|row| row.seq).collect();
    let hashes: Vec<_> = rows.iter().map(|row| row.hash.as_slice()).collect();
    let text = |of: fn(&Row) -> &str| rows.iter().map(|row| of(row)).collect::<Vec<_>>();
    let written = sqlx::query(INSERT)
        .bind(&chains)
        .bind(&seqs)
        .bind(&hashes)
        .bind(rows.iter().map(|row| row.at).collect::<Vec<_>>())
        .bind(text(|row| &row.kind))
        .bind(text(|row| &row.request))
        .bind(text(|row| &row.subject))
        .bind(text(|row| &row.event))
        .execute(&mut *connection)
        .await?
        .rows_affected();
    if written == rows.len() as u64 {
        return Ok(());
    }
    let present: i64 = sqlx::query_scalar(PRESENT)
        .bind(&chains)
        .bind(&seqs)
        .bind(&hashes)
        .fetch_one(connection)
        .await?;
    if present == rows.len() as i64 {
        return Ok(());
    }
    Err(NotWritten::Taken(chains.first().copied().unwrap_or_default().into()))
}

const PAGE: &str = "
    SELECT seq, hash, (extract(epoch FROM at) * 1000000)::bigint AS at, kind, request, subject, event::text AS event
    FROM audit WHERE chain = $1 AND seq > $2 ORDER BY seq LIMIT $3";

/// The next rows of a chain behind `after`; hashes that have a wrong length come as zeros.
pub async fn page(connection: &mut PgConnection, chain: &str, after: i64, limit: i64) -> sqlx::Result<Vec<Row>> {
    let rows = sqlx::query(PAGE)
        .bind(chain)
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| of(row, chain.into())).collect()
}

/// A row of `chain` out of the columns of the same names. Its content is elsewhere.
pub fn of(row: &PgRow, chain: String) -> sqlx::Result<Row> {
    Ok(Row {
        chain,
        seq: row.try_get("seq")?,
        hash: row.try_get::<Vec<u8>, _>("hash")?.try_into().unwrap_or_default(),
        at: row.try_get("at")?,
        kind: row.try_get("kind")?,
        request: row.try_get("request")?,
        subject: row.try_get("subject")?,
        event: row.try_get("event")?,
        content: None,
    })
}

/// A skip scan: chains are few, rows are many.
const CHAINS: &str = "
    WITH RECURSIVE chains AS (
        (SELECT chain FROM audit ORDER BY chain LIMIT 1)
        UNION ALL
        SELECT (SELECT chain FROM audit WHERE chain > c.chain ORDER BY chain LIMIT 1) FROM chains c WHERE c.chain IS NOT NULL
    )
    SELECT chain FROM chains WHERE chain IS NOT NULL";

/// The names of all chains.
pub async fn chains(connection: &mut PgConnection) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(CHAINS).fetch_all(connection).await
}
