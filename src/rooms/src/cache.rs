//! Indexes that are kept in memory, as many as there is room for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use crate::grant::Grant;
use crate::index::{Change, Index};

/// Which index: the Room's uid and the generation.
type Key = (String, i64);

/// Indexes by Room and generation. When they take more bytes than they may, the one that was used least recently goes.
/// It has no lock and reads no clock: the same calls keep the same indexes.
pub struct Cache {
    capacity: usize,
    bytes: usize,
    kept: BTreeMap<Key, Kept>,
    /// By when they were last used.
    order: BTreeMap<u64, Key>,
    /// Counts uses.
    clock: u64,
    /// What is being loaded, by the Room's uid.
    loading: Vec<(String, Weak<AtomicBool>)>,
}

struct Kept {
    index: Arc<Index>,
    bytes: usize,
    used: u64,
}

/// That an index is being loaded. It has to be begun before the first chunk is read, so that no change is missed.
pub struct Loading {
    uid: String,
    is_stale: Arc<AtomicBool>,
}

/// Why an index is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stale {
    /// The Room changed while it was loaded: load it again.
    #[error("the Room changed while its index was loaded")]
    Changed,
    /// It is of another Room than the one that was begun with.
    #[error("the index is of another Room")]
    OtherRoom,
}

impl Cache {
    /// For so many bytes of indexes.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            bytes: 0,
            kept: BTreeMap::new(),
            order: BTreeMap::new(),
            clock: 0,
            loading: Vec::new(),
        }
    }

    /// Bytes that are in use. Indexes that were dropped while searches go on in them do not count.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many indexes are kept.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The index of the grant's Room, of a generation, if it is here.
    pub fn get(&mut self, grant: &Grant, generation: i64) -> Option<Arc<Index>> {
        let key = (grant.room().uid.clone(), generation);
        let kept = self.kept.get_mut(&key)?;
        self.clock += 1;
        self.order.remove(&kept.used);
        kept.used = self.clock;
        self.order.insert(self.clock, key);
        Some(kept.index.clone())
    }

    /// To be called before an index of a Room is loaded.
    pub fn begin(&mut self, uid: &str) -> Loading {
        self.loading.retain(|loading| loading.1.strong_count() > 0);
        let is_stale = Arc::new(AtomicBool::new(false));
        self.loading.push((uid.to_owned(), Arc::downgrade(&is_stale)));
        let uid = uid.to_owned();
        Loading { uid, is_stale }
    }

    /// Keeps an index that was loaded, and lets others go for it. One that is larger than all there is room for is given
    /// back all the same, but not kept.
    ///
    /// # Errors
    /// [`Stale`]: it must not be used either.
    pub fn insert(&mut self, loading: Loading, index: Index) -> Result<Arc<Index>, Stale> {
        if index.room().uid != loading.uid {
            return Err(Stale::OtherRoom);
        }
        // Only ever set by who holds the cache, as we do: no order among other memory hangs on it.
        if loading.is_stale.load(Ordering::Relaxed) {
            return Err(Stale::Changed);
        }
        let index = Arc::new(index);
        self.keep(index.clone());
        Ok(index)
    }

    /// Applies changes to all generations of a Room that are here or on their way, and says how many chunks they touched.
    /// Searches that are under way end with what they began with.
    pub fn revise(&mut self, uid: &str, changes: &[Change]) -> usize {
        self.spoil(uid);
        let mut touched = 0;
        for key in self.generations(uid) {
            let Some(kept) = self.kept.get_mut(&key) else {
                continue;
            };
            touched += Arc::make_mut(&mut kept.index).revise(changes);
            let bytes = kept.index.bytes();
            self.bytes = self.bytes - kept.bytes + bytes;
            kept.bytes = bytes;
        }
        // Lists of names may have grown.
        self.shrink();
        touched
    }

    /// Drops a generation of a Room.
    pub fn drop_generation(&mut self, uid: &str, generation: i64) {
        self.remove(&(uid.to_owned(), generation));
    }

    /// Drops a Room, also where it is on its way.
    pub fn drop_room(&mut self, uid: &str) {
        self.spoil(uid);
        for key in self.generations(uid) {
            self.remove(&key);
        }
    }

    /// What is being loaded of a Room is not wanted any more.
    fn spoil(&mut self, uid: &str) {
        for (_, loading) in self.loading.iter().filter(|loading| loading.0 == uid) {
            if let Some(is_stale) = loading.upgrade() {
                is_stale.store(true, Ordering::Relaxed);
            }
        }
    }

    fn generations(&self, uid: &str) -> Vec<Key> {
        let range = (uid.to_owned(), i64::MIN)..=(uid.to_owned(), i64::MAX);
        self.kept.range(range).map(|kept| kept.0.clone()).collect()
    }

    fn keep(&mut self, index: Arc<Index>) {
        let key = (index.room().uid.clone(), index.generation());
        self.remove(&key);
        let bytes = index.bytes();
        if bytes > self.capacity {
            return;
        }
        self.clock += 1;
        self.bytes += bytes;
        self.order.insert(self.clock, key.clone());
        let used = self.clock;
        self.kept.insert(key, Kept { index, bytes, used });
        self.shrink();
    }

    fn remove(&mut self, key: &Key) {
        if let Some(kept) = self.kept.remove(key) {
            self.order.remove(&kept.used);
            self.bytes -= kept.bytes;
        }
    }

    /// Lets those go that were used least recently, until there is room for the rest.
    fn shrink(&mut self) {
        while self.bytes > self.capacity
            && let Some((_, key)) = self.order.pop_first()
        {
            self.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::grant::{RoomKey, Verb};
    use crate::index::testing::{DIMENSION, acl, chunk, grant_to, room, vector};
    use crate::index::{Builder, Embedding};

    fn key(uid: &str) -> RoomKey {
        RoomKey {
            uid: uid.into(),
            ..room()
        }
    }

    fn index(uid: &str, generation: i64, chunks: i64) -> Index {
        let mut builder = Builder::new(key(uid), generation, DIMENSION);
        for id in 0..chunks {
            let embedding = Embedding::new(&vector("text")).unwrap();
            builder.push(&chunk(id, "text", 0, acl(0)), 1, embedding).unwrap();
        }
        builder.finish().unwrap()
    }

    fn has(cache: &mut Cache, uid: &str, generation: i64) -> bool {
        cache.get(&grant_to(key(uid), Verb::Search), generation).is_some()
    }

    fn load(cache: &mut Cache, uid: &str, generation: i64, chunks: i64) {
        let loading = cache.begin(uid);
        cache.insert(loading, index(uid, generation, chunks)).unwrap();
    }

    #[test]
    fn what_was_not_used_for_longest_goes() {
        let one = index("a", 1, 10).bytes();
        let mut cache = Cache::new(3 * one);
        for uid in ["a", "b", "c"] {
            load(&mut cache, uid, 1, 10);
        }
        assert!(has(&mut cache, "a", 1) && cache.bytes() == 3 * one);
        load(&mut cache, "d", 1, 10);
        assert!(has(&mut cache, "a", 1) && !has(&mut cache, "b", 1) && has(&mut cache, "c", 1));
        // Too large for any: the rest stays.
        load(&mut cache, "e", 1, 1000);
        assert!(cache.len() == 3 && !has(&mut cache, "e", 1));
        // Loaded again, it is not there twice.
        load(&mut cache, "d", 1, 10);
        assert_eq!((cache.len(), cache.bytes()), (3, 3 * one));
    }

    #[test]
    fn generations_and_rooms_are_told_apart() {
        let mut cache = Cache::new(1 << 20);
        load(&mut cache, "a", 1, 1);
        load(&mut cache, "a", 2, 1);
        load(&mut cache, "ab", 1, 1);
        assert!(!has(&mut cache, "a", 3) && !has(&mut cache, "b", 1));
        cache.drop_generation("a", 1);
        assert!(!has(&mut cache, "a", 1) && has(&mut cache, "a", 2));
        cache.drop_room("a");
        assert!(!has(&mut cache, "a", 2) && has(&mut cache, "ab", 1) && cache.len() == 1);
    }

    #[test]
    fn a_change_reaches_all_generations_and_what_is_on_its_way() {
        let mut cache = Cache::new(1 << 20);
        load(&mut cache, "a", 1, 10);
        load(&mut cache, "a", 2, 20);
        load(&mut cache, "b", 1, 10);
        let (under_way, other) = (cache.begin("a"), cache.begin("b"));
        let bytes = cache.bytes();
        let remove = |document: &str| Change::Remove {
            source: "source 0".into(),
            document: document.into(),
        };
        assert_eq!(cache.revise("a", &[remove("document 0")]), 20);
        let grant = grant_to(key("a"), Verb::Search);
        assert_eq!(cache.get(&grant, 1).unwrap().visible(&grant), 0);
        assert_eq!(cache.get(&grant, 2).unwrap().visible(&grant), 10);
        assert!(cache.bytes() < bytes);
        let again = index("a", 3, 5);
        assert_eq!(cache.insert(under_way, again.clone()).err(), Some(Stale::Changed));
        assert_eq!(cache.insert(other, again.clone()).err(), Some(Stale::OtherRoom));
        let loading = cache.begin("a");
        assert!(cache.insert(loading, again).is_ok());
        // A Room that is deleted does not come back.
        let late = cache.begin("a");
        cache.drop_room("a");
        assert_eq!(cache.insert(late, index("a", 3, 5)).err(), Some(Stale::Changed));
    }

    proptest! {
        #[test]
        fn bytes_are_bounded_and_counted(
            calls in prop::collection::vec((0usize..4, 0i64..3, 0i64..30, 0usize..5), 0..60),
        ) {
            let capacity = 3 * index("a", 1, 20).bytes();
            let mut cache = Cache::new(capacity);
            for (room, generation, chunks, call) in calls {
                let uid = ["a", "b", "c", "d"][room];
                match call {
                    0 => cache.drop_room(uid),
                    1 => drop(has(&mut cache, uid, generation)),
                    2 => drop(cache.revise(uid, &[Change::RemoveSource { source: "source 0".into() }])),
                    _ => load(&mut cache, uid, generation, chunks),
                }
                prop_assert!(cache.bytes() <= capacity);
                prop_assert_eq!(cache.bytes(), cache.kept.values().map(|kept| kept.index.bytes()).sum::<usize>());
                prop_assert_eq!(cache.order.len(), cache.kept.len());
            }
        }
    }
}
