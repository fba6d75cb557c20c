//! One object on its way to the disk.

use std::path::Path as FilePath;

use futures::StreamExt as _;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore};
use protocol::PrepareFailure;
use protocol::report::reasons;
use serde_json::json;

use super::error::failure;
use super::ranges::ObjectRanges;
use super::uri::ObjectUri;
use crate::fetch::{Error, Fetching, Outcome, Part, RangeFile, SUBSTANTIAL_BYTES, Settings, Version, beside, lock};
use crate::select::Listed;

/// One version of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Object {
    /// Where it is in the bucket.
    pub location: Path,
    /// Its path inside the folder, or its name.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// What changes with its content.
    pub etag: Option<String>,
    /// Its version, where the store keeps several.
    pub version: Option<String>,
}

impl Listed for Object {
    fn path(&self) -> &str {
        &self.name
    }
}

impl Object {
    /// What tells this content from every other, so far as the store says.
    pub(super) fn identity(&self, uri: &ObjectUri) -> String {
        json!([uri.to_string(), self.location.as_ref(), self.size, self.etag]).to_string()
    }
}

/// What objects are fetched with.
pub(super) struct Fetcher<'a> {
    /// Whose they are.
    pub store: &'a dyn ObjectStore,
    /// Where, for messages.
    pub uri: &'a ObjectUri,
    /// How patiently.
    pub settings: Settings,
}

impl Fetcher<'_> {
    /// Brings an object to `target`, unless this version of it is there already; tells bytes on disk.
    ///
    /// # Errors
    /// When it cannot be read, or becomes another while it is.
    pub(super) async fn fetch(
        &self,
        object: &Object,
        target: &FilePath,
        mut on_progress: impl FnMut(u64) + Send,
    ) -> Result<(), PrepareFailure> {
        let identity = object.identity(self.uri);
        // Without an ETag nobody knows whether what is there is still the same.
        let known = object.etag.is_some();
        let mark = beside(target, "object");
        let _lock = lock(target).await?;
        let is_there = std::fs::read_to_string(&mark).is_ok_and(|text| text == identity)
            && std::fs::metadata(target).is_ok_and(|file| file.len() == object.size);
        if known && is_there {
            on_progress(object.size);
            return Ok(());
        }
        let is_large = object.size >= self.settings.ranges.from;
        if known && is_large && self.in_ranges(object, &identity, target, &mut on_progress).await? {
            return note(&mark, &identity);
        }
        let mut part = Part::open(target, identity.clone()).await?;
        if !known {
            part.restart().await?;
        }
        part.begin(object.etag.clone(), Some(object.size)).await?;
        part.check_space().await?;
        self.complete(object, &mut part, &mut on_progress).await?;
        part.publish(target).await?;
        note(&mark, &identity)
    }

    /// Fetches it in several ranges at once and gives it its place. False when the store cannot do that.
    async fn in_ranges(
        &self,
        object: &Object,
        identity: &str,
        target: &FilePath,
        on_progress: &mut (impl FnMut(u64) + Send),
    ) -> Result<bool, PrepareFailure> {
        let version = Version {
            validator: object.etag.clone().unwrap_or_default(),
            total: object.size,
        };
        let file = RangeFile::open(target, identity, &version, &self.settings.ranges)?;
        let fetching = Fetching {
            source: &ObjectRanges { fetcher: self, object },
            file: &file,
            settings: &self.settings,
        };
        match fetching.run(false, on_progress).await? {
            Outcome::Whole(_) => {
                Part::discard(target)?;
                file.publish(target).await?;
            }
            Outcome::Refused => {
                tracing::info!("{} does not come in ranges; fetching it in one stream", object.name);
                RangeFile::discard(target)?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Asks until all bytes are there.
    async fn complete(
        &self,
        object: &Object,
        part: &mut Part,
        on_progress: &mut (impl FnMut(u64) + Send),
    ) -> Result<(), PrepareFailure> {
        let mut failures = 0;
        on_progress(part.length());
        while part.length() < object.size {
            let before = part.length();
            let Some(error) = self.attempt(object, part, on_progress).await? else {
                continue;
            };
            part.flush().await?;
            if part.length().saturating_sub(before) >= SUBSTANTIAL_BYTES {
                failures = 0;
            }
            failures += 1;
            let wait = self.settings.backoff.wait(failures, None, rand::random());
            let Some(wait) = wait.filter(|_| failures < self.settings.attempts) else {
                return Err(failure(&self.downloading(object, part), self.uri, &error));
            };
            tracing::warn!("{error}; trying again in {:.1} s", wait.as_secs_f64());
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    /// Asks once for what is missing and appends what comes. The error of a body that broke off.
    async fn attempt(
        &self,
        object: &Object,
        part: &mut Part,
        on_progress: &mut (impl FnMut(u64) + Send),
    ) -> Result<Option<object_store::Error>, PrepareFailure> {
        let options = GetOptions {
            // Bytes of two versions make no file.
            if_match: object.etag.clone(),
            version: object.version.clone(),
            range: (part.length() > 0).then(|| GetRange::Offset(part.length())),
            ..GetOptions::default()
        };
        // Requests are repeated inside of it.
        let answer = self.store.get_opts(&object.location, options).await;
        let answer = answer.map_err(|error| failure(&self.downloading(object, part), self.uri, &error))?;
        if answer.meta.size != object.size {
            let (name, listed, found) = (&object.name, object.size, answer.meta.size);
            let message = format!(
                "failed to download {name} of {}: it had {listed} bytes when it was looked up and has {found} now; \
                 upload a new version under another name",
                self.uri
            );
            return Err(PrepareFailure::new(reasons::DOWNLOAD_FAILED, message, true));
        }
        let before = part.length();
        let mut body = answer.into_stream();
        while let Some(chunk) = body.next().await {
            match chunk {
                Ok(bytes) => part.append(&bytes).await?,
                Err(error) => return Ok(Some(error)),
            }
            on_progress(part.length());
        }
        part.flush().await?;
        if part.length() > object.size || part.length() == before {
            let message = format!(
                "failed to download {} of {}: the store sent {} bytes of {}",
                object.name,
                self.uri,
                part.length(),
                object.size
            );
            part.restart().await?;
            return Err(PrepareFailure::new(reasons::DOWNLOAD_FAILED, message, true));
        }
        Ok(None)
    }

    fn downloading(&self, object: &Object, part: &Part) -> String {
        let (name, bytes, size) = (object.location.as_ref(), part.length(), object.size);
        format!("download {name} from {} ({bytes} of {size} bytes are there)", self.uri)
    }
}

/// Notes which version of an object is whole.
fn note(mark: &FilePath, identity: &str) -> Result<(), PrepareFailure> {
    Ok(std::fs::write(mark, identity).map_err(Error::disk("write", mark))?)
}
