//! What callers say about answers that they got.
//!
//! It is tied to the audit row that opened the answer, and with it to model, version and adapter. Nothing is overwritten:
//! who says the same again has said it once, and who says something else adds a revision, of which the last one counts.
//! Values and comments are texts of strangers.

use sqlx::{PgConnection, Row as _, postgres::PgRow};

use crate::{Database, Unreachable, audit::Place};

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feedback {
    /// `thumbs`, `rating`, `error_report` or `correction`.
    pub kind: String,
    /// What it says: `up`, `4`, a reason, a better answer.
    pub value: String,
    /// In the caller's words.
    pub comment: Option<String>,
}

/// What it is said about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The row that opened it.
    pub place: Place,
    /// The request's id.
    pub request: String,
    /// Whose model.
    pub namespace: String,
    /// Its name.
    pub model: String,
    /// The adapter, if one was asked.
    pub adapter: Option<String>,
    /// The version that answered.
    pub version: Option<String>,
}

/// Feedback as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// About what.
    pub answer: Answer,
    /// How often the caller has changed their mind, from 1.
    pub revision: i32,
}

/// The caller's last request of that id, or the one whose answer has it. Its end tells the version.
const FIND: &str = "
    WITH meant AS (
        SELECT chain, seq, at FROM audit WHERE kind = 'opened' AND subject = $1 AND request = $2
        UNION ALL
        SELECT chain, (event ->> 'opened')::bigint, at FROM audit
        WHERE kind = 'closed' AND subject = $1 AND event ->> 'answer' = $2
        ORDER BY at DESC LIMIT 1
    )
    SELECT o.chain, o.seq, o.request, o.event ->> 'namespace' AS namespace, o.event ->> 'model' AS model,
        o.event ->> 'adapter' AS adapter, coalesce(c.event ->> 'version', o.event ->> 'version') AS version
    FROM meant JOIN audit o USING (chain, seq)
    LEFT JOIN audit c ON c.request = o.request AND c.subject = o.subject AND c.kind = 'closed'
        AND c.chain = o.chain AND (c.event ->> 'opened')::bigint = o.seq
    WHERE o.kind = 'opened' AND o.subject = $1";

const AT: &str = "
    SELECT o.chain, o.seq, o.request, o.event ->> 'namespace' AS namespace, o.event ->> 'model' AS model,
        o.event ->> 'adapter' AS adapter, coalesce(c.event ->> 'version', o.event ->> 'version') AS version
    FROM audit o
    LEFT JOIN audit c ON c.request = o.request AND c.subject = o.subject AND c.kind = 'closed'
        AND c.chain = o.chain AND (c.event ->> 'opened')::bigint = o.seq
    WHERE o.kind = 'opened' AND o.subject = $1 AND o.chain = $2 AND o.seq = $3";

const LAST: &str = "
    SELECT revision, value, comment FROM feedback
    WHERE chain = $1 AND seq = $2 AND kind = $3 ORDER BY revision DESC LIMIT 1";

const INSERT: &str = "
    INSERT INTO feedback
        (chain, seq, kind, revision, author, request, namespace, model, adapter, version, value, comment)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING";

/// Keeps what `author` says about the answer that they know as `id`; `None` if there is none that is theirs.
///
/// # Errors
/// When the database is not there.
pub async fn give(
    database: &Database,
    author: &str,
    id: &str,
    feedback: &Feedback,
) -> Result<Option<Kept>, Unreachable> {
    let mut connection = database.pool().acquire().await?;
    let answer = find(&mut connection, author, id).await?;
    keep(&mut connection, author, answer, feedback).await
}

/// Keeps what `author` says about the answer that was opened at `place`; `None` if there is none that is theirs.
///
/// # Errors
/// When the database is not there.
pub async fn give_at(
    database: &Database,
    author: &str,
    place: &Place,
    feedback: &Feedback,
) -> Result<Option<Kept>, Unreachable> {
    let mut connection = database.pool().acquire().await?;
    let row = sqlx::query(AT)
        .bind(author)
        .bind(&place.chain)
        .bind(place.seq)
        .fetch_optional(&mut *connection)
        .await?;
    let answer = row.as_ref().map(read).transpose()?;
    keep(&mut connection, author, answer, feedback).await
}

async fn keep(
    connection: &mut PgConnection,
    author: &str,
    answer: Option<Answer>,
    feedback: &Feedback,
) -> Result<Option<Kept>, Unreachable> {
    let Some(answer) = answer else {
        return Ok(None);
    };
    loop {
        let last = sqlx::query(LAST)
            .bind(&answer.place.chain)
            .bind(answer.place.seq)
            .bind(&feedback.kind)
            .fetch_optional(&mut *connection)
            .await?;
        let mut revision = 1;
        if let Some(last) = last {
            revision = last.try_get("revision")?;
            let same = last.try_get::<&str, _>("value")? == feedback.value
                && last.try_get::<Option<&str>, _>("comment")? == feedback.comment.as_deref();
            if same {
                return Ok(Some(Kept { answer, revision }));
            }
            revision += 1;
        }
        let kept = sqlx::query(INSERT)
            .bind(&answer.place.chain)
            .bind(answer.place.seq)
            .bind(&feedback.kind)
            .bind(revision)
            .bind(author)
            .bind(&answer.request)
            .bind(&answer.namespace)
            .bind(&answer.model)
            .bind(&answer.adapter)
            .bind(&answer.version)
            .bind(&feedback.value)
            .bind(&feedback.comment)
            .execute(&mut *connection)
            .await?;
        // Otherwise the same caller was faster, at another replica: what they said there comes first.
        if kept.rows_affected() == 1 {
            return Ok(Some(Kept { answer, revision }));
        }
    }
}

async fn find(connection: &mut PgConnection, author: &str, id: &str) -> sqlx::Result<Option<Answer>> {
    let row = sqlx::query(FIND)
        .bind(author)
        .bind(id)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(read).transpose()
}

fn read(row: &PgRow) -> sqlx::Result<Answer> {
    Ok(Answer {
        place: Place {
            chain: row.try_get("chain")?,
            seq: row.try_get("seq")?,
        },
        request: row.try_get("request")?,
        namespace: row.try_get("namespace")?,
        model: row.try_get("model")?,
        adapter: row.try_get("adapter")?,
        version: row.try_get("version")?,
    })
}
