//! Work under way, and what of it is finished.

use std::{
    fs::{File, TryLockError},
    io::ErrorKind,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Store, WEIGHTS, sync_dir, write_whole};
use crate::Error;

/// What the names of work directories begin with.
pub(super) const PREFIX: &str = ".work-";
/// How they end while they are removed.
pub(super) const GONE: &str = "gone";
/// Locked by the process that works in the directory.
pub(super) const LOCK: &str = "lock";
const JOURNAL: &str = "journal.json";
const STATES: &str = "states-";
const LOCK_POLL: Duration = Duration::from_millis(200);

/// What is finished, in the order in which it is done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Journal {
    /// SHA-256 of each step's tensors.
    pub steps: Vec<String>,
    /// Perplexities before and after, once all steps are done.
    pub perplexities: Option<(String, String)>,
    /// SHA-256 of the whole file, once it may be published.
    pub digest: Option<String>,
}

/// The work directory of one key; no other process works in it.
pub(crate) struct Work {
    dir: PathBuf,
    _lock: File,
}

impl Work {
    /// Opens, or makes, the directory; waits while another process works in it.
    pub fn open(store: &Store, key: &str) -> Result<Self, Error> {
        let dir = store.dir().join(format!("{PREFIX}{key}"));
        let mut told = false;
        loop {
            let artifact = dir.join("artifact");
            std::fs::create_dir_all(&artifact).map_err(Error::io("create", &artifact))?;
            let path = dir.join(LOCK);
            let file = match File::create(&path) {
                // Whoever held the lock just now removes the directory.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                file => file.map_err(Error::io("create", &path))?,
            };
            match file.try_lock() {
                Ok(()) if is_at(&file, &path) => return Ok(Self { dir, _lock: file }),
                // Whoever held the lock finished and removed the directory.
                Ok(()) => {}
                Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path)(error)),
                Err(TryLockError::WouldBlock) => {
                    if !told {
                        tracing::info!("another process works in {}; waiting for it", dir.display());
                    }
                    told = true;
                    thread::sleep(LOCK_POLL);
                }
            }
        }
    }

    /// The directory that becomes the result.
    pub fn artifact(&self) -> PathBuf {
        self.dir.join("artifact")
    }

    /// The file in it.
    pub fn file(&self) -> PathBuf {
        self.artifact().join(WEIGHTS)
    }

    /// What an earlier run finished; nothing, if it left no readable journal.
    pub fn journal(&self) -> Journal {
        let text = std::fs::read(self.dir.join(JOURNAL)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Says what is finished.
    pub fn write_journal(&self, journal: &Journal) -> Result<(), Error> {
        let text = serde_json::to_vec(journal).unwrap_or_default();
        write_whole(&self.dir.join(JOURNAL), &text)?;
        sync_dir(&self.dir)
    }

    /// The hidden states after `steps` steps, if they are whole.
    pub fn states(&self, steps: usize) -> Option<Vec<u8>> {
        self.whole(&states_name(steps))
    }

    /// Keeps the hidden states after `steps` steps.
    pub fn write_states(&self, steps: usize, bytes: Vec<u8>) -> Result<(), Error> {
        self.write_whole(&states_name(steps), bytes)
    }

    /// What [`Work::write_whole`] left under this name, if it is undamaged.
    pub fn whole(&self, name: &str) -> Option<Vec<u8>> {
        let mut bytes = std::fs::read(self.dir.join(name)).ok()?;
        let digest = bytes.split_off(bytes.len().checked_sub(32)?);
        (Sha256::digest(&bytes)[..] == digest[..]).then_some(bytes)
    }

    /// Keeps bytes with their digest.
    pub fn write_whole(&self, name: &str, mut bytes: Vec<u8>) -> Result<(), Error> {
        let digest = Sha256::digest(&bytes);
        bytes.extend(digest);
        write_whole(&self.dir.join(name), &bytes)
    }

    /// Removes the states of other steps than the `steps`-th, which nobody goes on from.
    pub fn drop_other_states(&self, steps: usize) {
        let kept = self.dir.join(states_name(steps));
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()).filter(|path| *path != kept) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(STATES) {
                // Costs only room, until the whole directory goes.
                let _ = std::fs::remove_file(&path);
            }
        }
    }

    /// Removes everything.
    pub fn remove(self) -> Result<(), Error> {
        remove(&self.dir)
    }
}

/// Removes a work directory whose lock the caller holds. It gets another name first, because whoever
/// waits for the lock makes a new directory under the old one.
pub(super) fn remove(dir: &Path) -> Result<(), Error> {
    let gone = dir.with_extension(GONE);
    // What a killed process did not finish removing.
    let _ = std::fs::remove_dir_all(&gone);
    std::fs::rename(dir, &gone).map_err(Error::io("remove", dir))?;
    match std::fs::remove_dir_all(&gone) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("remove", &gone)(error)),
        // Or another process removed it as left over.
        _ => Ok(()),
    }
}

fn states_name(steps: usize) -> String {
    format!("{STATES}{steps}")
}

/// Whether the open file is still the one at `path`.
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    let inode = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(there)) => inode(open) == inode(there),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_states_and_journals_count_as_none() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let work = Work::open(&store, "k").unwrap();
        assert_eq!((work.journal(), work.states(3)), (Journal::default(), None));
        let journal = Journal {
            steps: vec!["a".into()],
            ..Journal::default()
        };
        work.write_journal(&journal).unwrap();
        work.write_states(3, vec![1, 2, 3]).unwrap();
        work.write_states(2, vec![9]).unwrap();
        work.drop_other_states(3);
        assert_eq!(
            (work.journal(), work.states(3), work.states(2)),
            (journal, Some(vec![1, 2, 3]), None)
        );

        let states = dir.path().join(".work-k/states-3");
        let mut bytes = std::fs::read(&states).unwrap();
        bytes[1] ^= 1;
        std::fs::write(&states, &bytes[..]).unwrap();
        std::fs::write(dir.path().join(".work-k/journal.json"), "{\"steps\":[").unwrap();
        assert_eq!((work.journal(), work.states(3)), (Journal::default(), None));
        std::fs::write(&states, [0; 5]).unwrap();
        assert_eq!(work.states(3), None);
    }

    #[test]
    fn a_second_process_waits_and_then_starts_afresh() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let first = Work::open(&store, "k").unwrap();
        let second = std::thread::spawn(move || Work::open(&store, "k").unwrap());
        first.write_states(1, vec![1]).unwrap();
        first.remove().unwrap();
        let second = second.join().unwrap();
        assert_eq!(second.states(1), None);
        assert!(second.artifact().is_dir());
    }
}
