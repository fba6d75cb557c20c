//! Saved states, each whole or not there.
//!
//! ```text
//!  checkpoints/<run>/<key>/step-00000040/{state.safetensors, state.json, loop.json, manifest.json}
//!  checkpoints/<run>/runs/                 what TensorBoard shows
//!  checkpoints/<run>/.lock                 held by the attempt that is at work
//! ```
//!
//! `<key>` is a digest of all that a state depends on: the plan without its places, the data and the base. A training
//! with another plan therefore begins anew beside the states of the old one, which stay for whoever goes back to it
//! until there is a third one.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    error::Error,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use artifacts::{digest::Digest, space};
use protocol::tune::{MANIFEST, TrainFailure};
use serde::{Deserialize, Serialize};

use super::{
    durable,
    failure::{self, io_at, of_io, reasons, temporary},
    retention::{self, LOCK},
    state::State,
};

/// What the loop knows.
const STATE: &str = "loop.json";
/// How directories of states begin.
const STEP: &str = "step-";
/// How long to wait for an older attempt to end: longer than pods have for that, two minutes.
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK: Duration = Duration::from_millis(500);

/// The states of one plan.
#[derive(Debug)]
pub struct Checkpoints {
    directory: PathBuf,
    keep: usize,
}

/// `manifest.json`, written last.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    step: u64,
    /// Names and SHA-256 of all other files.
    files: BTreeMap<String, String>,
}

/// A state that can be gone on from.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    /// Changes of the weights.
    pub step: u64,
    /// Where it is.
    pub directory: PathBuf,
    /// What the loop knew.
    pub state: State,
}

impl Checkpoints {
    /// Those of a plan with this key, of which `keep` are kept.
    pub fn new(checkpoints: &Path, key: &str, keep: u32) -> Self {
        Self {
            directory: checkpoints.join(key),
            keep: keep.max(1) as usize,
        }
    }

    /// Removes what earlier attempts did not complete, and states of other plans but the last one; says which are left.
    pub fn tidy(&self) {
        durable::sweep(&self.directory, None);
        let Some(all) = self.directory.parent() else { return };
        durable::sweep(all, None);
        retention::forget_plans(all, &self.directory);
        for entry in fs::read_dir(all).into_iter().flatten().flatten() {
            let path = entry.path();
            if path != self.directory && !numbers(&path).is_empty() {
                tracing::info!(
                    "{} holds states of another plan, other data or another base",
                    path.display()
                );
            }
        }
    }

    /// The directory of a step's state.
    pub fn path(&self, step: u64) -> PathBuf {
        self.directory.join(format!("{STEP}{step:08}"))
    }

    /// The newest state that is not damaged.
    pub fn latest(&self) -> Option<Saved> {
        let mut steps = numbers(&self.directory);
        steps.reverse();
        steps.into_iter().find_map(|step| {
            let read = self.read(step).and_then(|saved| {
                // What is to be published in the end must be there, too.
                match saved.state.best {
                    Some(best) if best.step != step => self.read(best.step).map(|_| saved),
                    _ => Ok(saved),
                }
            });
            match read {
                Ok(saved) => Some(saved),
                Err(why) => {
                    tracing::warn!("skipped the state {}: {why}", self.path(step).display());
                    None
                }
            }
        })
    }

    /// Reads what is beside a trainer's state, and checks all of it.
    ///
    /// # Errors
    /// What is damaged.
    pub fn read(&self, step: u64) -> Result<Saved, String> {
        let directory = self.path(step);
        let text =
            |name: &str| fs::read(directory.join(name)).map_err(|error| format!("failed to read its {name}: {error}"));
        let manifest: Manifest =
            serde_json::from_slice(&text(MANIFEST)?).map_err(|error| format!("its {MANIFEST}: {error}"))?;
        if manifest.step != step {
            return Err(format!("its {MANIFEST} is of step {}", manifest.step));
        }
        for (name, expected) in &manifest.files {
            let found = Digest::of_file(&directory.join(name)).map_err(|failure| failure.message)?;
            if found.to_string() != *expected {
                return Err(format!(
                    "its {name} is damaged: it has another SHA-256 than its {MANIFEST} says"
                ));
            }
        }
        let state = serde_json::from_slice(&text(STATE)?).map_err(|error| format!("its {STATE}: {error}"))?;
        Ok(Saved { step, directory, state })
    }

