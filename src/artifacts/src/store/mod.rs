//! Models from object stores: Amazon S3 and what speaks like it, Azure Blob Storage, Google Cloud Storage.
//!
//! What is there is looked up once, and every file is read as the version that was found, by its ETag: a file
//! that changes meanwhile is an error and never a mixture. What of it is on disk already is not read again.

mod credentials;
mod error;
mod http;
mod object;
mod ranges;
mod uri;

use std::path::{Path, PathBuf};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::{GetOptions, ObjectMeta, ObjectStore};
use protocol::PrepareFailure;
use protocol::report::reasons;

use self::error::failure;
use self::object::{Fetcher, Object};
pub(crate) use self::uri::ObjectUri;
use crate::fetch::{Meter, Settings};
use crate::select::{self, What};

/// Files that are fetched at the same time.
const AT_ONCE: usize = 4;
/// Files that a folder may have. Each costs memory before anything is known of it.
const MAX_FILES: usize = 10_000;
/// What stores call the only version of an object in a bucket that keeps none.
const NO_VERSION: &str = "null";

/// A file or a folder of an object store.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    /// Which.
    pub uri: ObjectUri,
    /// What is looked for.
    pub what: What,
    /// Version of the file that was found before.
    pub version: Option<String>,
    /// Directory with the store's settings, a file each.
    pub credentials: Option<PathBuf>,
    /// How patient it is.
    pub settings: Settings,
}

/// A model that was fetched.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fetched {
    /// Its file, or the directory of its files.
    pub path: PathBuf,
    /// The file's version, where the store keeps several.
    pub version: Option<String>,
}

impl Store {
    /// Fetches the model into `to`; tells bytes on disk and in all as they come.
    ///
    /// # Errors
    /// When there is no such model, or it cannot be fetched.
    pub async fn fetch(
        &self,
        to: &Path,
        on_progress: impl FnMut(u64, Option<u64>) + Send,
    ) -> Result<Fetched, PrepareFailure> {
        let store = credentials::open(&self.uri, self.credentials.as_deref(), self.settings)?;
        let store = store.as_ref();
        let found = match self.uri.is_file() {
            true => vec![self.file(store).await?],
            false => self.folder(store).await?,
        };
        let field = "spec.source.objectStore.uri";
        let chosen = select::select(&found, &[], field, self.what).map_err(|why| {
            let message = format!("failed to choose the files of {}: {why}", self.uri);
            PrepareFailure::new(reasons::FILE_NOT_FOUND, message, false)
        })?;
        self.bring(store, &chosen, to, on_progress).await?;
        let version = match chosen.as_slice() {
            [only] if self.uri.is_file() => only.version.clone(),
            _ => None,
        };
        Ok(Fetched {
            path: select::place(to, &chosen),
            version,
        })
    }

    /// Fetches the file, or all files of the folder, into `to`; tells bytes on disk and in all as they come. Their
    /// paths inside of it, sorted. An address without a slash at its end is that of a folder if there is no such file.
    ///
    /// # Errors
    /// When there is nothing, or it cannot be fetched.
    pub async fn fetch_all(
        &self,
        to: &Path,
        on_progress: impl FnMut(u64, Option<u64>) + Send,
    ) -> Result<Vec<String>, PrepareFailure> {
        let store = credentials::open(&self.uri, self.credentials.as_deref(), self.settings)?;
        let store = store.as_ref();
        let file = match self.uri.is_folder() {
            true => None,
            false => Some(self.file(store).await),
        };
        let found = match file {
            Some(Ok(file)) => vec![file],
            Some(Err(failure)) if failure.reason != reasons::NOT_FOUND => return Err(failure),
            missing => {
                let mut files = self.folder(store).await?;
                // Some tools make empty objects for folders; an empty file says nothing either.
                files.retain(|object| object.size > 0 && select::is_inside(&object.name));
                match (files.is_empty(), missing) {
                    (true, Some(Err(failure))) => return Err(failure),
                    (true, _) => {
                        let message = format!(
                            "failed to find files in {}: it holds none; check spec.source.objectStore.uri",
                            self.uri
                        );
                        return Err(PrepareFailure::new(reasons::NOT_FOUND, message, false));
                    }
                    (false, _) => files,
                }
            }
        };
        self.bring(store, &found.iter().collect::<Vec<_>>(), to, on_progress)
            .await?;
        let mut names: Vec<String> = found.into_iter().map(|object| object.name).collect();
        names.sort();
        Ok(names)
    }

    /// Brings these objects below `to`.
    async fn bring(
        &self,
        store: &dyn ObjectStore,
        chosen: &[&Object],
        to: &Path,
        on_progress: impl FnMut(u64, Option<u64>) + Send,
    ) -> Result<(), PrepareFailure> {
        tracing::info!(uri = %self.uri, files = chosen.len(), "fetching");
        let fetcher = Fetcher {
            store,
            uri: &self.uri,
            settings: self.settings,
        };
        let meter = Meter::new(chosen.iter().map(|object| Some(object.size)), on_progress);
        let (fetcher, meter) = (&fetcher, &meter);
        let objects = chosen.iter().enumerate().map(|(index, object)| async move {
            let target = to.join(&object.name);
            fetcher.fetch(object, &target, |bytes| meter.set(index, bytes)).await
        });
        // A list, and no mapped stream: only so does the compiler see that it may change threads.
        stream::iter(objects.collect::<Vec<_>>())
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await
    }

    /// The one file: the version that was found before, or the latest once the store has it no longer. Whether
    /// that has the same content, its digest tells.
    async fn file(&self, store: &dyn ObjectStore) -> Result<Object, PrepareFailure> {
        let look = async |version: Option<String>| {
            // Its body is not read. Answers without any do not say what is wrong.
            let options = GetOptions {
                version,
                ..GetOptions::default()
            };
            store.get_opts(&self.uri.path, options).await
        };
        let mut answer = look(self.version.clone()).await;
        if self.version.is_some() && answer.is_err() {
            answer = look(None).await;
        }
        let meta = answer
            .map_err(|error| failure(&format!("find {}", self.uri), &self.uri, &error))?
            .meta;
        let name = meta.location.filename().unwrap_or_default().to_owned();
        Ok(object(meta, name))
    }

    /// The files of the folder.
    async fn folder(&self, store: &dyn ObjectStore) -> Result<Vec<Object>, PrepareFailure> {
        let mut listing = store.list(Some(&self.uri.path));
        let mut found = Vec::new();
        while let Some(next) = listing.next().await {
            let meta = next.map_err(|error| failure(&format!("list {}", self.uri), &self.uri, &error))?;
            let inside = meta.location.prefix_match(&self.uri.path);
            let name = inside.map(|parts| parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"));
            // Some tools make an empty object for the folder itself.
            if let Some(name) = name.filter(|name| !name.is_empty()) {
                found.push(object(meta, name));
            }
            if found.len() > MAX_FILES {
                let message = format!(
                    "failed to list {}: it holds more than {MAX_FILES} files; \
                     name the model's own folder in spec.source.objectStore.uri",
                    self.uri
                );
                return Err(PrepareFailure::new(reasons::FILE_NOT_FOUND, message, false));
            }
        }
        Ok(found)
    }
}

fn object(meta: ObjectMeta, name: String) -> Object {
    Object {
        location: meta.location,
        name,
        size: meta.size,
        etag: meta.e_tag,
        version: meta.version.filter(|version| version != NO_VERSION),
    }
}

#[cfg(test)]
mod real;
#[cfg(test)]
mod real_azure;
#[cfg(test)]
mod tests;
