//! The Rooms of the cluster, by name.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::watch;

use super::room::Room;

/// The Rooms that there are. Fed by a watch.
pub struct Rooms {
    rooms: RwLock<BTreeMap<(String, String), Arc<Room>>>,
    is_complete: AtomicBool,
    changes: watch::Sender<()>,
}

impl Default for Rooms {
    fn default() -> Self {
        Self {
            rooms: RwLock::default(),
            is_complete: AtomicBool::new(false),
            changes: watch::Sender::new(()),
        }
    }
}

impl Rooms {
    /// A Room is there, or has changed.
    pub fn apply(&self, mut room: Room) {
        let key = (room.key.namespace.clone(), room.key.name.clone());
        let mut rooms = self.rooms.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = rooms.get(&key).filter(|known| known.is_kept_like(&room)) {
            room.opened = known.opened.clone();
        }
        rooms.insert(key, Arc::new(room));
        drop(rooms);
        self.changes.send_replace(());
    }

    /// A Room is gone, unless there is another one of its name by now.
    pub fn remove(&self, room: &Room) {
        let key = (room.key.namespace.clone(), room.key.name.clone());
        let mut rooms = self.rooms.write().unwrap_or_else(PoisonError::into_inner);
        if rooms.get(&key).is_some_and(|known| known.key == room.key) {
            rooms.remove(&key);
        }
        drop(rooms);
        self.changes.send_replace(());
    }

    /// There are these and no others: from now on all Rooms are known.
    pub fn retain(&self, uids: &HashSet<String>) {
        let mut rooms = self.rooms.write().unwrap_or_else(PoisonError::into_inner);
        rooms.retain(|_, room| uids.contains(&room.key.uid));
        drop(rooms);
        self.is_complete.store(true, Ordering::Release);
        self.changes.send_replace(());
    }

    /// Whether all Rooms are known: before that, one that is not here may be there.
    pub fn is_complete(&self) -> bool {
        self.is_complete.load(Ordering::Acquire)
    }

    /// A Room by name.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<Room>> {
        let rooms = self.rooms.read().unwrap_or_else(PoisonError::into_inner);
        rooms.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<Room>> {
        let rooms = self.rooms.read().unwrap_or_else(PoisonError::into_inner);
        rooms.values().cloned().collect()
    }

    /// Hears of each change.
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rooms::room::testing::watched;

    fn room(uid: &str, clearance: u8) -> Room {
        let source = json!({"name": "s", "upload": {}, "clearance": clearance});
        watched("hr", uid, json!({"embedding": {"name": "e"}, "sources": [source]})).into()
    }

    #[test]
    fn what_the_database_has_to_know_anew_is_opened_anew() {
        let rooms = Rooms::default();
        rooms.apply(room("1", 0));
        let opened = |rooms: &Rooms| rooms.get("ns", "hr").unwrap().opened.clone();
        let first = opened(&rooms);
        rooms.apply(room("1", 0));
        assert!(Arc::ptr_eq(&first, &opened(&rooms)));
        rooms.apply(room("1", 3));
        assert!(
            !Arc::ptr_eq(&first, &opened(&rooms)),
            "documents of the source need more now"
        );
        let second = opened(&rooms);
        rooms.apply(room("2", 3));
        assert!(!Arc::ptr_eq(&second, &opened(&rooms)), "it is another Room");
    }

    #[test]
    fn the_end_of_one_is_not_that_of_the_next() {
        let rooms = Rooms::default();
        rooms.apply(room("1", 0));
        rooms.apply(room("2", 0));
        rooms.remove(&room("1", 0));
        assert_eq!(rooms.get("ns", "hr").unwrap().key.uid, "2");
        assert!(!rooms.is_complete());
        rooms.retain(&HashSet::new());
        assert!(rooms.is_complete() && rooms.all().is_empty());
    }
}
