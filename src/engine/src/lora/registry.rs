//! Adapters by name: on disk until they are asked for, in memory as far as the budget goes.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use super::{Adapter, AdapterFiles, AdapterId, Projection, RegistryError};
use crate::{Dtype, ModelConfig};

/// Adapters that there may be. Each is a line of listings and metrics.
const MAX_ADAPTERS: usize = 1024;

/// The adapters of one base model. Its methods that load take a while: not for threads that serve.
pub struct Registry {
    model: ModelConfig,
    dtype: Dtype,
    budget: u64,
    /// Bytes of adapters that are being read. Grows under the lock of `state` only.
    reading: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<String, Entry>,
    /// Deleted or replaced, but still used by requests.
    retired: Vec<Weak<Adapter>>,
    /// Counts uses, to tell which one is longest ago.
    clock: u64,
    stats: RegistryStats,
}

struct Entry {
    directory: PathBuf,
    /// `None` when it is on disk only.
    adapter: Option<Arc<Adapter>>,
    facts: Facts,
    last_use: u64,
    requests: u64,
    /// Held by whoever loads it, so that others wait instead of loading it again.
    loading: Arc<Mutex<()>>,
}

/// What is known of an adapter since it was loaded last.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Facts {
    id: AdapterId,
    bytes: u64,
    rank: usize,
    targets: Vec<Projection>,
    base: Option<String>,
}

/// What there is to know of an adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub id: AdapterId,
    /// Whether it is in memory.
    pub loaded: bool,
    /// Whether requests use it now.
    pub in_use: bool,
    /// Memory that it takes when it is loaded.
    pub bytes: u64,
    /// The highest rank among its modules.
    pub rank: usize,
    /// The projections that it changes.
    pub targets: Vec<Projection>,
    /// The base model that it was made for, as it says.
    pub base: Option<String>,
    /// How often requests asked for it.
    pub requests: u64,
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RegistryStats {
    /// Adapters read into memory.
    pub loads: u64,
    /// Adapters that could not be read.
    pub failures: u64,
    /// Adapters put out of memory to make room.
    pub evictions: u64,
    /// Time that loading took, in seconds.
    pub load_seconds: f64,
}

