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

const MARKS: &str = "
    SELECT max((event ->> 'content_before')::bigint) AS contents FROM audit WHERE kind = 'pruned'";

const ROOT: &str = "
    SELECT (event ->> 'through')::bigint AS through, event ->> 'root' AS root FROM audit
    WHERE kind = 'pruned' AND event ->> 'through' IS NOT NULL ORDER BY 1 DESC LIMIT 1";

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
    let contents = sqlx::query_scalar(MARKS).fetch_one(connection).await?;
    Ok(Marks { root, contents })
}
