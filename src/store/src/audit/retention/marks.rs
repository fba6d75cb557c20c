//! Until where things may be gone.

use serde::Serialize;
use sqlx::{PgConnection, Row as _};

use crate::audit::chain::Hash;

/// Rows and contents may be gone up to there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Rows up to those that this root has sealed, which had this hash.
    pub root: Option<(i64, String)>,
    /// Contents from before then, in microseconds since 1970.
    pub contents: Option<i64>,
}

/// The event of a row that says so.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Mark {
    /// Of contents.
    Contents {
        /// From before then, in microseconds since 1970.
        content_before: i64,
    },
    /// Of rows.
    Rows {
        /// The last root whose rows may be gone.
        through: i64,
        /// Its hash.
        #[serde(with = "hex")]
        root: Hash,
    },
}

/// A row that no walk passes is no evidence: one that claims to have expired itself would vouch for itself.
const ROOT: &str = "
    SELECT (p.event ->> 'through')::bigint AS through, p.event ->> 'root' AS root FROM audit p
    WHERE p.kind = 'pruned' AND p.event ->> 'through' IS NOT NULL AND NOT EXISTS (
        SELECT FROM audit_head h
        WHERE h.chain = p.chain AND h.seq >= p.seq AND h.root <= (p.event ->> 'through')::bigint)
    ORDER BY 1 DESC LIMIT 1";

const CONTENTS: &str = "
    SELECT max((p.event ->> 'content_before')::bigint) FROM audit p
    WHERE p.kind = 'pruned' AND NOT EXISTS (
        SELECT FROM audit_head h WHERE h.chain = p.chain AND h.seq >= p.seq AND h.root <= $1)";

/// As the trail has them.
pub async fn marks(connection: &mut PgConnection) -> sqlx::Result<Marks> {
    let root = sqlx::query(ROOT).fetch_optional(&mut *connection).await?;
    let root = match root {
        None => None,
        Some(row) => Some((
            row.try_get("through")?,
            row.try_get::<Option<_>, _>("root")?.unwrap_or_default(),
        )),
    };
    let mut marks = Marks { root, contents: None };
    let contents = sqlx::query_scalar(CONTENTS).bind(marks.through());
    marks.contents = contents.fetch_one(connection).await?;
    Ok(marks)
}

impl Marks {
    /// The last root whose rows may be gone; 0 if there is none.
    pub fn through(&self) -> i64 {
        self.root.as_ref().map_or(0, |(root, _)| *root)
    }
}