impl Registry {
    /// A registry without adapters, which may together take `budget` bytes of memory.
    pub fn new(model: ModelConfig, dtype: Dtype, budget: u64) -> Self {
        Self {
            model,
            dtype,
            budget,
            reading: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    /// Loads the adapter in `directory` and gives it a name. An adapter that has the name already is
    /// replaced: running requests keep the old one. Returns what it is.
    ///
    /// # Errors
    /// When the name cannot be one, the adapter does not fit the model or the memory, or its files are
    /// damaged. An adapter that has the name already stays then.
    pub fn add(&self, name: &str, directory: &Path) -> Result<Summary, RegistryError> {
        check_name(name)?;
        let full = |state: &State| state.entries.len() >= MAX_ADAPTERS && !state.entries.contains_key(name);
        let too_many = RegistryError::TooMany { limit: MAX_ADAPTERS };
        if full(&self.lock()) {
            return Err(too_many);
        }
        if let Some(unchanged) = self.add_again(name, directory)? {
            return Ok(unchanged);
        }
        let (adapter, reservation) = self.read(directory)?;
        let mut state = self.lock();
        if full(&state) {
            return Err(too_many);
        }
        let last_use = state.tick();
        let old = state.entries.remove(name);
        let (requests, old) = old.map_or((0, None), |entry| (entry.requests, entry.adapter));
        let facts = Facts::of(&adapter);
        state.retired.extend(old.as_ref().map(Arc::downgrade));
        drop(old);
        let entry = Entry {
            directory: directory.into(),
            adapter: Some(adapter),
            facts,
            last_use,
            requests,
            loading: Arc::default(),
        };
        let summary = entry.summary(name);
        state.entries.insert(name.into(), entry);
        drop(reservation);
        Ok(summary)
    }

    /// Forgets a name. Requests that use the adapter finish with it.
    ///
    /// # Errors
    /// When no adapter has the name.
    pub fn remove(&self, name: &str) -> Result<(), RegistryError> {
        let mut state = self.lock();
        let entry = state.entries.remove(name).ok_or_else(|| unknown(name))?;
        state.retired.extend(entry.adapter.as_ref().map(Arc::downgrade));
        Ok(())
    }

    /// The adapter with this name, for one request, if it is in memory.
    ///
    /// # Errors
    /// When no adapter has the name.
    pub fn loaded(&self, name: &str) -> Result<Option<Arc<Adapter>>, RegistryError> {
        let mut state = self.lock();
        let now = state.tick();
        let entry = state.entries.get_mut(name).ok_or_else(|| unknown(name))?;
        let adapter = entry.adapter.clone();
        if adapter.is_some() {
            entry.last_use = now;
            entry.requests += 1;
        }
        Ok(adapter)
    }

    /// The adapter with this name, for one request; loads it if it is on disk.
    ///
    /// # Errors
    /// When no adapter has the name, there is no room for it, or its files became unusable.
    pub fn get(&self, name: &str) -> Result<Arc<Adapter>, RegistryError> {
        loop {
            if let Some(adapter) = self.loaded(name)? {
                return Ok(adapter);
            }
            let (directory, loading) = {
                let state = self.lock();
                let entry = state.entries.get(name).ok_or_else(|| unknown(name))?;
                (entry.directory.clone(), entry.loading.clone())
            };
            let _alone = loading.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(adapter) = self.loaded(name)? {
                return Ok(adapter);
            }
            let (adapter, reservation) = self.read(&directory)?;
            let mut state = self.lock();
            let now = state.tick();
            // Somebody may have replaced it meanwhile: then the new one is meant.
            if let Some(entry) = state.entries.get_mut(name)
                && Arc::ptr_eq(&entry.loading, &loading)
            {
                entry.facts = Facts::of(&adapter);
                entry.adapter = Some(adapter.clone());
                entry.last_use = now;
                entry.requests += 1;
                drop(reservation);
                return Ok(adapter);
            }
        }
    }

    /// All adapters in order of names.
    pub fn list(&self) -> Vec<Summary> {
        let state = self.lock();
        state.entries.iter().map(|(name, entry)| entry.summary(name)).collect()
    }

    /// Counts since the start.
    pub fn stats(&self) -> RegistryStats {
        self.lock().stats
    }

    /// Memory that adapters take now, those included that only running requests still use.
    pub fn bytes(&self) -> u64 {
        self.lock().bytes()
    }

    /// Memory that adapters may take together.
    pub fn budget(&self) -> u64 {
        self.budget
    }

    /// Adds nothing if the name has an adapter in memory and the directory has the same: that takes no
    /// room.
    fn add_again(&self, name: &str, directory: &Path) -> Result<Option<Summary>, RegistryError> {
        let loaded = |state: &State| {
            let entry = state.entries.get(name).filter(|entry| entry.adapter.is_some());
            entry.map(|entry| entry.facts.id)
        };
        let Some(id) = loaded(&self.lock()) else {
            return Ok(None);
        };
        if AdapterFiles::open(directory, &self.model)?.id()? != id {
            return Ok(None);
        }
        let mut state = self.lock();
        if loaded(&state) != Some(id) {
            return Ok(None);
        }
        Ok(state.entries.get_mut(name).map(|entry| {
            entry.directory = directory.into();
            entry.summary(name)
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What is done under the lock leaves the state whole at every step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, directory: &Path) -> Result<(Arc<Adapter>, Reservation<'_>), RegistryError> {
        let started = Instant::now();
        let read = || {
            let files = AdapterFiles::open(directory, &self.model)?;
            let reservation = self.reserve(files.bytes(self.dtype))?;
            Ok((Arc::new(files.read(&self.model, self.dtype)?), reservation))
        };
        let outcome = read();
        let stats = &mut self.lock().stats;
        match outcome {
            Ok(_) => stats.loads += 1,
            Err(_) => stats.failures += 1,
        }
        stats.load_seconds += started.elapsed().as_secs_f64();
        outcome
    }

    /// Makes room, if need be by putting adapters out of memory that no request uses.
    fn reserve(&self, bytes: u64) -> Result<Reservation<'_>, RegistryError> {
        let budget = self.budget;
        let room = budget
            .checked_sub(bytes)
            .ok_or(RegistryError::TooLarge { bytes, budget })?;
        let mut state = self.lock();
        let reading = self.reading.load(Ordering::Relaxed);
        let idle: u64 = state.entries.values().filter_map(Entry::idle_bytes).sum();
        if state.bytes() + reading - idle > room {
            return Err(RegistryError::Busy { bytes, budget });
        }
        while state.bytes() + reading > room {
            let idle = state.entries.values_mut().filter(|entry| entry.idle_bytes().is_some());
            let Some(oldest) = idle.min_by_key(|entry| entry.last_use) else {
                break;
            };
            oldest.adapter = None;
            state.stats.evictions += 1;
        }
        self.reading.fetch_add(bytes, Ordering::Relaxed);
        Ok(Reservation { registry: self, bytes })
    }
}

/// Room for an adapter that is being read.
struct Reservation<'a> {
    registry: &'a Registry,
    bytes: u64,
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.registry.reading.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl State {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn bytes(&mut self) -> u64 {
        self.retired.retain(|adapter| adapter.strong_count() > 0);
        let retired = self
            .retired
            .iter()
            .filter_map(Weak::upgrade)
            .map(|adapter| adapter.bytes());
        let loaded = self.entries.values().filter_map(|entry| entry.adapter.as_ref());
        retired.sum::<u64>() + loaded.map(|adapter| adapter.bytes()).sum::<u64>()
    }
}

impl Entry {
    /// The memory that it takes, if it takes some and no request uses it.
    fn idle_bytes(&self) -> Option<u64> {
        let adapter = self.adapter.as_ref()?;
        (Arc::strong_count(adapter) == 1).then(|| adapter.bytes())
    }

    fn summary(&self, name: &str) -> Summary {
        let Facts {
            id,
            bytes,
            rank,
            targets,
            base,
        } = self.facts.clone();
        Summary {
            name: name.into(),
            id,
            loaded: self.adapter.is_some(),
            in_use: self.adapter.is_some() && self.idle_bytes().is_none(),
            bytes,
            rank,
            targets,
            base,
            requests: self.requests,
        }
    }
}

impl Facts {
    fn of(adapter: &Adapter) -> Self {
        Self {
            id: adapter.id(),
            bytes: adapter.bytes(),
            rank: adapter.rank(),
            targets: adapter.targets().collect(),
            base: adapter.base().map(Into::into),
        }
    }
}

fn unknown(name: &str) -> RegistryError {
    RegistryError::Unknown { name: name.into() }
}

/// Names are DNS labels (RFC 1123), so that anything may be called after an adapter.
fn check_name(name: &str) -> Result<(), RegistryError> {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    let good = (1..=63).contains(&bytes.len())
        && bytes.iter().all(|byte| letter(*byte) || *byte == b'-')
        && [bytes.first(), bytes.last()]
            .into_iter()
            .flatten()
            .all(|byte| letter(*byte));
    match good {
        true => Ok(()),
        false => Err(RegistryError::Name { name: name.into() }),
    }
}

#[cfg(test)]
mod tests;
