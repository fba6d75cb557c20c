//! Adapters by name: on disk until they are asked for, in memory as far as the budget goes.

mod name;
mod state;

use std::{
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

pub use self::state::{RegistryStats, Summary};
use self::{
    name::check_name,
    state::{Entry, Facts, State},
};
use super::{Adapter, AdapterError, AdapterFiles, AdapterId, RegistryError};
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
        self.add_pinned(name, directory, None)
    }

    /// As [`Self::add`], where the adapter must have the digest `expected`, now and whenever it is read again.
    ///
    /// # Errors
    /// As [`Self::add`], and when it has another digest.
    pub fn add_pinned(&self, name: &str, directory: &Path, expected: Option<&str>) -> Result<Summary, RegistryError> {
        check_name(name)?;
        let full = |state: &State| state.entries.len() >= MAX_ADAPTERS && !state.entries.contains_key(name);
        let too_many = RegistryError::TooMany { limit: MAX_ADAPTERS };
        if full(&self.lock()) {
            return Err(too_many);
        }
        if let Some(unchanged) = self.add_again(name, directory, expected)? {
            return Ok(unchanged);
        }
        let (adapter, reservation) = self.read(directory, expected)?;
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
            expected: expected.map(Into::into),
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
            let (directory, expected, loading) = {
                let state = self.lock();
                let entry = state.entries.get(name).ok_or_else(|| unknown(name))?;
                (entry.directory.clone(), entry.expected.clone(), entry.loading.clone())
            };
            let _alone = loading.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(adapter) = self.loaded(name)? {
                return Ok(adapter);
            }
            let is_replaced = || {
                let state = self.lock();
                let entry = state.entries.get(name);
                entry.is_none_or(|entry| !Arc::ptr_eq(&entry.loading, &loading))
            };
            let (adapter, reservation) = match self.read(&directory, expected.as_deref()) {
                // Its files may be gone by then.
                Err(_) if is_replaced() => continue,
                read => read?,
            };
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
    fn add_again(
        &self,
        name: &str,
        directory: &Path,
        expected: Option<&str>,
    ) -> Result<Option<Summary>, RegistryError> {
        let loaded = |state: &State| {
            let entry = state.entries.get(name).filter(|entry| entry.adapter.is_some());
            entry.map(|entry| entry.facts.id)
        };
        let Some(id) = loaded(&self.lock()) else {
            return Ok(None);
        };
        let found = AdapterFiles::open(directory, &self.model)?.id()?;
        check_digest(found, expected)?;
        if found != id {
            return Ok(None);
        }
        let mut state = self.lock();
        if loaded(&state) != Some(id) {
            return Ok(None);
        }
        Ok(state.entries.get_mut(name).map(|entry| {
            entry.directory = directory.into();
            entry.expected = expected.map(Into::into);
            entry.summary(name)
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What is done under the lock leaves the state whole at every step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, directory: &Path, expected: Option<&str>) -> Result<(Arc<Adapter>, Reservation<'_>), RegistryError> {
        let started = Instant::now();
        let read = || {
            let files = AdapterFiles::open(directory, &self.model)?;
            let reservation = self.reserve(files.bytes(self.dtype))?;
            let adapter = files.read(&self.model, self.dtype)?;
            check_digest(adapter.id(), expected)?;
            Ok((Arc::new(adapter), reservation))
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

fn check_digest(found: AdapterId, expected: Option<&str>) -> Result<(), AdapterError> {
    let found = found.prefixed();
    match expected {
        Some(expected) if expected != found => Err(AdapterError::Digest {
            found,
            expected: expected.into(),
        }),
        _ => Ok(()),
    }
}

fn unknown(name: &str) -> RegistryError {
    RegistryError::Unknown { name: name.into() }
}

#[cfg(test)]
mod tests;
