//! What the last pass over a model knew of its children, so that the next one reads only what changed since.
//!
//! Watches of metadata say which kinds of children changed; those are listed anew, and nothing is decided upon
//! that a watch has called old. A watch can miss something, so that everything is listed now and then.

mod packed;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use api::names::LABEL_MODEL;
use kube::api::ObjectMeta;

use super::dereference::Observed;
use packed::Packed;

/// The kinds of children.
pub const KINDS: usize = 11;
/// After this time everything is listed of a model that is on its way, and of which no watch has told anything: less
/// than the time after which it is looked at in any case.
const LONGEST_SILENT: Duration = Duration::from_secs(25);
/// The same when watches have told something: they work, though one may have missed something else. Many models at
/// once wait for longer than the time above, and would all be listed anew for nothing.
const LONGEST: Duration = Duration::from_secs(120);
/// The same of one that is settled: less than the time after which it is looked at in any case.
const LONGEST_SETTLED: Duration = Duration::from_secs(440);

/// Kinds of children, by their names: `Deployment`.
pub type Kinds = BTreeSet<&'static str>;

/// What is known before a pass.
#[derive(Debug, Default)]
pub struct Before {
    /// The children of the last pass; `None` when everything is to be listed.
    pub observed: Option<Observed>,
    /// Kinds that changed since.
    pub changed: Kinds,
    /// When everything was listed last; `None` when it is about to be.
    listed: Option<Instant>,
}

impl Before {
    /// When everything was listed last, or is now.
    pub fn listed(&self) -> Instant {
        self.listed.unwrap_or_else(Instant::now)
    }
}

/// What is known after a pass.
#[derive(Debug)]
pub struct After {
    /// The children.
    pub observed: Observed,
    /// Kinds that it changed without hearing the result.
    pub again: Kinds,
    /// When everything was listed.
    pub listed: Instant,
    /// Whether there is nothing left to do.
    pub settled: bool,
}

/// What is recollected of all models.
#[derive(Default)]
pub struct Recollection(Mutex<State>);

#[derive(Default)]
struct State {
    /// By namespace and name.
    models: HashMap<(String, String), Model>,
    /// Kinds whose watch has told of all that there is.
    synced: HashSet<&'static str>,
}

#[derive(Default)]
struct Model {
    known: Option<Known>,
    changed: Kinds,
    /// The generation that the last pass acted upon.
    generation: Option<i64>,
    /// Resource versions of our own writes, by kind and name: their echoes are no news.
    written: HashMap<(&'static str, String), String>,
}

/// The children after a pass, packed: a thousand models may be on their way at once.
struct Known {
    children: Packed,
    listed: Instant,
    settled: bool,
}

impl Known {
    /// The children, unless they were listed too long ago.
    fn open(&self, is_news: bool) -> Option<Observed> {
        let longest = match (self.settled, is_news) {
            (true, _) => LONGEST_SETTLED,
            (false, true) => LONGEST,
            (false, false) => LONGEST_SILENT,
        };
        (self.listed.elapsed() < longest).then(|| self.children.open())?
    }
}

impl Recollection {
    /// What a pass over a model starts from. Changes that come later are for the next one.
    pub fn before(&self, namespace: &str, name: &str) -> Before {
        let mut state = self.lock();
        let is_synced = state.synced.len() == KINDS;
        let Some(model) = state.models.get_mut(&key(namespace, name)) else {
            // No watch has ever told of a child.
            return Before {
                observed: is_synced.then(Observed::default),
                ..Before::default()
            };
        };
        let changed = std::mem::take(&mut model.changed);
        let known = model.known.take();
        drop(state);
        let known = known.and_then(|known| Some((known.open(!changed.is_empty())?, known.listed)));
        let (observed, listed) = known.unzip();
        Before {
            observed,
            changed,
            listed,
        }
    }

    /// Keeps what a pass over this `generation` knew at its end.
    pub fn keep(&self, namespace: &str, name: &str, generation: Option<i64>, after: After) {
        let After {
            observed,
            again,
            listed,
            settled,
        } = after;
        let known = Packed::new(&observed).map(|children| Known {
            children,
            listed,
            settled,
        });
        let mut state = self.lock();
        let model = state.models.entry(key(namespace, name)).or_default();
        model.changed.extend(again);
        model.known = known;
        model.generation = generation;
    }

    /// Whether no pass has acted upon a generation of a model yet.
    pub fn is_new(&self, namespace: &str, name: &str, generation: Option<i64>) -> bool {
        let state = self.lock();
        let model = state.models.get(&key(namespace, name));
        model.is_none_or(|model| model.generation != generation)
    }

    /// The model is gone.
    pub fn remove(&self, namespace: &str, name: &str) {
        self.lock().models.remove(&key(namespace, name));
    }

    /// Notes a write of ours and the resource version that it led to.
    pub fn wrote(&self, namespace: &str, name: &str, kind: &'static str, child: &ObjectMeta) {
        if let (Some(child), Some(version)) = (&child.name, &child.resource_version) {
            let mut state = self.lock();
            let model = state.models.entry(key(namespace, name)).or_default();
            model.written.insert((kind, child.clone()), version.clone());
        }
    }

    /// Hears that a child is as its metadata say; whether that is news.
    pub fn saw(&self, kind: &'static str, child: &ObjectMeta) -> bool {
        let mut state = self.lock();
        let Some(model) = state.model_of(child) else {
            return false;
        };
        let written = child
            .name
            .as_ref()
            .and_then(|name| model.written.get(&(kind, name.clone())));
        let is_news = written.is_none() || written != child.resource_version.as_ref();
        if is_news {
            model.changed.insert(kind);
        }
        is_news
    }

