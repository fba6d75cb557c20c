//! The part of a file that is on disk, and what is needed to continue it.

use std::io::{Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _, BufWriter};

use super::error::Error;
use super::publish::{beside, directory, remove_beside, require_space, run_blocking, sync_dir};
use super::request::Range;
use crate::digest::{Digest, absorb};

const BUFFER_BYTES: usize = 1 << 20;

/// What outlives the process beside the bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// What identifies the file that this is a part of: its digest, or a version of an object.
    identity: String,
    /// `ETag` or date of the version it came from.
    validator: Option<String>,
    /// Size of the whole file in bytes.
    total: Option<u64>,
}

/// A part under construction. Bytes are hashed as they are appended.
pub(crate) struct Part {
    path: PathBuf,
    state_path: PathBuf,
    state: State,
    file: BufWriter<File>,
    hasher: Sha256,
    length: u64,
    is_resumed: bool,
}

impl Part {
    /// Opens the part of `target`, hashing what is there if it belongs to the wanted file.
    pub(crate) async fn open(target: &Path, identity: String) -> Result<Self, Error> {
        let (path, state_path) = (beside(target, "part"), beside(target, "part.json"));
        let known = std::fs::read(&state_path)
            .ok()
            .and_then(|text| serde_json::from_slice::<State>(&text).ok())
            .filter(|state| state.identity == identity);
        let is_known = known.is_some();
        let opened = path.clone();
        let (file, hasher, length) = run_blocking("open", &path, move || {
            let mut options = std::fs::File::options();
            let mut file = options
                .read(true)
                .write(true)
                .create(true)
                .truncate(!is_known)
                .open(opened)?;
            let (hasher, length) = absorb(&mut file)?;
            file.seek(SeekFrom::End(0))?;
            Ok((file, hasher, length))
        })
        .await?;
        let mut part = Self {
            path,
            state_path,
            state: known.unwrap_or_else(|| State {
                identity,
                ..State::default()
            }),
            file: BufWriter::with_capacity(BUFFER_BYTES, File::from_std(file)),
            hasher,
            length,
            is_resumed: length > 0,
        };
        if part.total().is_some_and(|total| length > total) {
            part.restart().await?;
        }
        if part.length > 0 {
            tracing::info!("resuming {} at byte {}", part.path.display(), part.length);
        }
        Ok(part)
    }

    /// Bytes appended so far.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Size of the whole file, when known.
    pub(crate) fn total(&self) -> Option<u64> {
        self.state.total
    }

    /// What identifies the version that the bytes are of, when the server said so.
    pub(crate) fn validator(&self) -> Option<&str> {
        self.state.validator.as_deref()
    }

    /// Whether its bytes come from more than one answer.
    pub(crate) fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// Digest of the bytes so far.
    pub(crate) fn digest(&self) -> Digest {
        self.hasher.clone().into()
    }

    /// Whether the bytes so far are the whole file.
    pub(crate) fn has_digest(&self, sha256: Digest) -> bool {
        self.digest() == sha256
    }

    /// What to ask for to continue. `None`: everything.
    pub(crate) fn range(&self) -> Option<Range> {
        (self.length > 0).then(|| Range {
            first: self.length,
            last: None,
            validator: self.state.validator.clone(),
        })
    }

    /// Forgets all bytes.
    pub(crate) async fn restart(&mut self) -> Result<(), Error> {
        self.flush().await?;
        let file = self.file.get_mut();
        file.set_len(0).await.map_err(Error::disk("empty", &self.path))?;
        file.rewind().await.map_err(Error::disk("empty", &self.path))?;
        self.hasher = Sha256::new();
        self.length = 0;
        self.is_resumed = false;
        self.state.validator = None;
        self.state.total = None;
        self.save_state()
    }

    /// Notes which version of the file begins to arrive.
    pub(crate) async fn begin(&mut self, validator: Option<String>, total: Option<u64>) -> Result<(), Error> {
        self.state.validator = validator;
        self.state.total = total;
        self.save_state()
    }

    /// Notes that the rest of the file arrives.
    pub(crate) async fn continue_with(&mut self, total: Option<u64>) -> Result<(), Error> {
        self.is_resumed = true;
        self.state.total = total;
        self.save_state()
    }

    /// Refuses a file that the disk has no room for, before it is full.
    pub(crate) async fn check_space(&self) -> Result<(), Error> {
        match self.total() {
            Some(total) => require_space(self.dir(), total.saturating_sub(self.length)),
            None => Ok(()),
        }
    }

    /// Appends and hashes.
    pub(crate) async fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let written = self.file.write_all(bytes).await;
        written.map_err(Error::disk("write", &self.path))?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Hands all bytes to the operating system, so that a kill loses none.
    pub(crate) async fn flush(&mut self) -> Result<(), Error> {
        self.file.flush().await.map_err(Error::disk("write", &self.path))
    }

    /// Makes the bytes durable and gives them their final name, replacing what had it.
    pub(crate) async fn publish(mut self, target: &Path) -> Result<(), Error> {
        self.flush().await?;
        let synced = self.file.get_ref().sync_all().await;
        synced.map_err(Error::disk("write", &self.path))?;
        std::fs::rename(&self.path, target).map_err(Error::disk("rename", &self.path))?;
        let dir = self.dir();
        sync_dir(dir).map_err(Error::disk("write", dir))?;
        // Without a part it says nothing, so nothing is lost if it stays.
        let _ = std::fs::remove_file(&self.state_path);
        Ok(())
    }

    /// Removes what is there of `target` in one stream.
    pub(crate) fn discard(target: &Path) -> Result<(), Error> {
        remove_beside(target, ["part.json", "part"])
    }

    fn save_state(&self) -> Result<(), Error> {
        let text = serde_json::to_vec(&self.state).expect("a state has text keys only");
        std::fs::write(&self.state_path, text).map_err(Error::disk("write", &self.state_path))
    }

    fn dir(&self) -> &Path {
        directory(&self.path)
    }
}
