//! Databases that Rooms ask: whose password it is, where they may be, and how many questions one gets at a time.
//!
//! A password is read as keys of hosted models are, from a Secret of the Room's namespace, and only where the chart's
//! `gateway.providerSecrets.namespaces` lets the gateway read. Each question has a connection of its own, of which a database
//! gets [`AT_ONCE`] from this replica: what one question leaves behind on a connection would be there for the next.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::rooms::{
    RoomKey,
    sql::{Refusal, Rewritten, Rows, check},
};
use prometheus::IntCounterVec;
use protocol::rooms::code;
use store::sources::{self, BadUrl, Failure, Limits, Target};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::room::Database;
use crate::{
    cache::{Cache, Unavailable},
    hosted::{Credentials, Guard, KeyName, NoKey, Secret, SecretReader, explain},
};

/// Questions that a database gets at a time.
const AT_ONCE: usize = 4;
/// How long a question waits for its turn.
const WAIT: Duration = Duration::from_secs(5);
/// The key of the Secret with certificates that vouch for the database, if there are any.
const CERTIFICATES: &str = "ca.crt";
/// How long certificates, and what was found out about a database, are believed.
const TTL: Duration = Duration::from_secs(60);
const CACHED: usize = 1024;

/// Why a database did not answer. The message is for whoever made the Room.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// There is no URL.
    #[error("sql.connectionSecretRef: {0}")]
    Secret(String),
    /// It is none that may be used.
    #[error("sql.connectionSecretRef: the URL in its key {0:?} cannot be used: {1}")]
    Url(String, BadUrl),
    /// Too many questions are there already.
    #[error("the database has as many questions as it gets at a time")]
    Busy,
    /// The database.
    #[error("sql.connectionSecretRef: {0}")]
    Database(#[from] Failure),
    /// A table.
    #[error("sql.tables[{table}]: {why}")]
    Table {
        /// Its name.
        table: String,
        /// What to do.
        why: String,
    },
}

impl Trouble {
    /// What somebody who asks is told.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Database(Failure::TooLong | Failure::Refused(_)) | Self::Table { .. } => code::DATABASE_FAILED,
            _ => code::DATABASE_UNAVAILABLE,
        }
    }
}

type Certificates = Result<Option<Arc<[u8]>>, NoKey>;

/// All databases of all Rooms.
pub struct Databases {
    reader: Arc<dyn SecretReader>,
    credentials: Credentials,
    certificates: Cache<KeyName, Certificates>,
    looks: Cache<String, Option<String>>,
    guard: Guard,
    turns: Mutex<BTreeMap<(String, String), Arc<Semaphore>>>,
    limits: Limits,
}

impl Databases {
    /// Those that `guard` admits, with passwords that `reader` reads. `lookups` counts cache use.
    pub fn new(reader: Arc<dyn SecretReader>, guard: Guard, lookups: &IntCounterVec) -> Self {
        Self {
            credentials: Credentials::new(reader.clone(), lookups.clone()),
            certificates: Cache::new("database_certificates", CACHED, lookups.clone()),
            looks: Cache::new("databases", CACHED, lookups.clone()),
            reader,
            guard,
            turns: Mutex::default(),
            limits: Limits::default(),
        }
    }

    /// Most rows of an answer.
    pub fn max_rows(&self) -> u64 {
        self.limits.rows
    }

    /// The rows of a statement, at a database of a Room.
    ///
    /// # Errors
    /// When there are none.
    pub async fn ask(&self, room: &RoomKey, database: &Database, query: &Rewritten) -> Result<Rows, Trouble> {
        let _turn = self.turn(room, database).await?;
        let name = KeyName::new(&room.namespace, &database.sql.connection_secret_ref);
        let certificates = self.certificates(&name).await?;
        let secret = self.credentials.get(&name).await.map_err(|why| unread(&name, why))?;
        match self.ask_by(&name, &secret, certificates.as_deref(), query).await {
            Err(Trouble::Database(Failure::Credentials)) => {
                // Somebody may have changed it.
                let other = self.credentials.get_other_than(&name, &secret).await;
                let other = other.map_err(|why| unread(&name, why))?;
                match other == secret {
                    true => Err(Failure::Credentials.into()),
                    false => self.ask_by(&name, &other, certificates.as_deref(), query).await,
                }
            }
            asked => asked,
        }
    }

