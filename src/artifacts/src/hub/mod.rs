//! Models from the Hugging Face Hub, or a server with the same interface.
//!
//! The revision is resolved to a commit once, and all files are those of the commit. Every file is
//! verified: large ones by the SHA-256 that the server lists, small ones by git's name of their content.

mod listing;

use std::path::{Path, PathBuf};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use protocol::PrepareFailure;
use protocol::report::reasons;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use sha1::{Digest as _, Sha1};

use self::listing::{HubFile, Identity, Listing};
use crate::fetch::fields::HUB;
use crate::fetch::{self, Download, Meter, Small, fetch_small};
use crate::select::{self, What};
use crate::source_url::SourceUrl;

/// The Hub itself.
const ENDPOINT: &str = "https://huggingface.co";
/// Files that are fetched at the same time.
const AT_ONCE: usize = 4;
/// Longest answer to the question for what is there.
const MAX_LISTING: usize = 16 << 20;
/// Longest file that is not kept as a large one: tokenizers are the longest.
const MAX_SMALL: usize = 128 << 20;

/// A repository.
#[derive(Clone, Debug)]
pub(crate) struct Hub {
    /// Base URL of the server; the Hub itself by default.
    pub endpoint: Option<SourceUrl>,
    /// `owner/name`.
    pub repo: String,
    /// Branch, tag or commit.
    pub revision: String,
    /// Names of the files that are wanted, with `*` for any characters; none means `what` is there.
    pub files: Vec<String>,
    /// What is looked for.
    pub what: What,
    /// File that holds an access token.
    pub token_file: Option<PathBuf>,
    /// How patient it is.
    pub settings: fetch::Settings,
}

/// A model that was fetched.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fetched {
    /// The commit that it is of.
    pub commit: String,
    /// Its file, or the directory of its files.
    pub path: PathBuf,
}

impl Hub {
    /// Fetches the model into `to`; tells bytes on disk and in all as they come.
    ///
    /// # Errors
    /// When there is no such repository, revision or file, or it cannot be fetched or verified.
    pub async fn fetch(
        &self,
        to: &Path,
        on_progress: impl FnMut(u64, Option<u64>) + Send,
    ) -> Result<Fetched, PrepareFailure> {
        let headers = self.headers()?;
        let listing = self.listing(&headers).await?;
        let chosen = select::select(&listing.files, &self.files, "spec.source.huggingFace.files", self.what);
        let chosen = chosen.map_err(|why| {
            let message = format!(
                "failed to choose the files of {} at {}: {why}",
                self.repo, listing.commit
            );
            PrepareFailure::new(reasons::FILE_NOT_FOUND, message, false)
        })?;
        tracing::info!(
            repo = self.repo,
            commit = listing.commit,
            files = chosen.len(),
            "fetching"
        );
        let meter = Meter::new(chosen.iter().map(|file| file.size), on_progress);
        let meter = &meter;
        let files = chosen.iter().enumerate().map(|(index, file)| {
            let tell = move |bytes| meter.set(index, bytes);
            self.file(&listing.commit, file, to, &headers, tell)
        });
        // A list, and no mapped stream: only so does the compiler see that it may change threads.
        stream::iter(files.collect::<Vec<_>>())
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        Ok(Fetched {
            path: select::place(to, &chosen),
            commit: listing.commit,
        })
    }

    fn headers(&self) -> Result<HeaderMap, PrepareFailure> {
        let Some(path) = &self.token_file else {
            return Ok(HeaderMap::new());
        };
        let refused = |why: String| {
            let message =
                format!("failed to read the access token: {why}; check spec.source.huggingFace.tokenSecretRef");
            PrepareFailure::new(reasons::INTERNAL, message, true)
        };
        let token = std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
        let value = HeaderValue::from_str(&format!("Bearer {}", token.trim()));
        let mut value = value.map_err(|_| refused("it is no text that a header can hold".into()))?;
        value.set_sensitive(true);
        Ok([(AUTHORIZATION, value)].into_iter().collect())
    }

    async fn listing(&self, headers: &HeaderMap) -> Result<Listing, PrepareFailure> {
        let url = self.url(&["api", "models"], &["revision", &self.revision], Some("blobs=true"))?;
        let asked = Small {
            url: &url,
            headers,
            fields: &HUB,
            limit: MAX_LISTING,
        };
        let json = fetch_small(&asked, &self.settings).await?;
        Listing::parse(&json).map_err(|why| {
            let message = format!("failed to read what {url} lists: {why}; check {}", HUB.place);
            PrepareFailure::new(reasons::DOWNLOAD_FAILED, message, false)
        })
    }

    async fn file(
        &self,
        commit: &str,
        file: &HubFile,
        to: &Path,
        headers: &HeaderMap,
        mut on_progress: impl FnMut(u64) + Send,
    ) -> Result<(), PrepareFailure> {
        let inside: Vec<&str> = ["resolve", commit].into_iter().chain(file.path.split('/')).collect();
        let url = self.url(&[], &inside, None)?;
        let target = to.join(&file.path);
        match &file.identity {
            Identity::Sha256(digest) => {
                let sha256 = digest.parse().map_err(|error: crate::digest::InvalidDigest| {
                    PrepareFailure::new(reasons::INTERNAL, error.to_string(), false)
                })?;
                let download = Download {
                    url,
                    sha256,
                    headers: headers.clone(),
                    target,
                    fields: &HUB,
                    settings: self.settings,
                };
                Ok(fetch::fetch(&download, |bytes, _| on_progress(bytes)).await?)
            }
            Identity::GitBlob(blob) => {
                let asked = Small {
                    url: &url,
                    headers,
                    fields: &HUB,
                    limit: MAX_SMALL,
                };
                let content = fetch_small(&asked, &self.settings).await?;
                let found = git_blob(&content);
                if found != *blob {
                    let message = format!(
                        "failed to verify {url}: expected git blob {blob}, its {} bytes are {found}; {}",
                        content.len(),
                        HUB.mismatch
                    );
                    return Err(PrepareFailure::new(reasons::DIGEST_MISMATCH, message, false));
                }
                on_progress(content.len() as u64);
                Ok(fetch::publish_small(&target, content).await?)
            }
        }
    }

    /// A URL of the repository: `prefix`, its name, `inside`.
    fn url(&self, prefix: &[&str], inside: &[&str], query: Option<&str>) -> Result<SourceUrl, PrepareFailure> {
        let invalid = |why: &str| {
            let message = format!("failed to read the URL: {why}; correct spec.source.huggingFace.endpoint");
            PrepareFailure::new(reasons::DOWNLOAD_FAILED, message, false)
        };
        let mut url = match &self.endpoint {
            Some(endpoint) => endpoint.parse().map_err(|why| invalid(&why))?,
            None => Url::parse(ENDPOINT).map_err(|error| invalid(&error.to_string()))?,
        };
        url.path_segments_mut()
            .map_err(|()| invalid("it cannot have a path"))?
            .pop_if_empty()
            .extend(prefix)
            .extend(self.repo.split('/'))
            .extend(inside);
        url.set_query(query);
        Ok(url
            .as_str()
            .parse()
            .unwrap_or_else(|never: std::convert::Infallible| match never {}))
    }
}

/// Git's name of a content: <https://git-scm.com/book/en/v2/Git-Internals-Git-Objects>.
fn git_blob(content: &[u8]) -> String {
    let mut hasher = Sha1::new();
    hasher.update(format!("blob {}\0", content.len()));
    hasher.update(content);
    hex::encode(hasher.finalize())
}

#[cfg(test)]
mod tests;
