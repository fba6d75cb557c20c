//! Which Rooms name which LlmModels: a change of one concerns them.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use api::room::RoomSpec;

type Key = (String, String);

/// The LlmModels that Rooms name, by namespace and name of the Room.
#[derive(Debug, Default)]
pub struct References(Mutex<HashMap<Key, BTreeSet<String>>>);

impl References {
    /// Notes what a Room names.
    pub fn note(&self, namespace: &str, room: &str, spec: &RoomSpec) {
        let others = [&spec.model, &spec.reranker].into_iter().flatten();
        let names = others.chain([&spec.embedding]).map(|model| model.name.clone());
        self.lock().insert(key(namespace, room), names.collect());
    }

    /// Forgets a Room.
    pub fn forget(&self, namespace: &str, room: &str) {
        self.lock().remove(&key(namespace, room));
    }

    /// The Rooms that name an LlmModel.
    pub fn of(&self, namespace: &str, model: &str) -> Vec<String> {
        let all = self.lock();
        let theirs = all
            .iter()
            .filter(|((space, _), models)| space == namespace && models.contains(model));
        theirs.map(|((_, room), _)| room.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, BTreeSet<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(namespace: &str, room: &str) -> Key {
    (namespace.to_owned(), room.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rooms_are_found_by_each_of_their_models() {
        let references = References::default();
        let spec = |value| serde_json::from_value::<RoomSpec>(value).unwrap();
        references.note(
            "ns",
            "a",
            &spec(json!({"embedding": {"name": "e"}, "model": {"name": "m"}})),
        );
        references.note("other", "b", &spec(json!({"embedding": {"name": "e"}})));
        assert_eq!(
            (references.of("ns", "e"), references.of("ns", "m")),
            (vec!["a".into()], vec!["a".into()])
        );
        assert!(references.of("ns", "x").is_empty());
        references.note("ns", "a", &spec(json!({"embedding": {"name": "x"}})));
        assert!(references.of("ns", "m").is_empty());
        references.forget("ns", "a");
        assert!(references.of("ns", "x").is_empty());
    }
}
