//! A file that arrives in several ranges at once, and which of its bytes are there.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::RangeSettings;
use crate::fetch::SUBSTANTIAL_BYTES;
use crate::fetch::error::Error;
use crate::fetch::publish::{beside, directory, remove_beside, require_space, run_blocking, sync_dir};

/// Pieces for each range that is under way: the last ones should not leave the others idle for long.
const PIECES_EACH: u64 = 4;
/// Longest piece.
const LONGEST: u64 = 256 << 20;

/// One version of a file, as the server tells it from others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Version {
    /// Strong `ETag`, or date of the last change.
    pub validator: String,
    /// Bytes.
    pub total: u64,
}

/// What outlives the process beside the bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// What identifies the file: its digest, or a version of an object.
    identity: String,
    version: Version,
    /// Bytes of every piece but the last.
    step: u64,
    /// Bytes that are there of each piece, from its first on.
    there: Vec<u64>,
}

impl State {
    fn new(identity: String, version: Version, settings: &RangeSettings) -> Self {
        let pieces = (settings.at_once as u64).max(1) * PIECES_EACH;
        let step = version.total.div_ceil(pieces).clamp(settings.smallest, LONGEST).max(1);
        let there = vec![0; version.total.div_ceil(step) as usize];
        Self {
            identity,
            version,
            step,
            there,
        }
    }

    fn read(path: &Path, identity: &str) -> Option<Self> {
        let text = std::fs::read(path).ok()?;
        let state: Self = serde_json::from_slice(&text).ok()?;
        let fits = state.step > 0
            && state.there.len() as u64 == state.version.total.div_ceil(state.step)
            && (0..state.there.len())
                .all(|piece| state.there[piece] <= state.bounds(piece).end - state.bounds(piece).start);
        (fits && state.identity == identity).then_some(state)
    }

    /// First byte of a piece, and the one behind its last.
    fn bounds(&self, piece: usize) -> Range<u64> {
        let first = piece as u64 * self.step;
        first..(first + self.step).min(self.version.total)
    }
}

/// The file under construction: `TARGET.ranges`, with `TARGET.ranges.json` saying what of it is there.
pub(crate) struct RangeFile {
    path: PathBuf,
    state_path: PathBuf,
    file: Arc<File>,
    state: Mutex<State>,
    /// Bytes that the state on disk does not know of yet.
    unsaved: AtomicU64,
    saving: tokio::sync::Mutex<()>,
    is_resumed: bool,
}

impl RangeFile {
    /// The version that an earlier process began to fetch, if the wanted file is meant.
    pub(crate) fn known(target: &Path, identity: &str) -> Option<Version> {
        State::read(&beside(target, "ranges.json"), identity).map(|state| state.version)
    }

    /// Opens the file, with what is there of this version.
    pub(crate) fn open(
        target: &Path,
        identity: &str,
        version: &Version,
        settings: &RangeSettings,
    ) -> Result<Self, Error> {
        let (path, state_path) = (beside(target, "ranges"), beside(target, "ranges.json"));
        let open = |is_new: bool| {
            let mut options = File::options();
            options.read(true).write(true).create(true).truncate(is_new);
            options.open(&path)
        };
        let known = State::read(&state_path, identity).filter(|state| state.version == *version);
        let known = known.filter(|state| std::fs::metadata(&path).is_ok_and(|file| file.len() == state.version.total));
        let file = open(known.is_none()).map_err(Error::disk("open", &path))?;
        let is_resumed = known.is_some();
        let state = known.unwrap_or_else(|| State::new(identity.into(), version.clone(), settings));
        // It takes no room before it is written.
        file.set_len(version.total).map_err(Error::disk("write", &path))?;
        let opened = Self {
            path,
            state_path,
            file: Arc::new(file),
            state: Mutex::new(state),
            unsaved: AtomicU64::new(0),
            saving: tokio::sync::Mutex::new(()),
            is_resumed,
        };
        let missing = version.total - opened.there();
        require_space(directory(&opened.path), missing)?;
        if is_resumed {
            tracing::info!("resuming {}, {missing} bytes are missing", opened.path.display());
        }
        Ok(opened)
    }

    /// Whether its bytes come from more than one process.
    pub(crate) fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// How many pieces there are.
    pub(crate) fn pieces(&self) -> usize {
        self.with(|state| state.there.len())
    }

    /// The bytes of a piece.
    pub(crate) fn bounds(&self, piece: usize) -> Range<u64> {
        self.with(|state| state.bounds(piece))
    }

    /// What is not there of a piece.
    pub(crate) fn missing(&self, piece: usize) -> Range<u64> {
        self.with(|state| {
            let bounds = state.bounds(piece);
            bounds.start + state.there[piece]..bounds.end
        })
    }

    /// Bytes that are there in all.
    pub(crate) fn there(&self) -> u64 {
        self.with(|state| state.there.iter().sum())
    }

