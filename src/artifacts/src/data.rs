//! Files that are learned from: fetched as they are, whatever is in them.

use std::path::{Path, PathBuf};

use protocol::PrepareFailure;
use protocol::report::reasons;
use reqwest::header::HeaderMap;

use crate::digest::Digest;
use crate::fetch::{self, Download, Unpinned};
use crate::headers;
use crate::select::What;
use crate::source_url::SourceUrl;
use crate::store::Store;

/// How messages begin the fields that a source is set by; callers put in where theirs are.
pub const FIELDS: &str = "spec.source.";

/// A file of an HTTP server.
#[derive(Clone, Copy, Debug)]
pub struct HttpFile<'a> {
    /// Where it is.
    pub url: &'a str,
    /// SHA-256 that it must have; without one, whatever the server sends is taken.
    pub sha256: Option<&'a str>,
    /// Directory of files named like request headers.
    pub headers_dir: Option<&'a Path>,
}

/// Request headers from a directory of files named like them.
///
/// # Errors
/// When it cannot be read, or holds what is no header.
pub fn request_headers(directory: &Path) -> Result<HeaderMap, PrepareFailure> {
    headers::read(directory)
}

/// Brings a file to `target`, resuming what an earlier process began; tells bytes on disk and in all as they come.
///
/// # Errors
/// When it cannot be fetched, or has another digest than it must.
pub async fn http(
    file: &HttpFile<'_>,
    target: &Path,
    on_progress: impl FnMut(u64, Option<u64>) + Send,
) -> Result<(), PrepareFailure> {
    let url: SourceUrl = match file.url.parse() {
        Ok(url) => url,
        Err(never) => match never {},
    };
    let headers = file.headers_dir.map(headers::read).transpose()?.unwrap_or_default();
    let (target, fields) = (target.to_owned(), &fetch::fields::HTTP);
    let settings = fetch::Settings::default();
    match file.sha256 {
        Some(text) => {
            let sha256 = text.parse().map_err(|error| {
                let message = format!("failed to read {FIELDS}http.sha256: {error}");
                PrepareFailure::new(reasons::DIGEST_MISMATCH, message, false)
            })?;
            let download = Download {
                url,
                sha256,
                headers,
                target,
                fields,
                settings,
            };
            fetch::fetch(&download, on_progress).await?;
        }
        None => {
            let identity = Digest::of(file.url.as_bytes()).expect("bytes can be read");
            let download = Unpinned {
                url,
                identity,
                headers,
                target,
                fields,
                settings,
            };
            fetch::fetch_unpinned(&download, on_progress).await?;
        }
    }
    Ok(())
}

/// Brings a file, or all files of a folder, of an object store into `to`; tells bytes on disk and in all as they
/// come. Their paths below `to`, sorted.
///
/// # Errors
/// When there is nothing, or it cannot be fetched.
pub async fn objects(
    uri: &str,
    credentials_dir: Option<PathBuf>,
    to: &Path,
    on_progress: impl FnMut(u64, Option<u64>) + Send,
) -> Result<Vec<String>, PrepareFailure> {
    let store = Store {
        uri: uri.parse()?,
        // All of it is fetched.
        what: What::Model,
        version: None,
        credentials: credentials_dir,
        settings: fetch::Settings::default(),
    };
    store.fetch_all(to, on_progress).await
}
