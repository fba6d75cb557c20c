//! What was asked and answered, encrypted beside the rows. Without a [`Vault`] in the log's settings nothing of this is
//! kept.
//!
//! A row has the SHA-256 sum of its content *as it is encrypted*. So the chain holds when content has gone, and shows
//! when it was changed or put beside another row.
//!
//! # Keys
//! A *data key*, 256 random bits, encrypts by AES-256-GCM what one user asks of the models of one namespace. Each process
//! makes its own, and new ones every ten minutes: so none has to be looked for while a request waits, and it works while
//! the database is down. The database has them wrapped by a *key-encryption key* ([`KeyRing`]) that comes from elsewhere
//! and that it never sees; [`rewrap`](rewrap()) changes to another one.
//!
//! # Erasure
//! [`erase`](erase()) takes the data keys of one user away, and writes a row that says so. A process may still have one, or
//! a file of rows with one in it: an erased key stays as an empty row, and keys older than the erasure are not taken any
//! more, so none comes back. What the user asks in the next minutes with a key from before is not kept.
//!
//! Copies of the database have wrapped keys as well. They end with the key-encryption key: change to a new one and
//! destroy the old one, and no copy from before can be read by anybody. Before that, no process may be left that wraps by the
//! old one, and no file with rows of such a process.

mod check;
mod cipher;
mod erase;
mod keys;
mod rewrap;
mod rows;
mod show;
mod vault;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::chain::Hash;
pub(super) use check::check;
pub use check::{ContentFault, ContentReport};
pub use erase::{Erased, erase};
pub use keys::{BadKeys, KeyRing, Locked, WrappedKey};
pub use rewrap::{Rewrapped, rewrap};
pub(super) use rows::insert;
pub(crate) use rows::insert_keys;
pub use show::{Shown, State, show};
pub(crate) use show::{note_shown, open};
pub use vault::{Content, Full, Limits, Sealed, Vault};

/// An event whose row has content.
#[derive(Serialize)]
pub(super) struct WithContent<'a, E> {
    #[serde(flatten)]
    pub event: &'a E,
    pub content: Commitment,
}

/// What a row knows of its content.
#[derive(Serialize)]
pub(super) struct Commitment {
    #[serde(with = "hex")]
    sha256: Hash,
    /// Whether something is missing at its end.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
}

impl Commitment {
    /// To content that is encrypted to `sealed`.
    pub fn to(sealed: &Sealed, cut: bool) -> Self {
        Self {
            sha256: Sha256::digest(&sealed.bytes).into(),
            cut,
        }
    }
}
