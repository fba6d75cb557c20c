//! What answers were made of, so that what is said about them is shown to those alone who may see that.

use std::time::Duration;

use rooms::{Clearance, Grant, Verb};
use sqlx::{Row as _, postgres::PgRow};

use super::enter::{Access, Purpose, Sees, enter};
use super::error::Error;
use super::inside::Inside;
use super::limits::{MAX_BATCH, batch};
use super::texts::Text;
use crate::Database;
use crate::audit::Place;

const KEEP: &str = "
    INSERT INTO room_answer (room, chain, seq, author, generation, clearance, chunks, request, question, sources, statements)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT (room, chain, seq) DO UPDATE SET
        clearance = greatest(room_answer.clearance, excluded.clearance), chunks = room_answer.chunks || excluded.chunks,
        sources = room_answer.sources || excluded.sources, statements = room_answer.statements || excluded.statements";

/// What is kept of a question beside what its answer is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept<'a> {
    /// The id by which the asker knows the answer.
    pub request: &'a str,
    /// The question, where texts are kept.
    pub question: Option<&'a str>,
    /// What the model was given of databases.
    pub databases: &'a [FromDatabase],
}

/// Rows of a database that a model was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromDatabase {
    /// The source.
    pub source: String,
    /// Clearance that it needs.
    pub clearance: Clearance,
    /// What was asked, where texts are kept.
    pub statement: Option<String>,
}

/// Remembers what an answer is made of, before its first word goes out. `place` is the audit row that opened it. Its
/// clearance, which is given back, is the highest of all texts that the model was given, cited or not; where more is
/// given to it later, call it again.
///
/// # Errors
/// See [`Error`].
pub async fn keep_answer(
    database: &Database,
    grant: &Grant,
    place: &Place,
    generation: i64,
    context: &[Text],
    kept: Kept<'_>,
) -> Result<Clearance, Error> {
    let purpose = Purpose {
        verbs: &[Verb::Ask, Verb::RedTeam],
        sees: Sees::Granted,
        access: Access::Write,
    };
    let asked = kept.databases.iter().map(|asked| asked.clearance);
    let clearances = context.iter().map(|text| text.chunk.clearance).chain(asked);
    let clearance = clearances.max().unwrap_or_default();
    let mut inside = enter(database, grant, purpose).await?;
    if let Some(hidden) = (context.iter()).find(|text| !grant.sees(text.chunk.clearance, &text.chunk.acl)) {
        return Err(inside.disagree("a chunk", hidden.chunk.id.0));
    }
    if clearance > grant.clearance() {
        return Err(inside.disagree("the rows of a database", 0));
    }
    let clean = |text: &str| text.replace('\0', "");
    let sources: Vec<_> = kept.databases.iter().map(|asked| clean(&asked.source)).collect();
    let statements: Vec<_> = (kept.databases.iter())
        .filter_map(|asked| asked.statement.as_deref().map(clean))
        .collect();
    sqlx::query(KEEP)
        .bind(inside.room)
        .bind(&place.chain)
        .bind(place.seq)
        .bind(&grant.principal().user)
        .bind(generation)
        .bind(i16::from(clearance.0))
        .bind(context.iter().map(|text| text.chunk.id.0).collect::<Vec<_>>())
        .bind(clean(kept.request))
        .bind(kept.question.map(clean))
        .bind(sources)
        .bind((!statements.is_empty()).then_some(statements))
        .execute(&mut *inside.transaction)
        .await?;
    inside.commit().await?;
    Ok(clearance)
}

const FINISH: &str = "
    UPDATE room_answer SET answer = $5, outcome = $6 WHERE room = $1 AND chain = $2 AND seq = $3 AND author = $4";

/// Remembers how an answer ended, and its text where texts are kept. It must have been kept before.
///
/// # Errors
/// See [`Error`].
pub async fn finish_answer(
    database: &Database,
    grant: &Grant,
    place: &Place,
    answer: Option<&str>,
    outcome: &str,
) -> Result<(), Error> {
    let purpose = Purpose {
        verbs: &[Verb::Ask, Verb::RedTeam],
        sees: Sees::Granted,
        access: Access::Write,
    };
    let mut inside = enter(database, grant, purpose).await?;
    sqlx::query(FINISH)
        .bind(inside.room)
        .bind(&place.chain)
        .bind(place.seq)
        .bind(&grant.principal().user)
        .bind(answer.map(|answer| answer.replace('\0', "")))
        .bind(outcome)
        .execute(&mut *inside.transaction)
        .await?;
    inside.commit().await
}

