//! Who asked what, for those who did and for auditors.

use rooms::{Clearance, Grant, Verb};
use sqlx::{Row as _, postgres::PgRow};

use super::enter::{Access, Purpose, Sees, enter};
use super::error::Error;
use super::inside::{Inside, names};
use super::limits::MAX_BATCH;
use crate::Database;
use crate::audit::Place;

/// A question and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The audit row that opened it.
    pub place: Place,
    /// When, in microseconds since 1970.
    pub at: i64,
    /// The id by which the asker knows it.
    pub request: String,
    /// Who asked.
    pub author: String,
    /// Clearance of the answer.
    pub clearance: Clearance,
    /// The generation that it was made of.
    pub generation: i64,
    /// Whether the grant sees, now, all documents that it was made of. Without that there are neither chunks nor texts.
    pub is_shown: bool,
    /// The chunks that the model was given.
    pub chunks: Vec<i64>,
    /// What was asked of databases for it, where it is kept.
    pub statements: Vec<String>,
    /// The question, where it is kept.
    pub question: Option<String>,
    /// The answer, where it is kept.
    pub answer: Option<String>,
    /// How it ended, once it has.
    pub outcome: Option<String>,
}

/// Documents have one number for all generations, so also those of generations that are gone are looked at.
const SELECT: &str = "
    SELECT a.room, a.chain, a.seq, (extract(epoch FROM a.at) * 1000000)::bigint AS at, a.request, a.author, a.clearance,
        a.generation, a.chunks, a.question, a.answer, a.outcome, a.statements,
        coalesce((SELECT bool_and((SELECT true FROM room_document d
                WHERE d.room = $1 AND d.id = w.document AND d.state = 'present'
                    AND d.clearance <= $2 AND (d.acl IS NULL OR d.acl && $3) LIMIT 1) IS NOT NULL)
            FROM (SELECT DISTINCT chunk >> 20 AS document FROM unnest(a.chunks) AS u (chunk) OFFSET 0) w), true) AS is_shown
    FROM room_answer a
    WHERE a.room = $1 AND a.clearance <= $2 AND ($4::text IS NULL OR a.author = $4)
        AND ($5::bigint IS NULL
            OR (a.at, a.chain, a.seq) < (timestamptz 'epoch' + $5 * interval '1 microsecond', $6, $7))
    ORDER BY a.at DESC, a.chain DESC, a.seq DESC LIMIT $8";

/// Up to `limit` questions and [`MAX_BATCH`], the latest first, from the first behind `after`, which is the time and the
/// place of one: of a grant to ask or to attack, its user's own; of a grant to audit, everybody's. Those above the grant's clearance are
/// left out.
///
/// # Errors
/// See [`Error`].
pub async fn asked(
    database: &Database,
    grant: &Grant,
    after: Option<(i64, &Place)>,
    limit: usize,
) -> Result<Vec<Asked>, Error> {
    let purpose = Purpose {
        verbs: &[Verb::Ask, Verb::Audit, Verb::RedTeam],
        sees: Sees::Granted,
        access: Access::Read,
    };
    let author = (grant.verb() != Verb::Audit).then(|| &grant.principal().user);
    let mut inside = enter(database, grant, purpose).await?;
    let rows = sqlx::query(SELECT)
        .bind(inside.room)
        .bind(i16::from(grant.clearance().0))
        .bind(names(grant))
        .bind(author)
        .bind(after.map(|after| after.0))
        .bind(after.map(|after| &after.1.chain))
        .bind(after.map(|after| after.1.seq))
        .bind(limit.min(MAX_BATCH) as i64)
        .fetch_all(&mut *inside.transaction)
        .await?;
    rows.iter().map(|row| read(&inside, grant, row)).collect()
}

fn read(inside: &Inside<'_>, grant: &Grant, row: &PgRow) -> Result<Asked, Error> {
    let seq = row.try_get("seq")?;
    inside.own(row, "an answer", seq)?;
    let clearance = u8::try_from(row.try_get::<i16, _>("clearance")?).map_err(|_| Error::Damaged("a clearance"))?;
    let author: String = row.try_get("author")?;
    let is_theirs = grant.verb() == Verb::Audit || author == grant.principal().user;
    if clearance > grant.clearance().0 || !is_theirs {
        return Err(inside.disagree("an answer", seq));
    }
    let is_shown: bool = row.try_get("is_shown")?;
    let text = |column| match is_shown {
        true => row.try_get::<Option<String>, _>(column),
        false => Ok(None),
    };
    Ok(Asked {
        place: Place {
            chain: row.try_get("chain")?,
            seq,
        },
        at: row.try_get("at")?,
        request: row.try_get::<Option<String>, _>("request")?.unwrap_or_default(),
        author,
        clearance: Clearance(clearance),
        generation: row.try_get("generation")?,
        is_shown,
        chunks: match is_shown {
            true => row.try_get("chunks")?,
            false => Vec::new(),
        },
        statements: match is_shown {
            true => row.try_get::<Option<_>, _>("statements")?.unwrap_or_default(),
            false => Vec::new(),
        },
        question: text("question")?,
        answer: text("answer")?,
        outcome: row.try_get("outcome")?,
    })
}

const MINE: &str = "
    SELECT room, chain, seq, author FROM room_answer
    WHERE room = $1 AND author = $2 AND request = $3 AND clearance <= $4 ORDER BY at DESC LIMIT 1";

/// The place of the last answer that the grant's own user knows by this id, if they have its clearance: to say something
/// about it.
///
/// # Errors
/// See [`Error`].
pub async fn mine(database: &Database, grant: &Grant, request: &str) -> Result<Option<Place>, Error> {
    let purpose = Purpose {
        verbs: &[Verb::Feedback],
        sees: Sees::Granted,
        access: Access::Read,
    };
    if request.contains('\0') {
        return Ok(None);
    }
    let mut inside = enter(database, grant, purpose).await?;
    let row = sqlx::query(MINE)
        .bind(inside.room)
        .bind(&grant.principal().user)
        .bind(request)
        .bind(i16::from(grant.clearance().0))
        .fetch_optional(&mut *inside.transaction)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let seq = row.try_get("seq")?;
    inside.own(&row, "an answer", seq)?;
    if row.try_get::<&str, _>("author")? != grant.principal().user {
        return Err(inside.disagree("an answer", seq));
    }
    let chain = row.try_get("chain")?;
    Ok(Some(Place { chain, seq }))
}
