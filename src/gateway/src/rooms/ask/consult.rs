//! Asking a Room's databases: a model writes a statement from what the spec says of tables, the guard reads it and writes it
//! anew, and the database runs that.
//!
//! Where documents have something on the question, only those databases are asked whose tables have some of its words;
//! otherwise the ones that have most.
//!
//! The model that writes is told nothing that stands in a database or a document, so no row can make it write anything. Of
//! the databases, it is told of those alone whose clearance the asker has. A statement that the guard refuses is written
//! once more, by the guard's own words; what a database says against one is told nobody.

use ::rooms::{
    Acl, Chunk, ChunkId, Place, Verb,
    sql::{Allowed, Asked, Correction, NoStatement, Refusal, Rewritten, Rows as Answered, check, relevance, statement},
};
use futures::future::try_join_all;
use protocol::rooms::{
    ask::{Ask, Unavailable},
    code,
};

use super::{
    super::{Admitted, models::Asker, request::Knock, room::Database},
    given::{Given, Rows},
    meter::tokens,
};
use crate::error::Error;

/// Databases that one question asks at most: the most relevant ones.
const MOST: usize = 3;
/// Tokens of a statement.
const STATEMENT_TOKENS: u32 = 512;
/// Statements that a model writes until one may be run.
const TRIES: usize = 2;

/// What databases answered.
#[derive(Default)]
pub struct Consulted {
    /// Their rows.
    pub rows: Vec<Given>,
    /// Those that did not answer.
    pub unavailable: Vec<Unavailable>,
}

/// A question to one database.
struct Consultation<'a> {
    knock: &'a Knock,
    asker: &'a Asker,
    admitted: &'a Admitted,
    model: &'a str,
    ask: &'a Ask,
    database: Database,
    allowed: Allowed,
    /// Tokens that its rows may take.
    room: usize,
    /// Its place among those that are asked.
    place: usize,
}

enum Outcome {
    Rows(Box<Rows>),
    /// The tables do not have the answer.
    Nothing,
    Unavailable(&'static str),
}

/// Asks the databases that may have an answer, for rows of `room` tokens; `is_found` says whether documents have something.
/// There is a newer admission with it.
///
/// # Errors
/// When the asker may not be here any more, or the model does not write.
pub async fn consult(
    knock: &Knock,
    asker: &Asker,
    admitted: Admitted,
    model: &str,
    ask: &Ask,
    (room, is_found): (usize, bool),
) -> Result<(Admitted, Consulted), Error> {
    let databases = admitted.room.databases(admitted.grant.clearance());
    let max_rows = knock.gateway.rooms.databases.max_rows();
    let mut relevant: Vec<_> = databases
        .into_iter()
        .map(|database| {
            let allowed = database.allowed(max_rows);
            (relevance(&allowed, &ask.question), database, allowed)
        })
        .collect();
    relevant.retain(|(relevance, ..)| *relevance > 0 || !is_found);
    relevant.sort_by_key(|(relevance, ..)| std::cmp::Reverse(*relevance));
    relevant.truncate(MOST);
    if relevant.is_empty() {
        return Ok((admitted, Consulted::default()));
    }
    let count = relevant.len();
    let consultations = relevant.into_iter().enumerate().map(|(place, (_, database, allowed))| {
        let consultation = Consultation {
            knock,
            asker,
            admitted: &admitted,
            model,
            ask,
            database,
            allowed,
            room: room / count,
            place,
        };
        async move {
            let outcome = consultation.run().await?;
            Ok::<_, Error>((consultation.database.source, outcome))
        }
    });
    let mut consulted = Consulted::default();
    for (source, outcome) in try_join_all(consultations).await? {
        match outcome {
            Outcome::Rows(rows) => consulted.rows.push(Given::Rows(*rows)),
            Outcome::Nothing => {}
            Outcome::Unavailable(code) => consulted.unavailable.push(Unavailable {
                source,
                code: code.into(),
            }),
        }
    }
    // The models, and the databases, took their time.
    Ok((knock.admit(Verb::Ask).await?, consulted))
}

impl Consultation<'_> {
    async fn run(&self) -> Result<Outcome, Error> {
        let rooms = &self.knock.gateway.rooms;
        let outcome = self.outcome().await?;
        let label = match &outcome {
            Outcome::Rows(_) => "answered",
            Outcome::Nothing => "nothing",
            Outcome::Unavailable(code) => code,
        };
        rooms.metrics.statements.with_label_values(&[label]).inc();
        Ok(outcome)
    }