/// What was said about an answer. Words of strangers, which may quote what they were answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The audit row that opened the answer.
    pub place: Place,
    /// Clearance of the answer, which what is said about it needs as well.
    pub clearance: Clearance,
    /// The generation that it was made of.
    pub generation: i64,
    /// Its context.
    pub chunks: Vec<i64>,
    /// Who says it.
    pub author: String,
    /// `thumbs`, `rating`, `error_report` or `correction`.
    pub kind: String,
    /// What it says.
    pub value: String,
    /// In their words.
    pub comment: Option<String>,
}

const ANSWERS: &str = "
    SELECT room, chain, seq, clearance, generation, chunks FROM room_answer
    WHERE room = $1 AND clearance <= $2 AND ($3::text IS NULL OR (chain, seq) > ($3, $4))
    ORDER BY chain, seq LIMIT $5";

/// The last word of each kind.
const FEEDBACK: &str = "
    SELECT DISTINCT ON (f.chain, f.seq, f.kind) f.chain, f.seq, f.author, f.kind, f.value, f.comment
    FROM unnest($1::text[], $2::bigint[]) AS a (chain, seq)
    CROSS JOIN LATERAL (SELECT * FROM feedback WHERE chain = a.chain AND seq = a.seq OFFSET 0) f
    ORDER BY f.chain, f.seq, f.kind, f.revision DESC";

/// What was said about up to [`MAX_BATCH`] of the Room's answers, in the order of their places, from the first behind
/// `after`; and where the next call goes on. Only of answers whose clearance the auditor has.
///
/// # Errors
/// See [`Error`].
pub async fn said(
    database: &Database,
    grant: &Grant,
    after: Option<&Place>,
) -> Result<(Vec<Said>, Option<Place>), Error> {
    let purpose = Purpose {
        verbs: &[Verb::Audit],
        sees: Sees::Granted,
        access: Access::Read,
    };
    let mut inside = enter(database, grant, purpose).await?;
    let rows = sqlx::query(ANSWERS)
        .bind(inside.room)
        .bind(i16::from(grant.clearance().0))
        .bind(after.map(|after| &after.chain))
        .bind(after.map(|after| after.seq))
        .bind(MAX_BATCH as i64)
        .fetch_all(&mut *inside.transaction)
        .await?;
    let answers = rows
        .iter()
        .map(|row| answer(&inside, grant, row))
        .collect::<Result<Vec<_>, _>>()?;
    inside.commit().await?;
    let next = answers
        .last()
        .filter(|_| answers.len() == MAX_BATCH)
        .map(|last| last.0.clone());
    Ok((about(database, &answers).await?, next))
}

const THESE: &str = "
    SELECT a.room, a.chain, a.seq, a.clearance, a.generation, a.chunks
    FROM unnest($3::text[], $4::bigint[]) AS w (chain, seq)
    CROSS JOIN LATERAL (SELECT * FROM room_answer
        WHERE room = $1 AND chain = w.chain AND seq = w.seq AND clearance <= $2 LIMIT 1) a";

/// What was said about these answers of the Room, up to [`MAX_BATCH`]. Only about those whose clearance the auditor has.
///
/// # Errors
/// See [`Error`].
pub async fn said_of(database: &Database, grant: &Grant, places: &[&Place]) -> Result<Vec<Said>, Error> {
    batch("answers", places.len())?;
    let purpose = Purpose {
        verbs: &[Verb::Audit],
        sees: Sees::Granted,
        access: Access::Read,
    };
    let mut inside = enter(database, grant, purpose).await?;
    let rows = sqlx::query(THESE)
        .bind(inside.room)
        .bind(i16::from(grant.clearance().0))
        .bind(places.iter().map(|place| &*place.chain).collect::<Vec<_>>())
        .bind(places.iter().map(|place| place.seq).collect::<Vec<_>>())
        .fetch_all(&mut *inside.transaction)
        .await?;
    let answers = rows
        .iter()
        .map(|row| answer(&inside, grant, row))
        .collect::<Result<Vec<_>, _>>()?;
    inside.commit().await?;
    about(database, &answers).await
}

type Answered = (Place, Clearance, i64, Vec<i64>);

