//! The finished file: whether it is there, and who may write it.

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::Error;
use crate::digest::Digest;
use crate::space::free_bytes;

const LOCK_POLL: Duration = Duration::from_millis(200);

/// Whether the file is there with the right digest.
pub(crate) async fn is_complete(target: &Path, sha256: Digest) -> Result<bool, Error> {
    let path = target.to_owned();
    let digest = run_blocking("verify", target, move || match File::open(&path) {
        Ok(file) => Digest::of(file).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    });
    Ok(digest.await? == Some(sha256))
}

/// Waits for the exclusive right to write `target`, which ends with the returned file. The kernel
/// gives it back when the process ends, however it ends.
pub(crate) async fn lock(target: &Path) -> Result<File, Error> {
    let path = beside(target, "lock");
    if let Some(dir) = target.parent() {
        std::fs::create_dir_all(dir).map_err(Error::disk("create", dir))?;
    }
    let file = File::create(&path).map_err(Error::disk("create", &path))?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if !told => {
                tracing::info!("another process downloads {}; waiting for it", target.display());
                told = true;
            }
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_POLL).await,
            Err(TryLockError::Error(error)) => return Err(Error::disk("lock", &path)(error)),
        }
    }
}

/// Gives a content that is whole and verified its place.
pub(crate) async fn publish_small(target: &Path, content: Vec<u8>) -> Result<(), Error> {
    let target = target.to_owned();
    let path = target.clone();
    let write = move || {
        let dir = target.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(dir)?;
        let part = beside(&target, "part");
        let mut file = File::create(&part)?;
        file.write_all(&content)?;
        file.sync_all()?;
        std::fs::rename(&part, &target)?;
        sync_dir(dir)
    };
    run_blocking("write", &path, write).await
}

/// Removes what lies beside the target under these suffixes, in their order.
pub(crate) fn remove_beside(target: &Path, suffixes: [&str; 2]) -> Result<(), Error> {
    for suffix in suffixes {
        let path = beside(target, suffix);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::disk("remove", &path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// `TARGET.suffix`.
pub(crate) fn beside(target: &Path, suffix: &str) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

/// The directory that a file lies in.
pub(crate) fn directory(file: &Path) -> &Path {
    match file.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// Refuses what a directory has no room for.
pub(crate) fn require_space(dir: &Path, needed: u64) -> Result<(), Error> {
    let free = free_bytes(dir).map_err(Error::disk("measure the free space of", dir))?;
    if needed > free {
        let dir = dir.display().to_string();
        return Err(Error::NoSpace { dir, needed, free });
    }
    Ok(())
}

/// Makes the directory's entries durable.
pub(crate) fn sync_dir(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Runs what waits for the disk where it holds up nothing else.
pub(crate) async fn run_blocking<T: Send + 'static>(
    action: &'static str,
    path: &Path,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let result = tokio::task::spawn_blocking(work).await;
    result
        .unwrap_or_else(|error| Err(std::io::Error::other(error)))
        .map_err(Error::disk(action, path))
}
