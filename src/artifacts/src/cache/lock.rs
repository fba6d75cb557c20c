//! Who fetches, and who uses what is there.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const POLL: Duration = Duration::from_millis(200);

/// Marks an entry as in use for as long as the returned file is open, so that nobody removes it.
///
/// # Errors
/// When there is no such lock, or the entry is being removed.
pub fn hold(lock: &Path) -> io::Result<File> {
    let file = File::open(lock)?;
    match file.try_lock_shared() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::Error::other("the model is being removed from the node's cache")),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The lock of a model on its way. It stays when the work is gone: others may wait for it.
pub(super) fn of_work(work: &Path) -> PathBuf {
    work.with_extension("lock")
}

/// Waits for the exclusive right to work, telling how far whoever has it is.
pub(super) async fn wait(lock: &Path, work: &Path, mut tell: impl FnMut(u64, Option<u64>)) -> io::Result<File> {
    let file = create(lock)?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => {
                // Should the work break off, this is when it was used.
                file.set_modified(SystemTime::now())?;
                return Ok(file);
            }
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => {}
        }
        if !told {
            tracing::info!("another pod of this node fetches {}; waiting for it", work.display());
            told = true;
        }
        // What it has is gone when it is published.
        tell(bytes(work).unwrap_or_default(), None);
        tokio::time::sleep(POLL).await;
    }
}

/// Takes a lock that nobody has; `None` when somebody has it.
pub(super) fn take(lock: &Path) -> io::Result<Option<File>> {
    let file = create(lock)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

pub(super) fn create(lock: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(lock)
}

/// Bytes on disk of all files below a directory. Files that are half there take half of the room.
pub(super) fn bytes(dir: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = std::fs::symlink_metadata(entry.path())?;
        sum += match metadata.is_dir() {
            true => bytes(&entry.path())?,
            false => metadata.blocks() * 512,
        };
    }
    Ok(sum)
}
