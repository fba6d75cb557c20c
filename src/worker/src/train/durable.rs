//! Files and directories that are there whole or not at all, also after a loss of power.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// How names of what is not complete begin.
const PREFIX: &str = ".tmp-";

/// What stands between the name that it is to have and what tells it from others.
const AFTER: char = '@';

/// A directory under a name of its own, which goes with the value unless it is published.
#[derive(Debug)]
pub struct Temporary(PathBuf);

/// Makes a directory beside `target`, and the directories above.
///
/// # Errors
/// When it cannot be made.
pub fn temporary(target: &Path) -> io::Result<Temporary> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let parent = parent(target);
    fs::create_dir_all(parent)?;
    let name = target
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    let (process, number) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    // Process numbers are the same in pods: the time tells their directories apart.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = now.map_or(0, |now| now.as_nanos());
    let path = parent.join(format!("{PREFIX}{name}{AFTER}{process}-{number}-{nanos}"));
    fs::create_dir(&path)?;
    Ok(Temporary(path))
}

impl Temporary {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes what is in it durable and gives it its name. Something under that name stays as it is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn publish(self, target: &Path) -> io::Result<()> {
        sync_tree(&self.0)?;
        match fs::rename(&self.0, target) {
            Ok(()) => sync(parent(target)),
            Err(_) if target.is_dir() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The same, in place of what has that name.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn replace(self, target: &Path) -> io::Result<()> {
        let old = temporary(target)?;
        match fs::rename(target, old.path().join("old")) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.publish(target)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename it is not there.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Takes a directory away, whole and at once, and then removes what is in it; whether it was there.
///
/// # Errors
/// When it cannot be taken away.
pub fn remove(directory: &Path) -> io::Result<bool> {
    if !directory.exists() {
        return Ok(false);
    }
    let away = temporary(directory)?;
    match fs::rename(directory, away.path().join("old")) {
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        renamed => renamed.map(|()| true),
    }
}

/// The names that what is not complete in a directory was to have, each once.
pub fn unfinished(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let (name, _) = name.to_str()?.strip_prefix(PREFIX)?.rsplit_once(AFTER)?;
            Some(name.to_owned())
        })
        .collect()
}

/// Removes what processes that are gone have left in a directory; of the one name that is given, if it is.
pub fn sweep(directory: &Path, name: Option<&str>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let begin = name.map_or_else(|| PREFIX.into(), |name| format!("{PREFIX}{name}{AFTER}"));
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(&begin) {
            tracing::info!("removing {}, which is not complete", entry.path().display());
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Writes a file and makes it durable.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_tree(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        match path.is_dir() {
            true => sync_tree(&path)?,
            false => sync(&path)?,
        }
    }
    sync(directory)
}

/// Makes a file, or the names in a directory, durable.
///
/// # Errors
/// When that fails.
pub fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_given_to_what_is_complete() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a/b");
        let made = temporary(&target).unwrap();
        fs::write(made.path().join("file"), "one").unwrap();
        assert!(!target.exists());
        made.publish(&target).unwrap();
        let content = || fs::read_to_string(target.join("file")).unwrap();
        assert_eq!(content(), "one");

        let again = temporary(&target).unwrap();
        fs::write(again.path().join("file"), "two").unwrap();
        again.publish(&target).unwrap();
        assert_eq!(content(), "one");
        let again = temporary(&target).unwrap();
        fs::write(again.path().join("file"), "three").unwrap();
        again.replace(&target).unwrap();
        assert_eq!(content(), "three");
        // Nothing is left beside it, nor of what was given up.
        drop(temporary(&target).unwrap());
        assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 1);
    }

    #[test]
    fn what_is_removed_is_gone_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a");
        fs::create_dir_all(target.join("b")).unwrap();
        fs::write(target.join("b/file"), "one").unwrap();
        assert!(remove(&target).unwrap());
        assert!(!remove(&target).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_process_left_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        std::mem::forget(temporary(&dir.path().join("x")).unwrap());
        fs::create_dir(dir.path().join("step-1")).unwrap();
        std::mem::forget(temporary(&dir.path().join("x-2")).unwrap());
        sweep(dir.path(), Some("x"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        sweep(dir.path(), None);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
