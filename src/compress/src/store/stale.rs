//! Work that was killed and that nobody went on with.

use std::{
    fs::{self, File},
    path::Path,
    time::{Duration, SystemTime},
};

use super::{
    Store,
    work::{GONE, LOCK, PREFIX, is_at, remove},
};
use crate::Error;

/// Work that rested longer is not gone on with: its source, settings or text are others by now. A Job
/// that failed is tried again within minutes, a person comes back the next day.
const REST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl Store {
    /// Removes work directories that no process works in and that rested long. Costs nothing if that
    /// fails, except room.
    pub fn remove_stale(&self) {
        for entry in fs::read_dir(self.dir()).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
                continue;
            };
            let removed = match path.extension().is_some_and(|extension| extension == GONE) {
                true => fs::remove_dir_all(&path)
                    .map_err(Error::io("remove", &path))
                    .map(|()| true),
                false => remove_rested(&path, REST),
            };
            match removed {
                Ok(true) => tracing::info!("removed {name}, which was left over"),
                Ok(false) => {}
                Err(error) => tracing::warn!("{error}"),
            }
        }
    }
}

/// Removes a directory that nobody works in and that rested for `rest`; whether it did.
fn remove_rested(dir: &Path, rest: Duration) -> Result<bool, Error> {
    let path = dir.join(LOCK);
    // Opened as it is: making it new would count as work.
    let Ok(lock) = File::open(&path) else { return Ok(false) };
    let rested = last_change(dir).and_then(|change| SystemTime::now().duration_since(change).ok());
    if rested.is_none_or(|rested| rested < rest) || lock.try_lock().is_err() || !is_at(&lock, &path) {
        return Ok(false);
    }
    remove(dir)?;
    Ok(true)
}

/// When anything directly in the directory changed last: every finished step changes the journal, every
/// start the lock.
fn last_change(dir: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(dir).ok()?.flatten();
    let changes = entries.filter_map(|entry| entry.metadata().ok()?.modified().ok());
    changes.max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Journal, Work};

    /// Makes all files of a directory as old as that.
    fn age(dir: &Path, by: Duration) {
        let then = SystemTime::now() - by;
        for entry in fs::read_dir(dir).unwrap() {
            File::open(entry.unwrap().path()).unwrap().set_modified(then).unwrap();
        }
    }

    #[test]
    fn only_work_that_rests_long_and_is_not_under_way_goes() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let at = |key: &str| dir.path().join(format!("{PREFIX}{key}"));
        for key in ["old", "new"] {
            Work::open(&store, key)
                .unwrap()
                .write_journal(&Journal::default())
                .unwrap();
        }
        let under_way = Work::open(&store, "under-way").unwrap();
        for key in ["old", "under-way"] {
            age(&at(key), REST + Duration::from_secs(60));
        }
        age(&at("new"), REST - Duration::from_secs(60));
        fs::create_dir(at("half.gone")).unwrap();
        fs::create_dir(dir.path().join("sha256-0")).unwrap();
        store.remove_stale();
        let left = ["old", "new", "under-way", "half.gone"].map(|key| at(key).exists());
        assert_eq!(left, [false, true, true, false]);
        assert!(dir.path().join("sha256-0").exists());
        drop(under_way);
        store.remove_stale();
        assert!(!at("under-way").exists());
    }

    #[test]
    fn going_on_with_old_work_makes_it_new() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        drop(Work::open(&store, "k").unwrap());
        let path = dir.path().join(".work-k");
        age(&path, 2 * REST);
        drop(Work::open(&store, "k").unwrap());
        store.remove_stale();
        assert!(path.exists());
    }
}
