//! Why a Room is not read or written.

use rooms::{
    ChunkId, Verb,
    index::{BuildError, VectorError},
};

use crate::Unreachable;

/// Why nothing was done. None of it tells of a document that somebody may not see; who may not know of the Room itself
/// should be told the same of all of them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The grant is too old: decide again.
    #[error("the grant has expired")]
    Expired,
    /// The grant is for something else.
    #[error("a grant to {} does not do for this", .0.as_str())]
    Verb(Verb),
    /// There is no such Room, or it is being purged.
    #[error("there is no such Room")]
    NoRoom,
    /// There is no such generation, or it is not one for this: look for the live one again.
    #[error("generation {0} is not there")]
    NoGeneration(i64),
    /// Two nets disagree: an error of ours. Nothing is given, and somebody has to be alarmed.
    #[error(transparent)]
    Disagreement(#[from] Disagreement),
    /// The database would show everything to this user.
    #[error(
        "row-level security does not hold for the database's user: run SELECT atelier_guard_rooms() as a superuser, or \
         give Atelier a user who owns its tables and is no superuser"
    )]
    Unguarded,
    /// A connection came with another transaction's settings: an error of ours or of a pooler's. It has been cleaned.
    #[error("a connection came with the rights of another transaction")]
    Tainted,
    /// The server has known holes in its row-level security.
    #[error("PostgreSQL {found} has known holes in its row-level security: update to {least} or later")]
    Outdated {
        /// What it is.
        found: String,
        /// What its line needs.
        least: &'static str,
    },
    /// Another writer has begun since, or the generation was given up: stop.
    #[error("another writer fills the Room")]
    Fenced,
    /// Something was written since the generation was verified, or it never was.
    #[error("the generation is not verified")]
    Unverified,
    /// A generation does not have what it should.
    #[error("{documents} documents of the generation lack chunks, and {vectors} vectors have another dimension")]
    Incomplete {
        /// How many documents have more or fewer chunks than they should.
        documents: i64,
        /// How many vectors have another dimension.
        vectors: i64,
    },
    /// What was given cannot be kept. Of a document, that it is to be set aside.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// A source takes no more contributions.
    #[error("the source has room for {most} bytes of contributions")]
    Full {
        /// Bytes of all of them that there may be.
        most: u64,
    },
    /// A chunk's vector.
    #[error("chunk {}: {error}", chunk.0)]
    Vector {
        /// Whose.
        chunk: ChunkId,
        /// What is wrong with it.
        error: VectorError,
    },
    /// What is kept makes no index.
    #[error(transparent)]
    Index(#[from] BuildError),
    /// What is kept cannot be read.
    #[error("{0} in the database is damaged")]
    Damaged(&'static str),
    /// The database is not there, or refuses.
    #[error(transparent)]
    Database(#[from] Unreachable),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// What came through one net and was caught by the next. It names rows for the audit trail, and nothing that is in them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what the database gave of {what} is not what the grant sees")]
pub struct Disagreement {
    /// The Room that the grant is for.
    pub room: String,
    /// Which kind of row.
    pub what: &'static str,
    /// Its number.
    pub id: i64,
}

/// What cannot be kept, or not in this way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// PostgreSQL keeps no NUL.
    #[error("{0} has a NUL character")]
    Nul(&'static str),
    /// There is nothing in it.
    #[error("{0} is empty")]
    Empty(&'static str),
    /// It is too long.
    #[error("{what} has {found} bytes, {most} at most are kept")]
    Long {
        /// What.
        what: &'static str,
        /// Its bytes.
        found: usize,
        /// As many as there may be.
        most: usize,
    },
    /// There are too many.
    #[error("{found} {what}, {most} at most are taken")]
    Many {
        /// What.
        what: &'static str,
        /// How many.
        found: usize,
        /// As many as there may be.
        most: usize,
    },
    /// The same is given twice.
    #[error("{0} is given twice")]
    Twice(&'static str),
    /// A chunk needs more rights than its document, which would be lost: rights are a document's.
    #[error("a chunk needs rights that its document does not need")]
    Rights,
    /// It does not belong to what it is given for.
    #[error("{0} does not belong here")]
    Stranger(&'static str),
}
