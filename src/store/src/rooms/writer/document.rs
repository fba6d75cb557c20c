//! Documents, as a writer gives them.

use rooms::{Acl, Clearance};
use serde::Serialize;

use crate::rooms::error::{Error, Unfit};
use crate::rooms::limits::{self, MAX_CHUNKS};

/// A document's number, in its Room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentId(pub(in crate::rooms) i64);

/// A chunk's number among those of its document is put behind the document's.
pub(in crate::rooms) const ORDINAL_BITS: u32 = MAX_CHUNKS.trailing_zeros();
/// All in all there are as many as JSON keeps in a number.
pub(super) const ID_BITS: u32 = 53 - ORDINAL_BITS;

impl DocumentId {
    /// One that was given out before, from [`Self::number`]. There need be no such document.
    pub fn of_number(number: i64) -> Self {
        Self(number)
    }

    /// The number, of at most 33 bits.
    pub fn number(self) -> i64 {
        self.0
    }

    /// One that is drawn.
    pub(in crate::rooms) fn draw() -> Self {
        Self((rand::random::<u64>() >> (64 - ID_BITS)).max(1) as i64)
    }
}

/// A document that is placed in a generation.
#[derive(Clone, Debug, PartialEq)]
pub struct NewDocument {
    /// Its source, as `spec.sources[].name` says; at most 63 bytes.
    pub source: String,
    /// Its name, unique in its source; at most 2,048 bytes.
    pub name: String,
    /// Clearance that it needs, from 0 to 100.
    pub clearance: Clearance,
    /// Who may see it.
    pub acl: Acl,
    /// SHA-256 of its bytes.
    pub digest: [u8; 32],
    /// What it is called.
    pub title: Option<String>,
    /// Where it came from: a URL or a path, for citations.
    pub origin: Option<String>,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its pages, where it has pages.
    pub pages: Option<u32>,
    /// How many chunks it is going to have, up to [`MAX_CHUNKS`].
    pub chunks: u32,
    /// Why it is set aside. It has no chunks then; what an earlier generation has of it stays until this one is
    /// published.
    pub quarantined: Option<String>,
}

/// What became of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// It is in the generation: add its chunks.
    Here(DocumentId),
    /// A curator has removed it: pass it over.
    Barred,
    /// It was set aside in all generations: pass it over until a curator releases it.
    Quarantined,
}

impl NewDocument {
    pub(super) fn check(&self) -> Result<(), Error> {
        limits::name("the name of a source", &self.source, limits::SOURCE)?;
        limits::name("the name of a document", &self.name, limits::NAME)?;
        limits::rights(self.clearance, &self.acl)?;
        limits::optional("the title of a document", self.title.as_deref(), limits::LINE)?;
        limits::optional("the origin of a document", self.origin.as_deref(), limits::ORIGIN)?;
        limits::optional("a reason", self.quarantined.as_deref(), limits::LINE)?;
        let (found, most) = (self.chunks as usize, MAX_CHUNKS);
        if found > most {
            let what = "chunks of a document";
            return Err(Unfit::Many { what, found, most }.into());
        }
        if found > 0 && self.quarantined.is_some() {
            return Err(Unfit::Stranger("a chunk of a document that is set aside").into());
        }
        Ok(())
    }
}

/// How a batch goes to the database: as one JSON text, with its place in the batch.
#[derive(Serialize)]
pub(super) struct Sent<'a> {
    pub at: usize,
    pub id: i64,
    pub source: &'a str,
    pub name: &'a str,
    pub clearance: Clearance,
    pub acl: &'a Acl,
    /// In PostgreSQL's own hex.
    pub digest: String,
    pub title: Option<&'a str>,
    pub origin: Option<&'a str>,
    pub bytes: i64,
    pub pages: Option<u32>,
    pub chunks: u32,
    pub reason: Option<&'a str>,
}

impl<'a> Sent<'a> {
    pub fn new(at: usize, id: i64, document: &'a NewDocument) -> Self {
        Self {
            at,
            id,
            source: &document.source,
            name: &document.name,
            clearance: document.clearance,
            acl: &document.acl,
            digest: bytea(&document.digest),
            title: document.title.as_deref(),
            origin: document.origin.as_deref(),
            bytes: i64::try_from(document.bytes).unwrap_or(i64::MAX),
            pages: document.pages.map(|pages| pages.min(i32::MAX as u32)),
            chunks: document.chunks,
            reason: document.quarantined.as_deref(),
        }
    }
}

pub(super) fn bytea(bytes: &[u8]) -> String {
    format!("\\x{}", hex::encode(bytes))
}