    async fn outcome(&self) -> Result<Outcome, Error> {
        let query = match self.written().await? {
            Some(Ok(query)) => query,
            Some(Err(refusal)) => {
                let key = &self.admitted.room.key;
                tracing::info!(
                    room = key.name,
                    namespace = key.namespace,
                    source = self.database.source,
                    kind = kind(&refusal),
                    "a statement for a database was refused"
                );
                return Ok(Outcome::Unavailable(code::STATEMENT_REFUSED));
            }
            None => return Ok(Outcome::Nothing),
        };
        self.check_access().await?;
        let rooms = &self.knock.gateway.rooms;
        let asked = rooms
            .databases
            .ask(&self.admitted.room.key, &self.database, &query)
            .await;
        match asked {
            Ok(rows) if rows.rows.is_empty() => Ok(Outcome::Nothing),
            Ok(rows) => Ok(self.rows(&query, &rows)),
            Err(trouble) => {
                let key = &self.admitted.room.key;
                tracing::warn!(
                    room = key.name,
                    namespace = key.namespace,
                    source = self.database.source,
                    %trouble,
                    "a database of a Room does not answer"
                );
                Ok(Outcome::Unavailable(trouble.code()))
            }
        }
    }

    /// A statement that may be run, or why the last one may not; none where the model says that there is none to be asked.
    async fn written(&self) -> Result<Option<Result<Rewritten, Refusal>>, Error> {
        let earlier: Vec<&str> = self.ask.history.iter().map(|turn| turn.question.as_str()).collect();
        let mut refused: Option<(String, Refusal)> = None;
        for _ in 0..TRIES {
            let asked = Asked {
                allowed: &self.allowed,
                question: &self.ask.question,
                earlier: &earlier,
                correction: refused
                    .as_ref()
                    .map(|(statement, refusal)| Correction { statement, refusal }),
            };
            let (system, user) = asked.messages();
            let reply = self.asker.write(self.model, &system, &user, STATEMENT_TOKENS).await?;
            let sql = match statement(&reply) {
                Ok(sql) => sql,
                Err(NoStatement::Declined) => return Ok(None),
                Err(NoStatement::Missing) => {
                    refused = Some((String::new(), Refusal::Statements(0)));
                    continue;
                }
                Err(NoStatement::Several) => {
                    refused = Some((String::new(), Refusal::Statements(2)));
                    continue;
                }
            };
            match checked(sql.clone(), self.allowed.clone()).await {
                Ok(query) => return Ok(Some(Ok(query))),
                Err(refusal) => refused = Some((sql, refusal)),
            }
        }
        Ok(refused.map(|(_, refusal)| Err(refusal)))
    }

    /// Whether the database may still be asked for this asker: writing took its time.
    async fn check_access(&self) -> Result<(), Error> {
        let now = self.knock.admit(Verb::Ask).await?;
        let may = now.room.key == self.admitted.room.key
            && now.room.databases(now.grant.clearance()).contains(&self.database);
        match may {
            true => Ok(()),
            false => Err(Error::RoomNotFound {
                room: format!("{}/{}", self.knock.namespace, self.knock.name),
            }),
        }
    }

    fn rows(&self, query: &Rewritten, rows: &Answered) -> Outcome {
        let Some(given) = rows.text(&|text| tokens(text) <= self.room) else {
            // Not even one row is short enough to be given.
            return Outcome::Unavailable(code::DATABASE_FAILED);
        };
        let tables = query.tables();
        let chunk = Chunk {
            // Numbers of documents' chunks are positive.
            id: ChunkId(-1 - i64::try_from(self.place).unwrap_or_default()),
            document: tables.join(", "),
            source: self.database.source.clone(),
            place: Place {
                headings: query.headings(&self.allowed),
                ..Place::default()
            },
            text: given.text,
            clearance: self.database.clearance,
            acl: Acl::everyone(),
        };
        Outcome::Rows(Box::new(Rows {
            chunk,
            header: given.header,
            database: self.database.clone(),
            statement: query.sql.clone(),
            tables,
        }))
    }
}

/// Reads a statement where it may take its time.
async fn checked(sql: String, allowed: Allowed) -> Result<Rewritten, Refusal> {
    let checked = tokio::task::spawn_blocking(move || check(&sql, &allowed)).await;
    checked.unwrap_or(Err(Refusal::Unread))
}

/// What kind of refusal it is. Its words may quote the question.
fn kind(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Syntax(_) => "syntax",
        Refusal::TooLong | Refusal::TooDeep | Refusal::Unread => "size",
        Refusal::Statements(_) | Refusal::NoQuery(_) => "statement",
        Refusal::Table(_) | Refusal::Column(_) | Refusal::Ambiguous(_) | Refusal::Name(_) => "name",
        Refusal::Function(_) => "function",
        Refusal::Feature(_) | Refusal::Type(_) | Refusal::Operator(_) | Refusal::Number(_) => "feature",
    }
}