    /// Hears that a child is gone.
    pub fn lost(&self, kind: &'static str, child: &ObjectMeta) {
        if let Some(model) = self.lock().model_of(child) {
            model.changed.insert(kind);
            if let Some(name) = &child.name {
                model.written.remove(&(kind, name.clone()));
            }
        }
    }

    /// A watch has listed all children of a kind, after it told of each: what it missed is unknown.
    pub fn relisted(&self, kind: &'static str) {
        let mut state = self.lock();
        state.synced.insert(kind);
        for model in state.models.values_mut() {
            model.changed.insert(kind);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The model that a child's labels name.
    fn model_of(&mut self, child: &ObjectMeta) -> Option<&mut Model> {
        let model = child.labels.as_ref()?.get(LABEL_MODEL)?;
        let key = key(child.namespace.as_deref()?, model);
        Some(self.models.entry(key).or_default())
    }
}

fn key(namespace: &str, name: &str) -> (String, String) {
    (namespace.to_owned(), name.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ALL: [&str; KINDS] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];

    fn child(name: &str, version: &str) -> ObjectMeta {
        let labels = json!({LABEL_MODEL: "m"});
        serde_json::from_value(json!({"namespace": "ns", "name": name, "resourceVersion": version, "labels": labels}))
            .unwrap()
    }

    fn after<const N: usize>(again: [&'static str; N], listed: Instant, settled: bool) -> After {
        After {
            observed: Observed::default(),
            again: Kinds::from(again),
            listed,
            settled,
        }
    }

    fn synced() -> Recollection {
        let recollection = Recollection::default();
        ALL.iter().for_each(|kind| recollection.relisted(kind));
        recollection
    }

    #[test]
    fn nothing_is_listed_for_a_model_without_children() {
        let recollection = Recollection::default();
        assert!(recollection.before("ns", "m").observed.is_none());
        ALL[1..].iter().for_each(|kind| recollection.relisted(kind));
        assert!(
            recollection.before("ns", "m").observed.is_none(),
            "one watch has not told yet"
        );
        recollection.relisted(ALL[0]);
        assert!(recollection.before("ns", "m").observed.is_some());
        recollection.saw("a", &child("x", "1"));
        assert!(recollection.before("ns", "m").observed.is_none());
        assert!(recollection.before("other", "m").observed.is_some());
    }

    #[test]
    fn what_changed_since_is_listed_and_own_writes_are_no_change() {
        let recollection = synced();
        recollection.wrote("ns", "m", "a", &child("x", "5"));
        assert!(!recollection.saw("a", &child("x", "5")));
        recollection.keep("ns", "m", Some(1), after(["c"], Instant::now(), false));
        assert!(recollection.saw("a", &child("x", "6")));
        assert!(recollection.saw("b", &child("x", "5")));
        let before = recollection.before("ns", "m");
        assert!(before.observed.is_some());
        assert_eq!(before.changed, Kinds::from(["a", "b", "c"]));
        // A pass that fails keeps nothing.
        assert!(recollection.before("ns", "m").observed.is_none());
    }

    #[test]
    fn changes_during_a_pass_are_for_the_next_one() {
        let recollection = synced();
        recollection.keep("ns", "m", Some(1), after([], Instant::now(), false));
        let _before = recollection.before("ns", "m");
        recollection.lost("a", &child("x", "7"));
        recollection.keep("ns", "m", Some(1), after([], Instant::now(), false));
        assert_eq!(recollection.before("ns", "m").changed, Kinds::from(["a"]));
    }

    #[test]
    fn what_is_old_or_gone_is_listed() {
        let recollection = synced();
        let known = |age: Duration, settled: bool, changed: &[&'static str]| {
            let listed = Instant::now().checked_sub(age)?;
            recollection.keep("ns", "m", Some(1), after([], listed, settled));
            for kind in changed {
                recollection.saw(kind, &child("x", "1"));
            }
            Some(recollection.before("ns", "m").observed.is_some())
        };
        assert_eq!(known(Duration::ZERO, false, &[]), Some(true));
        assert_eq!(known(Duration::ZERO, true, &[]), Some(true));
        // The clock may have begun a moment ago.
        assert_ne!(known(LONGEST_SILENT, false, &[]), Some(true));
        assert_ne!(known(LONGEST_SILENT, false, &["a"]), Some(false));
        assert_ne!(known(LONGEST, false, &["a"]), Some(true));
        assert_ne!(known(LONGEST, true, &[]), Some(false));
        assert_ne!(known(LONGEST_SETTLED, true, &[]), Some(true));
        recollection.keep("ns", "m", Some(1), after([], Instant::now(), true));
        recollection.remove("ns", "m");
        assert!(
            recollection.before("ns", "m").observed.is_some(),
            "no watch tells of a child"
        );
    }

    #[test]
    fn a_generation_is_new_until_a_pass_has_acted_upon_it() {
        let recollection = synced();
        assert!(recollection.is_new("ns", "m", Some(1)));
        recollection.keep("ns", "m", Some(1), after([], Instant::now(), true));
        assert!(!recollection.is_new("ns", "m", Some(1)));
        assert!(recollection.is_new("ns", "m", Some(2)));
    }
}
