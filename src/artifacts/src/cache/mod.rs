//! Weights that the pods of a node share: a directory of whole, verified models by digest.
//!
//! ```text
//! DIR/lock              held while entries are looked up, published or removed
//! DIR/entries/HEX/      a model by its digest: weights; .atelier.json says what it is, .lock is held by who uses it
//! DIR/packed/HEX/       what engines make of it for their next start
//! DIR/works/KEY/        a model on its way, and KEY.lock, held by who fetches it
//! DIR/trash/            what is being removed
//! ```
//!
//! An entry appears by a rename, after its digest was computed from all of its bytes. It leaves, the longest
//! unused first, when the directory is over its size; at once when somebody who computed its digest again left
//! a note that it is damaged. All locks are the kernel's: they end with their process.

mod entry;
mod lock;
mod room;

use std::path::{Path, PathBuf};

use protocol::report::reasons;
use protocol::{PrepareFailure, paths};

use self::room::Room;
use crate::digest::Digest;
use crate::prepare::Prepared;
use crate::report::ReportFile;
pub use lock::hold;

/// Where such a directory is, and how large it may become.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    /// The directory.
    pub dir: PathBuf,
    /// Bytes.
    pub size: u64,
}

impl Cache {
    /// The model of this digest, or the one that `fetch` brings into a directory: it is called again where it
    /// failed for want of room, as long as there is something to remove. `key` names what is fetched, so that
    /// nobody else fetches it at the same time and a later process goes on with it.
    ///
    /// # Errors
    /// Those of `fetch`, and when the directory cannot be used.
    pub async fn obtain<F: Future<Output = Result<Prepared, PrepareFailure>>>(
        &self,
        expected: Option<Digest>,
        key: &str,
        report: &ReportFile,
        mut fetch: impl FnMut(PathBuf) -> F,
    ) -> Result<Prepared, PrepareFailure> {
        std::fs::create_dir_all(self.works()).map_err(|error| self.failed("create", &error))?;
        if let Some(found) = self.known(expected).await? {
            return Ok(found);
        }
        let work = self.works().join(key);
        let lock = lock::wait(&lock::of_work(&work), &work, report.progress()).await;
        let _lock = lock.map_err(|error| self.failed("lock", &error))?;
        // Whoever held the lock may have done the work.
        if let Some(found) = self.known(expected).await? {
            return Ok(found);
        }
        self.room(|room| room.make(None)).await?;
        let prepared = loop {
            match fetch(work.clone()).await {
                Err(failure) if failure.reason == reasons::NO_SPACE => {
                    let keep = work.clone();
                    if !self.room(move |room| room.remove_one(Some(&keep))).await? {
                        return Err(failure);
                    }
                    tracing::warn!("{}; removed the model that was not used for longest", failure.message);
                }
                other => break other?,
            }
        };
        if prepared.report.bytes > self.size {
            self.room(move |room| room.discard(&work)).await?;
            return Err(self.too_small(prepared.report.bytes));
        }
        let published = self.room(move |room| entry::publish(room, &work, prepared)).await?;
        let digest = published.report.digest.clone();
        self.room(move |room| room.make(Some(&digest))).await?;
        Ok(published)
    }

    /// The entry of a digest, which counts as used from now on.
    async fn known(&self, digest: Option<Digest>) -> Result<Option<Prepared>, PrepareFailure> {
        let Some(digest) = digest else { return Ok(None) };
        self.room(move |room| entry::find(room, &digest.prefixed())).await
    }

    /// Works on the directory while nobody else does.
    async fn room<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Room) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, PrepareFailure> {
        let (dir, size) = (self.dir.clone(), self.size);
        let result = tokio::task::spawn_blocking(move || work(&Room::open(&dir, size)?)).await;
        let result = result.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        result.map_err(|error| self.failed("use", &error))
    }

    fn works(&self) -> PathBuf {
        self.dir.join("works")
    }

    fn failed(&self, action: &str, error: &std::io::Error) -> PrepareFailure {
        let message = format!(
            "failed to {action} the node's cache {}: {error}; check the directory that the chart's value \
             nodeCache.hostPath names, on this node",
            self.dir.display()
        );
        PrepareFailure::new(reasons::INTERNAL, message, true)
    }

    fn too_small(&self, bytes: u64) -> PrepareFailure {
        let message = format!(
            "failed to keep the model in the node's cache: it has {bytes} bytes, and the cache of a namespace may \
             have {}; raise the chart's value nodeCache.size, or leave out spec.placement.nodeCache",
            self.size
        );
        PrepareFailure::new(reasons::NO_SPACE, message, false)
    }
}

/// A digest as a name of a directory.
fn name(digest: &str) -> &str {
    digest.strip_prefix("sha256:").unwrap_or(digest)
}

/// The lock of an entry.
fn entry_lock(dir: &Path) -> PathBuf {
    dir.join(paths::CACHE_LOCK)
}

#[cfg(test)]
mod tests;
