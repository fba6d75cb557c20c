//! Objects of a store: all of them are brought here first.

use std::path::PathBuf;

use artifacts::data;

use super::{Listing, files};
use crate::failure::Result;
use crate::ingest::found::Found;
use crate::sources::SourceFile;

pub(super) async fn objects(uri: &str, credentials_dir: Option<PathBuf>, listing: &Listing<'_>) -> Result<Vec<Found>> {
    let names = data::objects(uri, credentials_dir, listing.directory, |_, _| {}).await?;
    let is_own = |name: &String| !name.split('/').any(|part| part.starts_with('.'));
    let found = names.into_iter().filter(is_own).map(|name| SourceFile {
        path: listing.directory.join(&name),
        name,
    });
    let base = uri.trim_end_matches('/').to_owned();
    let origin = move |name: &str| match base.ends_with(&format!("/{name}")) {
        true => Some(base.clone()),
        false => Some(format!("{base}/{name}")),
    };
    files::files(listing.directory, found.collect(), listing, origin).await
}
