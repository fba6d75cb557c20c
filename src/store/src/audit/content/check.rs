//! Whether contents are those that rows have the hash of.

use sqlx::{PgConnection, Row as _};

use super::rows::{REACH, micros};
use crate::audit::retention::Marks;

/// What was found of contents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContentReport {
    /// They are there.
    pub kept: i64,
    /// They were erased.
    pub erased: i64,
    /// They have expired.
    pub expired: i64,
    /// The first that is not as it was written: its chain and its place in it.
    pub broken: Option<(String, i64, ContentFault)>,
}

/// What is wrong with content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentFault {
    /// Not what the row has the hash of, or of no row.
    #[error("changed")]
    Changed,
    /// It is gone, and nothing tells why.
    #[error("missing")]
    Missing,
}

/// Rows that have content, and what has become of it. The row that closes a request tells its namespace by the one that
/// opened it, unless that one has expired. An erasure counts if its row is walked.
const NAMED: &str = "
    WITH named AS (
        SELECT a.chain, a.seq, a.at, k.wrapped IS NOT NULL AS is_kept,
            a.at < timestamptz 'epoch' + $1 * interval '1 microsecond' AS has_expired,
            EXISTS (
                SELECT FROM audit e WHERE e.kind = 'erased' AND e.subject = a.subject
                    AND e.at >= a.at - $2 * interval '1 microsecond'
                    AND e.event ->> 'namespace' =
                        coalesce(a.event ->> 'namespace', o.event ->> 'namespace', e.event ->> 'namespace')
                    AND NOT EXISTS (
                        SELECT FROM audit_head h WHERE h.chain = e.chain AND h.seq >= e.seq AND h.root <= $5)
            ) AS was_erased
        FROM audit a
        LEFT JOIN audit_content c USING (chain, seq)
        LEFT JOIN audit_key k ON k.id = c.key
        LEFT JOIN audit o ON o.chain = a.chain AND o.seq = (a.event ->> 'opened')::bigint
        WHERE a.event -> 'content' IS NOT NULL
            AND ($3::bigint IS NULL OR a.at >= timestamptz 'epoch' + $3 * interval '1 microsecond')
            AND ($4::bigint IS NULL OR a.at < timestamptz 'epoch' + $4 * interval '1 microsecond')
    )
    SELECT count(*) FILTER (WHERE is_kept) AS kept,
        count(*) FILTER (WHERE NOT is_kept AND was_erased) AS erased,
        count(*) FILTER (WHERE NOT is_kept AND NOT was_erased AND has_expired) AS expired,
        min(ARRAY[chain, lpad(seq::text, 20, '0')])
            FILTER (WHERE NOT is_kept AND NOT was_erased AND has_expired IS NOT TRUE) AS missing
    FROM named";

const CHANGED: &str = "
    SELECT c.chain, c.seq FROM audit_content c LEFT JOIN audit a USING (chain, seq)
    WHERE (a.event -> 'content' ->> 'sha256') IS DISTINCT FROM encode(sha256(c.sealed), 'hex')
        AND ($1::bigint IS NULL OR c.at >= timestamptz 'epoch' + $1 * interval '1 microsecond')
        AND ($2::bigint IS NULL OR c.at < timestamptz 'epoch' + $2 * interval '1 microsecond')
    ORDER BY c.chain, c.seq LIMIT 1";

/// Looks at the contents of rows `since` and `until` then, of which some may be gone, as `marks` has it.
pub async fn check(
    connection: &mut PgConnection,
    marks: &Marks,
    (since, until): (Option<i64>, Option<i64>),
) -> sqlx::Result<ContentReport> {
    let row = sqlx::query(NAMED)
        .bind(marks.contents)
        .bind(micros(REACH))
        .bind(since)
        .bind(until)
        .bind(marks.through())
        .fetch_one(&mut *connection)
        .await?;
    let mut report = ContentReport {
        kept: row.try_get("kept")?,
        erased: row.try_get("erased")?,
        expired: row.try_get("expired")?,
        broken: None,
    };
    if let Some([chain, seq]) = row.try_get::<Option<Vec<String>>, _>("missing")?.as_deref() {
        let seq = seq.parse().unwrap_or_default();
        report.broken = Some((chain.clone(), seq, ContentFault::Missing));
    }
    let changed = sqlx::query(CHANGED).bind(since).bind(until);
    if let Some(row) = changed.fetch_optional(connection).await? {
        report.broken = Some((row.try_get("chain")?, row.try_get("seq")?, ContentFault::Changed));
    }
    Ok(report)
}
