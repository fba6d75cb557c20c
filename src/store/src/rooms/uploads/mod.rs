//! Documents that members contribute. They come in parts, so that none has to be in memory, and are a source like any
//! other for whoever fills the Room.

mod arrive;
mod list;

use rooms::{Acl, Clearance, Verb};
use sqlx::{Row as _, postgres::PgRow};

pub use arrive::{Arriving, MAX_PART, Upload};
pub use list::{read_upload, stored, upload, uploads};

use super::enter::{Access, Purpose, Sees};
use super::error::Error;
use super::inside::rights;
use super::writer::digest;

/// Members write what they may see themselves.
const CONTRIBUTE: Purpose = Purpose {
    verbs: &[Verb::Contribute],
    sees: Sees::Granted,
    access: Access::Write,
};

/// A contribution that has arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its number.
    pub id: i64,
    /// Its source.
    pub source: String,
    /// The name of its document: of who contributed it and the file's name. So what somebody adds replaces what they
    /// themselves have added by that name, and nobody learns which names others have.
    pub name: String,
    /// What its file is called.
    pub file: String,
    /// What its bytes are said to be.
    pub media_type: String,
    /// Clearance that it needs.
    pub clearance: Clearance,
    /// Who may see it.
    pub acl: Acl,
    /// How many parts it has.
    pub parts: u32,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes.
    pub digest: [u8; 32],
}

fn read(row: &PgRow) -> Result<Stored, Error> {
    let (clearance, acl) = rights(row)?;
    Ok(Stored {
        id: row.try_get("id")?,
        source: row.try_get("source")?,
        name: row.try_get("name")?,
        file: row.try_get("file")?,
        media_type: row.try_get("media_type")?,
        clearance,
        acl,
        parts: row.try_get::<i32, _>("parts")?.unsigned_abs(),
        bytes: row.try_get::<i64, _>("bytes")?.unsigned_abs(),
        digest: digest(row, "digest")?.ok_or(Error::Damaged("a contribution"))?,
    })
}
