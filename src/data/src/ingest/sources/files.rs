//! Files below a folder, with what says who may see them.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use protocol::PrepareFailure;
use protocol::quarantine::Reason;
use protocol::report::reasons;

use super::Listing;
use crate::documents::{self, Refused};
use crate::failure::{Result, disk};
use crate::ingest::acl::{Acls, Rights, is_sidecar};
use crate::ingest::found::{Content, Found, Names, digest};
use crate::sources::{SourceFile, mounted as walk};

/// The files of a volume.
pub(super) async fn mounted(path: &Path, listing: &Listing<'_>) -> Result<Vec<Found>> {
    let found = walk::files(path)?;
    // A single file has no folder that anybody has said something about.
    let root = match path.is_file() {
        true => path.parent().unwrap_or(path),
        false => path,
    };
    files(root, found, listing, |name| Some(name.to_owned())).await
}

/// Files as documents. `origin` says where one came from, by its name.
pub(super) async fn files(
    root: &Path,
    files: Vec<SourceFile>,
    listing: &Listing<'_>,
    origin: impl Fn(&str) -> Option<String> + Send + 'static,
) -> Result<Vec<Found>> {
    let (root, clearance, most) = (root.to_owned(), listing.source.clearance, listing.limits.bytes);
    let reading = tokio::task::spawn_blocking(move || {
        let (mut acls, mut names) = (Acls::new(&root, clearance), Names::default());
        let mut found = Vec::new();
        for file in files.into_iter().filter(|file| !is_sidecar(&file.name)) {
            found.extend(document(file, &mut acls, &mut names, most, &origin)?);
        }
        Ok(found)
    });
    let failed = |error| PrepareFailure::new(reasons::INTERNAL, format!("failed to read files: {error}"), true);
    reading.await.map_err(failed)?
}

/// A file as a document; none where it cannot even be named.
fn document(
    file: SourceFile,
    acls: &mut Acls,
    names: &mut Names,
    most: u64,
    origin: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Found>> {
    // Names that are no text have the same sign for whatever they are.
    let identity = match file.name.contains(char::REPLACEMENT_CHARACTER) {
        true => file.path.as_os_str().as_bytes(),
        false => file.name.as_bytes(),
    };
    let name = match names.of(&file.name, identity) {
        Ok(name) => name,
        Err(refused) => {
            tracing::warn!(reason = %refused.reason, "{:?} is passed over: {refused}", file.name);
            return Ok(None);
        }
    };
    let (digest, bytes) = digest(&file.path, most).map_err(disk("read", &file.path))?;
    let mut refused = (bytes > most).then(|| documents::too_large(bytes, most));
    let rights = acls.of(&file.name).unwrap_or_else(|why| {
        refused = Some(Refused {
            reason: Reason::InvalidAcl,
            detail: format!("has rights that cannot be read: {why}"),
        });
        // Nobody's, until it is known whose.
        Rights::nobody(100)
    });
    Ok(Some(Found {
        origin: origin(&name),
        name,
        file: file.name,
        media_type: None,
        about: String::new(),
        bytes,
        digest,
        rights,
        content: Content::File(file.path),
        refused,
    }))
}