fn answer(inside: &Inside<'_>, grant: &Grant, row: &PgRow) -> Result<Answered, Error> {
    let seq = row.try_get("seq")?;
    inside.own(row, "an answer", seq)?;
    let clearance = u8::try_from(row.try_get::<i16, _>("clearance")?).map_err(|_| Error::Damaged("a clearance"))?;
    if clearance > grant.clearance().0 {
        return Err(inside.disagree("an answer", seq));
    }
    let chain: String = row.try_get("chain")?;
    Ok((
        Place { chain, seq },
        Clearance(clearance),
        row.try_get("generation")?,
        row.try_get("chunks")?,
    ))
}

/// Outside of the Room: feedback is not a Room's alone.
async fn about(database: &Database, answers: &[Answered]) -> Result<Vec<Said>, Error> {
    let rows = sqlx::query(FEEDBACK)
        .bind(answers.iter().map(|answer| &*answer.0.chain).collect::<Vec<_>>())
        .bind(answers.iter().map(|answer| answer.0.seq).collect::<Vec<_>>())
        .fetch_all(database.pool())
        .await?;
    let mut said = Vec::new();
    for row in rows {
        let (chain, seq) = (row.try_get("chain")?, row.try_get("seq")?);
        let place = Place { chain, seq };
        let Some((_, clearance, generation, chunks)) = answers.iter().find(|answer| answer.0 == place) else {
            continue;
        };
        said.push(Said {
            place,
            clearance: *clearance,
            generation: *generation,
            chunks: chunks.clone(),
            author: row.try_get("author")?,
            kind: row.try_get("kind")?,
            value: row.try_get("value")?,
            comment: row.try_get("comment")?,
        });
    }
    Ok(said)
}

const RAISE: &str = "
    UPDATE room_answer SET clearance = $3 WHERE room = $1 AND $2 = ANY (sources) AND clearance < $3";

const FORGET: &str = "
    UPDATE room_answer SET question = NULL, answer = NULL, statements = NULL
    WHERE room = $1 AND NOT sources <@ $2::text[]
        AND (question IS NOT NULL OR answer IS NOT NULL OR statements IS NOT NULL)";

/// Holds what was answered from databases against what the Room's spec says of them now, which is `databases` with their
/// clearances: answers need the clearance of each that they are made of, and of those that are none of the Room's any more
/// the texts go. Those of other sources are hidden with their documents.
///
/// # Errors
/// See [`Error`].
pub async fn keep_databases(database: &Database, grant: &Grant, databases: &[(&str, Clearance)]) -> Result<(), Error> {
    let purpose = Purpose {
        verbs: &[Verb::Ingest],
        sees: Sees::All,
        access: Access::Write,
    };
    let mut inside = enter(database, grant, purpose).await?;
    let names: Vec<_> = databases.iter().map(|known| known.0).collect();
    for (name, clearance) in databases {
        sqlx::query(RAISE)
            .bind(inside.room)
            .bind(name)
            .bind(i16::from(clearance.0))
            .execute(&mut *inside.transaction)
            .await?;
    }
    sqlx::query(FORGET)
        .bind(inside.room)
        .bind(names)
        .execute(&mut *inside.transaction)
        .await?;
    inside.commit().await
}

/// What was forgotten of answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Answers whose texts are gone.
    pub texts: u64,
    /// Answers of which nothing is left.
    pub answers: u64,
}

/// Forgets the texts of answers that are older than `texts`, and of those older than `all` what they were made of; with
/// that, what was said about them stays unread.
///
/// # Errors
/// See [`Error`].
pub async fn expire_answers(
    database: &Database,
    grant: &Grant,
    texts: Duration,
    all: Duration,
) -> Result<Expired, Error> {
    let purpose = Purpose {
        verbs: &[Verb::Ingest],
        sees: Sees::All,
        access: Access::Write,
    };
    let mut inside = enter(database, grant, purpose).await?;
    let statements = [
        (
            "UPDATE room_answer SET question = NULL, answer = NULL, statements = NULL
            WHERE room = $1 AND at < now() - $2 * interval '1 second'
                AND (question IS NOT NULL OR answer IS NOT NULL OR statements IS NOT NULL)",
            texts,
        ),
        (
            "DELETE FROM room_answer WHERE room = $1 AND at < now() - $2 * interval '1 second'",
            all,
        ),
    ];
    let mut done = [0; 2];
    for ((statement, age), done) in statements.into_iter().zip(&mut done) {
        *done = sqlx::query(statement)
            .bind(inside.room)
            .bind(age.as_secs_f64())
            .execute(&mut *inside.transaction)
            .await?
            .rows_affected();
    }
    inside.commit().await?;
    let [texts, answers] = done;
    Ok(Expired { texts, answers })
}
