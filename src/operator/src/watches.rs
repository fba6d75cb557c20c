//! Watches of metadata only: they say which object of ours to look at, never how it is. What is decided
//! upon is read when it is needed, so no decision rests on an old cache.

use std::{
    collections::HashMap,
    fmt::Debug,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use api::{
    LlmModel,
    names::{LABEL_MANAGED_BY, MANAGED_BY},
};
use futures::StreamExt;
use kube::{
    Api, Client, Resource,
    api::{ObjectMeta, PartialObjectMeta},
    core::NamespaceResourceScope,
    runtime::{
        WatchStreamExt,
        reflector::{ObjectRef, Store, store::Writer},
        watcher,
        watcher::Event,
    },
};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::{sync::mpsc, task::JoinSet, time::sleep};

use crate::{cluster::Kind, metrics::Metrics};

/// An object without its spec and status.
pub type Meta<K> = PartialObjectMeta<K>;
/// An LlmModel without its spec and status.
pub type ModelMeta = Meta<LlmModel>;

/// The API server ends a watch after this many seconds. Short, because a connection that died without
/// a goodbye is only noticed then.
pub const WATCH_SECONDS: u32 = 120;
/// Before a list that follows on a refused watch.
const RELIST_AFTER: Duration = Duration::from_secs(2);
/// Notifications that may wait for the scheduler.
const QUEUE: usize = 1024;

/// The watches behind one controller. Dropping it ends them.
pub struct Watches<K: Resource> {
    tasks: JoinSet<()>,
    sender: mpsc::Sender<ObjectRef<Meta<K>>>,
    client: Client,
    metrics: Metrics,
}

impl<K: Kind + 'static> Watches<K> {
    /// No watch yet; the receiver hears which objects to look at.
    pub fn new(client: Client, metrics: Metrics) -> (Self, mpsc::Receiver<ObjectRef<Meta<K>>>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let watches = Self {
            tasks: JoinSet::new(),
            sender,
            client,
            metrics,
        };
        (watches, receiver)
    }

    /// Follows the objects themselves. `related` hears of each event before the store does, and says which others to
    /// look at: when an object comes, is changed by people, or goes.
    pub fn objects(
        &mut self,
        mut related: impl FnMut(&Event<Meta<K>>) -> Vec<ObjectRef<Meta<K>>> + Send + 'static,
    ) -> Store<Meta<K>> {
        let mut writer = Writer::<Meta<K>>::new(());
        let store = writer.as_reader();
        let known = store.clone();
        let mut listed = Vec::new();
        let notify = move |mut event: Event<Meta<K>>| {
            forget_managers(&mut event);
            let mut touched = related(&event);
            match &event {
                Event::Init => {
                    listed = Vec::new();
                    touched.clear();
                }
                Event::InitApply(object) => {
                    listed.push(ObjectRef::from_obj(object));
                    touched.clear();
                }
                // Only now does the store hold them.
                Event::InitDone => touched = std::mem::take(&mut listed),
                Event::Apply(object) => {
                    let reference = ObjectRef::from_obj(object);
                    let before = known.get(&reference);
                    match is_asked_anew(before.as_deref().map(|it| &it.metadata), &object.metadata) {
                        true => touched.push(reference),
                        false => touched.clear(),
                    }
                }
                // Everything below it goes by its owner reference.
                Event::Delete(_) => {}
            }
            writer.apply_watcher_event(&event);
            touched
        };
        self.follow(watcher::Config::default(), notify);
        store
    }

    /// Follows children of one kind, whose `label` names their owner. After a gap in the watch every owner is looked at: a
    /// child that was deleted meanwhile is in no list. Events that do not matter are kept from the receiver.
    pub fn children<C>(
        &mut self,
        label: &'static str,
        owners: &Store<Meta<K>>,
        mut matters: impl FnMut(&Event<Meta<C>>) -> bool + Send + 'static,
    ) where
        C: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Send + Sync + 'static,
    {
        let ours = watcher::Config::default().labels(&format!("{LABEL_MANAGED_BY}={MANAGED_BY},{label}"));
        let owners = owners.clone();
        let notify = move |event: Event<Meta<C>>| match event {
            event if !matters(&event) => Vec::new(),
            Event::Init | Event::InitApply(_) => Vec::new(),
            Event::InitDone => owners
                .state()
                .iter()
                .map(|owner| ObjectRef::from_obj(owner.as_ref()))
                .collect(),
            Event::Apply(child) | Event::Delete(child) => named(&child.metadata, label).into_iter().collect(),
        };
        self.follow::<Meta<C>>(ours, notify);
    }

    /// Follows objects of a kind that belong to nobody here; `touched` says which of ours an event concerns.
    pub fn others<O>(&mut self, touched: impl FnMut(Event<O>) -> Vec<ObjectRef<Meta<K>>> + Send + 'static)
    where
        O: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
    {
        self.follow(watcher::Config::default(), touched);
    }

    /// Asks again and again which objects to look at, with a pause in between.
    pub fn poll<F>(&mut self, pause: Duration, mut ask: impl FnMut() -> F + Send + 'static)
    where
        F: Future<Output = Vec<ObjectRef<Meta<K>>>> + Send,
    {
        let (sender, metrics) = (self.sender.clone(), self.metrics.clone());
        self.tasks.spawn(async move {
            loop {
                for reference in ask().await {
                    metrics.queue.inc();
                    if sender.send(reference).await.is_err() {
                        return;
                    }
                }
                sleep(pause).await;
            }
        });
    }

    fn follow<O>(
        &mut self,
        config: watcher::Config,
        notify: impl FnMut(Event<O>) -> Vec<ObjectRef<Meta<K>>> + Send + 'static,
    ) where
        O: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
    {
        let (client, sender, metrics) = (self.client.clone(), self.sender.clone(), self.metrics.clone());
        self.tasks.spawn(follow(client, config, notify, sender, metrics));
    }
}

/// Follows the objects of one kind in all namespaces, and tells the receiver what `notify` makes of each event, until
/// there is no receiver any more.
async fn follow<K, T>(
    client: Client,
    config: watcher::Config,
    mut notify: impl FnMut(Event<K>) -> Vec<T> + Send + 'static,
    sender: mpsc::Sender<T>,
    metrics: Metrics,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let api = Api::<K>::all(client);
    let config = config.any_semantic().timeout(WATCH_SECONDS);
    loop {
        let mut events = watcher(api.clone(), config.clone()).default_backoff().boxed();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    for reference in notify(event) {
                        metrics.queue.inc();
                        if sender.send(reference).await.is_err() {
                            return;
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(resource = api.resource_url(), %error, "a watch failed; trying again");
                    if is_refused(&error) {
                        sleep(RELIST_AFTER).await;
                        break;
                    }
                }
            }
        }
    }
}

/// Drops who set which field: nobody asks the store for it, and as a tree it is ten times as large as all else.
fn forget_managers<K>(event: &mut Event<Meta<K>>) {
    if let Event::InitApply(object) | Event::Apply(object) | Event::Delete(object) = event {
        object.metadata.managed_fields = None;
    }
}

/// Whether a change of an object asks for anything: its status, which is ours, does not.
fn is_asked_anew(before: Option<&ObjectMeta>, now: &ObjectMeta) -> bool {
    before.is_none_or(|before| {
        (before.uid != now.uid)
            || (before.generation != now.generation)
            || (before.annotations != now.annotations)
            || (before.deletion_timestamp != now.deletion_timestamp)
    })
}

/// Whether a change is one of anything but the status, which changes all the time: for [`Watches::children`].
pub fn is_no_status<K>() -> impl FnMut(&Event<PartialObjectMeta<K>>) -> bool + Send + 'static
where
    K: Resource<DynamicType = ()>,
{
    let mut known = HashMap::new();
    move |event| match event {
        Event::Apply(child) => {
            let now = asked(&child.metadata);
            known.insert(child.metadata.uid.clone(), now) != Some(now)
        }
        Event::Delete(child) => {
            known.remove(&child.metadata.uid);
            true
        }
        Event::Init | Event::InitApply(_) | Event::InitDone => true,
    }
}

/// What people and controllers ask of an object, as far as metadata tell: everything but its status. Its hash, as
/// there is one for each child.
fn asked(child: &ObjectMeta) -> u64 {
    let mut asked = ObjectMeta {
        resource_version: None,
        ..child.clone()
    };
    if let Some(managers) = &mut asked.managed_fields {
        managers.retain(|manager| manager.subresource.is_none());
    }
    let mut hasher = DefaultHasher::new();
    // Maps are sorted by key, so that equal metadata have equal text.
    json!(asked).to_string().hash(&mut hasher);
    hasher.finish()
}

/// The object that a label of another one names.
pub fn named<K: Resource<DynamicType = ()>>(meta: &ObjectMeta, label: &str) -> Option<ObjectRef<Meta<K>>> {
    let name = meta.labels.as_ref()?.get(label)?;
    Some(ObjectRef::new(name).within(meta.namespace.as_deref()?))
}

/// Whether the server refused a watch with a plain answer: the HTTP status 410 Gone, or one over several
/// lines, which kube takes for broken events. The watcher would ask for the same resource version again and
/// again; a list makes sense of whatever it is.
fn is_refused(error: &watcher::Error) -> bool {
    use watcher::Error::{WatchFailed, WatchStartFailed};
    let (WatchStartFailed(cause) | WatchFailed(cause)) = error else {
        return false;
    };
    match cause {
        kube::Error::Api(status) => status.code == 410,
        kube::Error::SerdeError(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use api::names::LABEL_MODEL;
    use serde_json::{Value, json};

    use super::*;

    fn meta(value: Value) -> ObjectMeta {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn only_what_people_change_asks_anew() {
        let base = meta(json!({"uid": "a", "generation": 1, "resourceVersion": "1", "annotations": {"x": "1"}}));
        assert!(is_asked_anew(None, &base));
        let echo = meta(json!({"uid": "a", "generation": 1, "resourceVersion": "2", "annotations": {"x": "1"}}));
        assert!(!is_asked_anew(Some(&base), &echo));
        for changed in [
            json!({"uid": "b", "generation": 1, "annotations": {"x": "1"}}),
            json!({"uid": "a", "generation": 2, "annotations": {"x": "1"}}),
            json!({"uid": "a", "generation": 1, "annotations": {"x": "1", "atelier.dev/paused": "true"}}),
        ] {
            assert!(is_asked_anew(Some(&base), &meta(changed.clone())), "{changed}");
        }
    }

    #[test]
    fn a_status_asks_nothing() {
        let child = |version: &str, ours: &str, status: &str| {
            asked(&meta(json!({"uid": "a", "resourceVersion": version, "managedFields": [
                {"manager": "atelier", "time": ours},
                {"manager": "hpa", "subresource": "status", "time": status},
            ]})))
        };
        let base = child("1", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z");
        assert_eq!(base, child("2", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"));
        assert_ne!(base, child("3", "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"));
    }

    #[test]
    fn children_lead_to_their_owner() {
        let child = meta(json!({"namespace": "ns", "labels": {LABEL_MODEL: "m"}}));
        let reference = named::<LlmModel>(&child, LABEL_MODEL).unwrap();
        assert_eq!(
            (reference.namespace.as_deref(), reference.name.as_str()),
            (Some("ns"), "m")
        );
        assert_eq!(named::<LlmModel>(&meta(json!({"namespace": "ns"})), LABEL_MODEL), None);
    }

    #[test]
    fn an_answer_that_is_no_stream_of_events_asks_for_a_list() {
        let gone = kube::core::Status::failure("too old resource version", "Expired").with_code(410);
        let line = serde_json::from_str::<Value>("  \"kind\": \"Status\",").unwrap_err();
        for (cause, refused) in [
            (kube::Error::Api(Box::new(gone.clone())), true),
            (kube::Error::Api(Box::new(gone.with_code(500))), false),
            (kube::Error::SerdeError(line), true),
        ] {
            assert_eq!(is_refused(&watcher::Error::WatchFailed(cause)), refused);
        }
    }
}
