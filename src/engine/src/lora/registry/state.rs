//! What a registry keeps of its adapters.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, Weak},
};

use crate::lora::{Adapter, AdapterId, Projection};

#[derive(Default)]
pub(super) struct State {
    pub(super) entries: BTreeMap<String, Entry>,
    /// Deleted or replaced, but still used by requests.
    pub(super) retired: Vec<Weak<Adapter>>,
    /// Counts uses, to tell which one is longest ago.
    pub(super) clock: u64,
    pub(super) stats: RegistryStats,
}

pub(super) struct Entry {
    pub(super) directory: PathBuf,
    /// The digest that it must have, if that is known: files may be replaced while it is out of memory.
    pub(super) expected: Option<String>,
    /// `None` when it is on disk only.
    pub(super) adapter: Option<Arc<Adapter>>,
    pub(super) facts: Facts,
    pub(super) last_use: u64,
    pub(super) requests: u64,
    /// Held by whoever loads it, so that others wait instead of loading it again.
    pub(super) loading: Arc<Mutex<()>>,
}

/// What is known of an adapter since it was loaded last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) id: AdapterId,
    pub(super) bytes: u64,
    pub(super) rank: usize,
    pub(super) targets: Vec<Projection>,
    pub(super) base: Option<String>,
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

impl State {
    pub(super) fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    pub(super) fn bytes(&mut self) -> u64 {
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
    pub(super) fn idle_bytes(&self) -> Option<u64> {
        let adapter = self.adapter.as_ref()?;
        (Arc::strong_count(adapter) == 1).then(|| adapter.bytes())
    }

    pub(super) fn summary(&self, name: &str) -> Summary {
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
    pub(super) fn of(adapter: &Adapter) -> Self {
        Self {
            id: adapter.id(),
            bytes: adapter.bytes(),
            rank: adapter.rank(),
            targets: adapter.targets().collect(),
            base: adapter.base().map(Into::into),
        }
    }
}