    /// Saves a state: `write` puts the trainer's part into a directory. Older states are removed, but for those that
    /// are to be kept and `best`.
    ///
    /// # Errors
    /// When it cannot be written; older states are as they were.
    pub fn save<E: Error + 'static>(
        &self,
        step: u64,
        state: &State,
        write: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<(), TrainFailure> {
        let target = self.path(step);
        let temporary = durable::temporary(&target).map_err(io_at("make", &target))?;
        let failed = |what: &dyn std::fmt::Display, full: bool| self.failed(temporary.path(), what, full);
        write(temporary.path()).map_err(|error| failed(&error, failure::is_full(&error)))?;
        let written = complete(temporary.path(), step, state);
        written.map_err(|error| failed(&error, space::is_full(&error)))?;
        temporary.replace(&target).map_err(io_at("write", &target))?;
        self.prune(step, state.best.map(|best| best.step));
        Ok(())
    }

    fn failed(&self, temporary: &Path, what: &dyn std::fmt::Display, full: bool) -> TrainFailure {
        let directory = self.directory.display();
        let written = size(temporary);
        let free = space::free_bytes(temporary).unwrap_or(u64::MAX);
        let before = numbers(&self.directory).last().map(|step| size(&self.path(*step)));
        let before = before.unwrap_or_default();
        // Libraries do not always say why they failed.
        if full || free < (1 << 20).max(before.saturating_sub(written)) {
            let need = before.max(written);
            let message = format!(
                "failed to save a state in {directory}: {what}; {written} bytes were written and {free} are free, a state \
                 takes about {need}. Enlarge the volume, or keep fewer states; the older ones are as they were"
            );
            return self::temporary(reasons::NO_SPACE, message);
        }
        self::temporary(
            reasons::INTERNAL,
            format!("failed to save a state in {directory}: {what}"),
        )
    }

    fn prune(&self, newest: u64, best: Option<u64>) {
        let steps = numbers(&self.directory);
        // Those that were made after the one that was gone on from are damaged.
        let (good, later): (Vec<u64>, Vec<u64>) = steps.into_iter().partition(|step| *step <= newest);
        let surplus = good.len().saturating_sub(self.keep);
        let old = good[..surplus].iter().filter(|step| Some(**step) != best);
        for step in old.chain(&later) {
            let path = self.path(*step);
            if let Err(error) = fs::remove_dir_all(&path) {
                tracing::warn!("failed to remove the state {}: {error}", path.display());
            }
        }
    }
}

fn complete(directory: &Path, step: u64, state: &State) -> io::Result<()> {
    let text = serde_json::to_vec_pretty(state).expect("it has text keys only");
    durable::write(&directory.join(STATE), &text)?;
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let digest = Digest::of(File::open(entry.path())?)?;
        durable::sync(&entry.path())?;
        files.insert(entry.file_name().to_string_lossy().into_owned(), digest.to_string());
    }
    let manifest = serde_json::to_vec_pretty(&Manifest { step, files }).expect("it has text keys only");
    durable::write(&directory.join(MANIFEST), &manifest)
}

/// The steps of all states in a directory, damaged ones included, in order.
pub fn numbers(directory: &Path) -> Vec<u64> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut steps: Vec<u64> = entries
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix(STEP)?.parse().ok())
        .collect();
    steps.sort_unstable();
    steps
}

fn size(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
}

/// Keeps other attempts of the run away for as long as the file is open.
///
/// # Errors
/// When another one does not end.
pub fn lock(checkpoints: &Path) -> Result<File, TrainFailure> {
    lock_within(checkpoints, PATIENCE)
}

fn lock_within(checkpoints: &Path, patience: Duration) -> Result<File, TrainFailure> {
    fs::create_dir_all(checkpoints).map_err(io_at("make", checkpoints))?;
    let path = checkpoints.join(LOCK);
    let file = File::create(&path).map_err(io_at("open", &path))?;
    let mut waited = Duration::ZERO;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) if waited < patience => {
                if waited.is_zero() {
                    tracing::info!("another attempt holds {}: waiting", path.display());
                }
                std::thread::sleep(LOOK);
                waited += LOOK;
            }
            Err(fs::TryLockError::WouldBlock) => {
                let message = format!("another attempt of this run is at work: it holds {}", path.display());
                return Err(temporary(reasons::ALREADY_RUNNING, message));
            }
            Err(fs::TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                tracing::warn!(
                    "{} cannot be locked: two attempts at once would not notice",
                    path.display()
                );
                return Ok(file);
            }
            Err(fs::TryLockError::Error(error)) => return Err(of_io("lock", &path, &error)),
        }
    }
}