    /// Bytes of the whole file.
    pub(crate) fn total(&self) -> u64 {
        self.with(|state| state.version.total)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file, to read pieces that are whole.
    pub(crate) fn reader(&self) -> Arc<File> {
        self.file.clone()
    }

    /// Adds the next bytes of a piece.
    pub(crate) async fn append(&self, piece: usize, bytes: Vec<u8>) -> Result<(), Error> {
        let length = bytes.len() as u64;
        if length == 0 {
            return Ok(());
        }
        let (file, at) = (self.file.clone(), self.missing(piece).start);
        run_blocking("write", &self.path, move || file.write_all_at(&bytes, at)).await?;
        self.with(|state| state.there[piece] += length);
        let unsaved = self.unsaved.fetch_add(length, Ordering::Relaxed) + length;
        if unsaved >= SUBSTANTIAL_BYTES {
            self.save().await?;
        }
        Ok(())
    }

    /// Notes what is there, so that a kill loses none of it. The bytes come to the disk first: a note
    /// never tells of bytes that are not there.
    pub(crate) async fn save(&self) -> Result<(), Error> {
        let _one = self.saving.lock().await;
        self.unsaved.store(0, Ordering::Relaxed);
        let text = self.with(|state| serde_json::to_vec(state).expect("a state has text keys only"));
        let new = beside(&self.state_path, "new");
        let (file, path) = (self.file.clone(), new.clone());
        let write = move || {
            file.sync_data()?;
            std::fs::write(path, text)
        };
        run_blocking("write", &new, write).await?;
        // Not on the other thread, which goes on when nobody waits for it any more.
        std::fs::rename(&new, &self.state_path).map_err(Error::disk("rename", &new))
    }

    /// Makes the file durable and gives it its final name, replacing what had it.
    pub(crate) async fn publish(self, target: &Path) -> Result<(), Error> {
        let file = self.file.clone();
        run_blocking("write", &self.path, move || file.sync_all()).await?;
        std::fs::rename(&self.path, target).map_err(Error::disk("rename", &self.path))?;
        let dir = directory(target);
        sync_dir(dir).map_err(Error::disk("write", dir))?;
        // Without the file it says nothing, so nothing is lost if it stays.
        let _ = std::fs::remove_file(&self.state_path);
        Ok(())
    }

    /// Removes what is there of `target` in ranges.
    pub(crate) fn discard(target: &Path) -> Result<(), Error> {
        // The note first: without it the bytes mean nothing.
        remove_beside(target, ["ranges.json", "ranges"])
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: RangeSettings = RangeSettings {
        from: 0,
        at_once: 2,
        smallest: 10,
    };

    fn version(total: u64) -> Version {
        Version {
            validator: "\"one\"".into(),
            total,
        }
    }

    #[tokio::test]
    async fn what_was_noted_is_continued_and_what_was_not_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("m");
        let open = |version: &Version| RangeFile::open(&target, "id", version, &SETTINGS).unwrap();
        let file = open(&version(25));
        assert_eq!((file.pieces(), file.missing(2)), (3, 20..25));
        file.append(1, vec![1; 4]).await.unwrap();
        file.save().await.unwrap();
        file.append(2, vec![2; 5]).await.unwrap();
        drop(file);
        assert_eq!(RangeFile::known(&target, "id"), Some(version(25)));
        assert_eq!(RangeFile::known(&target, "other"), None);
        let file = open(&version(25));
        assert_eq!((file.missing(1), file.missing(2), file.there()), (14..20, 20..25, 4));
        drop(file);
        assert_eq!(open(&version(26)).there(), 0);
    }

    #[rstest::rstest]
    #[case::torn(r#"{"identity":"id","version":{"validator":"\"one\"","total":25},"st"#)]
    #[case::too_much(r#"{"identity":"id","version":{"validator":"\"one\"","total":25},"step":10,"there":[10,10,6]}"#)]
    #[case::too_few(r#"{"identity":"id","version":{"validator":"\"one\"","total":25},"step":10,"there":[10,10]}"#)]
    #[case::no_step(r#"{"identity":"id","version":{"validator":"\"one\"","total":25},"step":0,"there":[]}"#)]
    fn a_note_that_makes_no_sense_is_none(#[case] text: &str) {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("m");
        std::fs::write(beside(&target, "ranges"), [0; 25]).unwrap();
        std::fs::write(beside(&target, "ranges.json"), text).unwrap();
        let file = RangeFile::open(&target, "id", &version(25), &SETTINGS).unwrap();
        assert_eq!((file.there(), file.is_resumed()), (0, false));
    }

    #[test]
    fn pieces_grow_with_the_file() {
        let step = |total| State::new("id".into(), version(total), &RangeSettings::default()).step;
        assert_eq!(step(64 << 20), 16 << 20);
        assert_eq!(step(1 << 30), 64 << 20);
        assert_eq!(step(1 << 40), 256 << 20);
    }
}
