//! What sources have: each becomes a list of documents with their digests.

mod files;
mod git;
mod objects;
mod upload;
mod web;

use std::path::Path;

use protocol::PrepareFailure;
use protocol::ingest::{IngestSource, IngestSourceKind, Limits};

use super::found::Found;
use super::gateway::Filling;
use crate::failure::Result;
use crate::readers::Programs;

/// What listing a source takes.
pub struct Listing<'a> {
    /// The source.
    pub source: &'a IngestSource,
    /// What a document may take.
    pub limits: &'a Limits,
    /// Directory for what has to be fetched.
    pub directory: &'a Path,
    /// Who brings repositories.
    pub programs: &'a Programs,
    /// Where uploads are.
    pub filling: &'a Filling,
}

impl Listing<'_> {
    /// The documents of the source.
    ///
    /// # Errors
    /// When it cannot be read as a whole: nothing follows from what is not in it then.
    pub async fn documents(&self) -> Result<Vec<Found>> {
        let listed = match &self.source.kind {
            IngestSourceKind::Mounted { path } => files::mounted(path, self).await,
            IngestSourceKind::Http {
                urls,
                depth,
                headers_dir,
            } => web::pages(urls, *depth, headers_dir.as_deref(), self).await,
            IngestSourceKind::ObjectStore { uri, credentials_dir } => {
                objects::objects(uri, credentials_dir.clone(), self).await
            }
            IngestSourceKind::Git {
                url,
                revision,
                path,
                credentials_dir,
            } => {
                let repository = git::Repository {
                    url,
                    revision: revision.as_deref(),
                    path: path.as_deref(),
                    credentials: credentials_dir.as_deref(),
                };
                git::files(&repository, self).await
            }
            IngestSourceKind::Upload { max_bytes } => upload::uploads(*max_bytes, self).await,
        };
        listed.map_err(|failure| {
            let place = format!("spec.sources[{}]", self.source.name);
            let message = failure.message.replace(artifacts::data::FIELDS, &format!("{place}."));
            let message = match message.contains(&place) {
                true => message,
                false => format!("{place}: {message}"),
            };
            PrepareFailure { message, ..failure }
        })
    }
}

#[cfg(test)]
mod tests;