    async fn ask_by(
        &self,
        name: &KeyName,
        secret: &Secret,
        certificates: Option<&[u8]>,
        query: &Rewritten,
    ) -> Result<Rows, Trouble> {
        let target = Target::parse(secret.expose(), certificates);
        let target = target.map_err(|why| Trouble::Url(name.key.clone(), why))?;
        let admits = |address| self.guard.admits(address);
        Ok(sources::ask(&target, &admits, query, &self.limits).await?)
    }

    async fn certificates(&self, url: &KeyName) -> Result<Option<Arc<[u8]>>, Trouble> {
        let name = KeyName {
            key: CERTIFICATES.into(),
            ..url.clone()
        };
        let ask = || {
            let read = self.reader.read_bytes(&name);
            async move {
                match read.await {
                    Ok(pem) => Ok((Ok(Some(pem.into())), TTL)),
                    Err(NoKey::NoEntry) => Ok((Ok(None), TTL)),
                    Err(NoKey::Unavailable) => Err(Unavailable("the Secret cannot be read".into())),
                    Err(why) => Ok((Err(why), Duration::from_secs(2))),
                }
            }
        };
        let read = self.certificates.get(name.clone(), ask).await;
        read.unwrap_or(Err(NoKey::Unavailable)).map_err(|why| unread(url, why))
    }

    async fn turn(&self, room: &RoomKey, database: &Database) -> Result<OwnedSemaphorePermit, Trouble> {
        let key = (room.uid.clone(), database.source.clone());
        let turns = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that nobody asks any more need none.
            if turns.len() >= CACHED {
                turns.retain(|_, turns| turns.available_permits() < AT_ONCE);
            }
            turns
                .entry(key)
                .or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE)))
                .clone()
        };
        match timeout(WAIT, turns.acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(Trouble::Busy),
        }
    }

    /// Why a database cannot be asked, if so: it is looked for, and each of its tables, at most once a minute.
    pub async fn look(self: &Arc<Self>, room: &RoomKey, database: &Database) -> Option<String> {
        let key = format!("{}/{}/{:?}", room.uid, database.source, database.sql);
        let ask = || {
            let (this, room, database) = (self.clone(), room.clone(), database.clone());
            async move { Ok((this.look_now(&room, &database).await, TTL)) }
        };
        self.looks.get(key, ask).await.unwrap_or_default()
    }

    async fn look_now(&self, room: &RoomKey, database: &Database) -> Option<String> {
        let allowed = database.allowed(self.limits.rows);
        for (name, table) in &allowed.tables {
            let columns: Vec<_> = (table.columns.iter())
                .map(|column| format!("t.\"{}\"", column.name))
                .collect();
            let quoted: Vec<_> = name.split('.').map(|part| format!("\"{part}\"")).collect();
            let statement = format!("SELECT {} FROM {} t LIMIT 0", columns.join(", "), quoted.join("."));
            let asked = match check(&statement, &allowed) {
                Ok(query) => self.ask(room, database, &query).await.map(drop),
                Err(refusal) => Err(Trouble::Table {
                    table: name.clone(),
                    why: refused(&refusal),
                }),
            };
            let trouble = match asked {
                Ok(()) => continue,
                Err(Trouble::Database(Failure::Refused(state))) => Trouble::Table {
                    table: name.clone(),
                    why: advice(&state),
                },
                Err(trouble) => trouble,
            };
            return Some(format!("spec.sources[{}].{trouble}", database.source));
        }
        None
    }
}

fn unread(name: &KeyName, why: NoKey) -> Trouble {
    Trouble::Secret(explain(name, why))
}

fn refused(refusal: &Refusal) -> String {
    format!("it cannot be asked as it is described: {refusal}")
}

/// What to do about what a database says of a table.
fn advice(state: &str) -> String {
    match state {
        "42P01" | "3F000" => {
            "the database has no such table: write its name with its schema, as the database has it".into()
        }
        "42703" => "the database does not have all of its columns: write their names as the database has them".into(),
        "42501" => "the user of the URL may not read it: grant SELECT on these columns".into(),
        state => format!("the database refuses to read it ({state})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_is_told_a_code_and_whoever_made_the_room_what_to_do() {
        let refused = Trouble::from(Failure::Refused("22012".into()));
        assert_eq!(refused.code(), "database_failed");
        assert_eq!(Trouble::from(Failure::Unreachable).code(), "database_unavailable");
        assert_eq!(Trouble::Busy.code(), "database_unavailable");
        let url = Trouble::Url("url".into(), BadUrl::Scheme);
        assert!(url.to_string().starts_with("sql.connectionSecretRef: ") && url.to_string().contains("PostgreSQL"));
        assert!(advice("42703").contains("columns") && advice("XX000").contains("XX000"));
    }
}
