//! Indexes in memory, kept at what the database says.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ::rooms::{
    Grant,
    cache::Cache,
    index::{Change, Index},
};
use store::{
    Database,
    rooms::{Error as StoreError, Head, Loaded, Since, changes, load},
};
use tokio::sync::Mutex as AsyncMutex;

use super::metrics::Metrics;

/// Indexes that are read at once, over all Rooms: each takes a connection of its own.
const LOADS: usize = 2;
/// A Room that changes under each load is given up.
const TRIES: usize = 8;

/// The index of the generation that answers, as of a revision.
#[derive(Clone)]
pub struct Current {
    /// It.
    pub index: Arc<Index>,
    /// How the Room stands. Its revision is that of the index, or an earlier one.
    pub head: Head,
    /// The embedding model that made it.
    pub model: Arc<Model>,
}

/// The embedding model that made an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// Its digest.
    pub digest: String,
}

/// What is known of a Room whose index is in memory.
#[derive(Clone)]
struct Known {
    generation: i64,
    revision: i64,
    model: Arc<Model>,
}

struct State {
    cache: Cache,
    known: BTreeMap<String, Known>,
    /// Who loads a Room, lest two do.
    loading: BTreeMap<String, Arc<AsyncMutex<()>>>,
}

/// The indexes of Rooms, as many as there is room for.
pub struct Indexes {
    state: Mutex<State>,
    loads: tokio::sync::Semaphore,
    metrics: Metrics,
}

impl Indexes {
    /// For so many bytes.
    pub fn new(capacity: usize, metrics: Metrics) -> Self {
        Self {
            state: Mutex::new(State {
                cache: Cache::new(capacity),
                known: BTreeMap::new(),
                loading: BTreeMap::new(),
            }),
            loads: tokio::sync::Semaphore::new(LOADS),
            metrics,
        }
    }

    /// Nothing is left half done where this is held.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index of the generation that answers, with all that changed until now; none before one was published.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn current(&self, database: &Database, grant: &Grant) -> Result<Option<Current>, StoreError> {
        let uid = &*grant.room().uid;
        for _ in 0..TRIES {
            let known = self.lock().known.get(uid).cloned();
            let Some(known) = known else {
                if self.load(database, grant).await?.is_none() {
                    return Ok(None);
                }
                continue;
            };
            let (head, changes) = match changes(database, grant, known.revision).await? {
                Since::Changes { head, changes } if head.live == Some(known.generation) => (head, changes),
                // Another generation answers, or what changed cannot be told.
                Since::Changes { .. } | Since::Reload(_) => {
                    self.forget(uid, known.generation, known.revision);
                    continue;
                }
            };
            if let Some(current) = self.revised(grant, &known, head, &changes) {
                return Ok(Some(current));
            }
        }
        tracing::warn!(uid, "a Room changes faster than its index can be kept");
        Err(StoreError::NoGeneration(0))
    }

    /// The index with these changes since `known`; none if it was changed meanwhile, or has gone.
    fn revised(&self, grant: &Grant, known: &Known, head: Head, changes: &[Change]) -> Option<Current> {
        let uid = &grant.room().uid;
        let mut state = self.lock();
        let now = state.known.get(uid)?.clone();
        if now.generation != known.generation || now.revision < known.revision {
            return None;
        }
        if now.revision < head.revision {
            // Changes tell how things are, not what happened: of two, the earlier must not be applied after the later.
            if now.revision != known.revision {
                return None;
            }
            state.cache.revise(uid, changes);
            if let Some(known) = state.known.get_mut(uid) {
                known.revision = head.revision;
            }
            self.measure(&state);
        }
        let index = state.cache.get(grant, known.generation);
        if index.is_none() {
            state.known.remove(uid);
        }
        let revision = now.revision.max(head.revision);
        Some(Current {
            index: index?,
            head: Head { revision, ..head },
            model: known.model.clone(),
        })
    }

    /// Reads the index of the generation that answers, one at a time for each Room.
    async fn load(&self, database: &Database, grant: &Grant) -> Result<Option<()>, StoreError> {
        let uid = &grant.room().uid;
        let turn = self.lock().loading.entry(uid.clone()).or_default().clone();
        let _turn = turn.lock().await;
        if self.lock().known.contains_key(uid) {
            return Ok(Some(()));
        }
        let _place = self.loads.acquire().await;
        let loading = self.lock().cache.begin(uid);
        let loaded = load(database, grant).await?;
        let Some(loaded) = loaded else { return Ok(None) };
        self.metrics.index_loads.inc();
        let Loaded {
            index,
            head,
            model,
            model_digest,
        } = loaded;
        let generation = index.generation();
        let mut state = self.lock();
        if let Ok(index) = state.cache.insert(loading, index) {
            let model = Arc::new(Model {
                name: model,
                digest: model_digest,
            });
            let known = Known {
                generation,
                revision: head.revision,
                model,
            };
            if state.cache.get(grant, generation).is_none() {
                tracing::error!(
                    uid,
                    bytes = index.bytes(),
                    "the index of a Room is larger than all memory for indexes"
                );
                return Err(StoreError::Damaged("the index"));
            }
            state.known.insert(uid.clone(), known);
        }
        self.measure(&state);
        drop(state);
        Ok(Some(()))
    }

    fn forget(&self, uid: &str, generation: i64, revision: i64) {
        let mut state = self.lock();
        let is_it = |known: &&Known| known.generation == generation && known.revision == revision;
        if state.known.get(uid).filter(is_it).is_some() {
            state.known.remove(uid);
            state.cache.drop_room(uid);
            self.measure(&state);
        }
    }

    /// A Room is gone.
    pub fn drop_room(&self, uid: &str) {
        let mut state = self.lock();
        state.known.remove(uid);
        state.loading.remove(uid);
        state.cache.drop_room(uid);
        self.measure(&state);
    }

    fn measure(&self, state: &State) {
        self.metrics
            .index_bytes
            .set(i64::try_from(state.cache.bytes()).unwrap_or(i64::MAX));
    }
}

/// How long ago rights may have been read.
pub fn is_fresh(head: &Head, limit: Duration) -> bool {
    head.rights_age.is_some_and(|age| age <= limit)
}
