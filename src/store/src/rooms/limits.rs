//! What is kept at most. Sources are strangers: what PostgreSQL would refuse is refused before, with a name.

use rooms::{Acl, Clearance};

use super::error::{Error, Unfit};

/// Of a document's name and a source's. An index takes no more of them.
pub(super) const NAME: usize = 2048;
pub(super) const SOURCE: usize = 63;
/// Of titles and reasons.
pub(super) const LINE: usize = 1024;
/// Of where a document came from.
pub(super) const ORIGIN: usize = 4096;
/// Of a chunk's text.
pub(super) const TEXT: usize = 1 << 20;
/// Of a list of names, all together.
pub(super) const ACL: usize = 1 << 20;
/// Of the bytes of a page's picture.
pub(super) const PICTURE: usize = 4 << 20;
/// Of chunks of a document: as many as their ids have room for.
pub const MAX_CHUNKS: usize = 1 << 20;
/// Of documents, names or chunks in one call.
pub const MAX_BATCH: usize = 1000;

/// A text that PostgreSQL takes.
pub(super) fn text(what: &'static str, text: &str, most: usize) -> Result<(), Error> {
    if text.contains('\0') {
        return Err(Unfit::Nul(what).into());
    }
    let found = text.len();
    if found > most {
        return Err(Unfit::Long { what, found, most }.into());
    }
    Ok(())
}

/// A text with something in it.
pub(super) fn name(what: &'static str, name: &str, most: usize) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Unfit::Empty(what).into());
    }
    text(what, name, most)
}

/// A text that may be missing.
pub(super) fn optional(what: &'static str, text: Option<&str>, most: usize) -> Result<(), Error> {
    text.map_or(Ok(()), |text| self::text(what, text, most))
}

pub(super) fn rights(clearance: Clearance, acl: &Acl) -> Result<(), Error> {
    if clearance.0 > HIGHEST.0 {
        return Err(Unfit::Stranger("a clearance above 100").into());
    }
    let names = acl.names().into_iter().flatten();
    let mut found = 0;
    for name in names {
        text("a list of names", name, ACL)?;
        found += name.len();
    }
    if found > ACL {
        let what = "a list of names";
        return Err(Unfit::Long { what, found, most: ACL }.into());
    }
    Ok(())
}

pub(super) fn batch(what: &'static str, found: usize) -> Result<(), Error> {
    if found > MAX_BATCH {
        let most = MAX_BATCH;
        return Err(Unfit::Many { what, found, most }.into());
    }
    Ok(())
}

/// Sees all.
pub(super) const HIGHEST: Clearance = Clearance(100);
