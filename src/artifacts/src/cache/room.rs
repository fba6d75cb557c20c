//! How much room the models of the cache take, and which of them leave.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use protocol::paths::{CACHE_ENTRIES, CACHE_PACKED};

use super::{entry_lock, lock, name};

/// What was used so lately stays: a pod that found it there may not have begun to use it yet.
const JUST_USED: Duration = Duration::from_secs(600);

/// The directory, while nobody else changes what is in it.
pub(super) struct Room {
    dir: PathBuf,
    size: u64,
    now: SystemTime,
    _lock: File,
}

/// A model, whole or on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Unit {
    path: PathBuf,
    lock: PathBuf,
    bytes: u64,
    used: SystemTime,
}

impl Room {
    /// Waits until nobody else works on it.
    pub(super) fn open(dir: &Path, size: u64) -> io::Result<Self> {
        for inside in [CACHE_ENTRIES, CACHE_PACKED, "works", "trash"] {
            std::fs::create_dir_all(dir.join(inside))?;
        }
        let lock = lock::create(&dir.join("lock"))?;
        lock.lock()?;
        let room = Self {
            dir: dir.to_owned(),
            size,
            now: SystemTime::now(),
            _lock: lock,
        };
        // What somebody did not get to the end of.
        for entry in std::fs::read_dir(room.dir.join("trash"))? {
            std::fs::remove_dir_all(entry?.path())?;
        }
        Ok(room)
    }

    #[cfg(test)]
    pub(super) fn later(mut self, by: Duration) -> Self {
        self.now += by;
        self
    }

    /// Where entries are.
    pub(super) fn entries(&self) -> PathBuf {
        self.dir.join(CACHE_ENTRIES)
    }

    /// An entry by its name.
    pub(super) fn entry(&self, name: &str) -> PathBuf {
        self.entries().join(name)
    }

    /// What engines keep of an entry.
    pub(super) fn packed(&self, name: &str) -> PathBuf {
        self.dir.join(CACHE_PACKED).join(name)
    }

    /// A new directory for what will be an entry. It goes to waste when this process does not get to the end.
    pub(super) fn stage(&self, name: &str) -> io::Result<PathBuf> {
        let new = self.dir.join("trash").join(format!("{name}.new"));
        std::fs::create_dir(&new)?;
        Ok(new)
    }

    /// Removes what was not used for longest until the rest fits; the entry of the digest `keep` stays.
    pub(super) fn make(&self, keep: Option<&str>) -> io::Result<()> {
        let keep = keep.map(|digest| self.entry(name(digest)));
        loop {
            let total: u64 = self.units()?.iter().map(|unit| unit.bytes).sum();
            if total <= self.size {
                return Ok(());
            }
            if !self.remove_one(keep.as_deref())? {
                tracing::warn!(
                    "the node's cache has {total} bytes of {}, and all are in use",
                    self.size
                );
                return Ok(());
            }
        }
    }

    /// Removes what was not used for longest, but for `keep`; false when all is in use.
    pub(super) fn remove_one(&self, keep: Option<&Path>) -> io::Result<bool> {
        let mut units = self.units()?;
        units.sort_by_key(|unit| unit.used);
        for unit in units {
            let is_old = self.now.duration_since(unit.used).is_ok_and(|age| age >= JUST_USED);
            if is_old && keep != Some(&unit.path) && self.remove(&unit)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes a directory, at once as others see it.
    pub(super) fn discard(&self, path: &Path) -> io::Result<()> {
        let trash = self.dir.join("trash").join(path.file_name().unwrap_or_default());
        match std::fs::rename(path, &trash) {
            Ok(()) => std::fs::remove_dir_all(&trash),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// False when somebody uses it.
    fn remove(&self, unit: &Unit) -> io::Result<bool> {
        let Some(lock) = lock::take(&unit.lock)? else {
            // As long as that lasts, it was used just now.
            lock::create(&unit.lock)?.set_modified(self.now)?;
            return Ok(false);
        };
        tracing::info!(
            "removing {} with {} bytes from the node's cache",
            unit.path.display(),
            unit.bytes
        );
        self.discard(&unit.path)?;
        if unit.path.starts_with(self.entries()) {
            let name = unit.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.discard(&self.packed(&name))?;
        }
        drop(lock);
        Ok(true)
    }

    fn units(&self) -> io::Result<Vec<Unit>> {
        let mut units = Vec::new();
        for entry in std::fs::read_dir(self.entries())? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let packed = lock::bytes(&self.packed(&name)).unwrap_or_default();
            units.push(unit(entry_lock(&path), path, packed)?);
        }
        for entry in std::fs::read_dir(self.dir.join("works"))? {
            let path = entry?.path();
            if path.is_dir() {
                units.push(unit(lock::of_work(&path), path, 0)?);
            }
        }
        Ok(units)
    }
}

fn unit(lock: PathBuf, path: PathBuf, more: u64) -> io::Result<Unit> {
    // One without a lock is of nobody.
    let used = std::fs::metadata(&lock).and_then(|file| file.modified());
    Ok(Unit {
        bytes: lock::bytes(&path)? + more,
        used: used.unwrap_or(SystemTime::UNIX_EPOCH),
        lock,
        path,
    })
}
