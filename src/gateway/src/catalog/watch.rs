//! The watches that feed the catalog.
//!
//! They outlive any trouble with the API server: until it is back, the last known state stands.

use std::{collections::HashSet, fmt::Debug, sync::Arc, time::Duration};

use api::names::{LABEL_MANAGED_BY, LABEL_MODEL, LABEL_VERSION, MANAGED_BY};
use futures::StreamExt;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{
    Api, Client, Resource,
    api::ApiResource,
    runtime::{
        WatchStreamExt,
        utils::Backoff,
        watcher,
        watcher::{DefaultBackoff, Event},
    },
};
use serde::de::DeserializeOwned;
use tokio::{sync::watch, time::sleep};

use super::{Catalog, Model, endpoints::slice_key, watched::WatchedModel};

/// The API server ends a watch after this many seconds and we start it anew. Short, because a dead
/// connection (a server that vanished without a goodbye) is only noticed then.
const WATCH_SECONDS: u32 = 60;
/// Before a watch is started over.
const RESTART_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause between tries to reach the API server: workers move while it restarts.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Whatever is read from the API server must move within this time: longer than a watch lasts.
pub const READ_TIMEOUT: Duration = Duration::from_secs(75);

/// Which watches have delivered their first full list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Synced {
    /// The LlmModels are known.
    pub models: bool,
    /// The EndpointSlices are known.
    pub endpoints: bool,
}

impl Synced {
    /// Whether the catalog may be used.
    pub fn all(self) -> bool {
        self.models && self.endpoints
    }
}

/// Watches LlmModels into `catalog` for ever. `removed` hears of each that goes.
pub async fn models(client: Client, catalog: Arc<Catalog>, synced: watch::Sender<Synced>, removed: impl Fn(&Model)) {
    let resource = ApiResource::erase::<api::LlmModel>(&());
    let api = Api::<WatchedModel>::all_with(client, &resource);
    let mut listed = HashSet::new();
    let apply = |event: Event<WatchedModel>| match event {
        Event::Init => listed = HashSet::new(),
        Event::InitApply(object) => {
            let model = Model::from(object);
            listed.insert((model.namespace.clone(), model.name.clone()));
            catalog.apply_model(model);
        }
        Event::InitDone => {
            let known = std::mem::take(&mut listed);
            let is_known = |model: &Model| known.contains(&(model.namespace.clone(), model.name.clone()));
            for gone in catalog.retain_models(is_known) {
                removed(&gone);
            }
            synced.send_modify(|synced| synced.models = true);
        }
        Event::Apply(object) => catalog.apply_model(object.into()),
        Event::Delete(object) => {
            let model = Model::from(object);
            catalog.remove_model(&model.namespace, &model.name);
            removed(&model);
        }
    };
    follow(api, watcher::Config::default(), apply).await;
}

/// Watches the EndpointSlices of our workers into `catalog` for ever.
pub async fn endpoints(client: Client, catalog: Arc<Catalog>, synced: watch::Sender<Synced>) {
    let api = Api::<EndpointSlice>::all(client);
    let ours = watcher::Config::default().labels(&endpoint_selector());
    let mut listed = HashSet::new();
    let apply = |event: Event<EndpointSlice>| match event {
        Event::Init => listed = HashSet::new(),
        Event::InitApply(slice) => {
            listed.insert(slice_key(&slice));
            catalog.apply_slice(&slice);
        }
        Event::InitDone => {
            let known = std::mem::take(&mut listed);
            catalog.retain_slices(|key| known.contains(key));
            synced.send_modify(|synced| synced.endpoints = true);
        }
        Event::Apply(slice) => catalog.apply_slice(&slice),
        Event::Delete(slice) => catalog.remove_slice(&slice_key(&slice)),
    };
    follow(api, ours, apply).await;
}

/// Feeds `apply` with the events of a watch, starting again where the watcher itself would not.
pub(crate) async fn follow<K>(api: Api<K>, config: watcher::Config, mut apply: impl FnMut(Event<K>))
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    K::DynamicType: Clone,
{
    let config = config.any_semantic().timeout(WATCH_SECONDS);
    loop {
        let mut events = watcher(api.clone(), config.clone()).backoff(Pauses::default()).boxed();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => apply(event),
                Err(error) => {
                    tracing::warn!(resource = api.resource_url(), %error, "a watch failed; the last known state stands");
                    if is_expired(&error) {
                        sleep(RESTART_PAUSE).await;
                        break;
                    }
                }
            }
        }
    }
}

/// kube's usual pauses, up to [`LONGEST_PAUSE`].
#[derive(Default)]
struct Pauses(DefaultBackoff);

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0.next().map(|pause| pause.min(LONGEST_PAUSE))
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.0.reset();
    }
}

/// The EndpointSlices of our Services, which hand their labels on.
fn endpoint_selector() -> String {
    format!("{LABEL_MANAGED_BY}={MANAGED_BY},{LABEL_MODEL},{LABEL_VERSION}")
}

/// Whether the server answered a watch with the HTTP status 410 Gone: the watcher, which only knows
/// 410 as an event, would ask for the same resource version again and again.
fn is_expired(error: &watcher::Error) -> bool {
    use watcher::Error::{WatchFailed, WatchStartFailed};
    matches!(error, WatchStartFailed(kube::Error::Api(status)) | WatchFailed(kube::Error::Api(status)) if status.code == 410)
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, convert::Infallible, sync::Mutex};

    use axum::{
        body::Body,
        http::{Request, Response, StatusCode},
    };
    use futures::stream;
    use serde_json::{Value, json};
    use tokio::task::JoinHandle;

    use super::*;

    /// Answers lists and watches in the order of the script, then keeps a watch open without events.
    fn scripted(script: impl IntoIterator<Item = (&'static str, StatusCode, Value)>) -> Client {
        let script = Arc::new(Mutex::new(script.into_iter().collect::<VecDeque<_>>()));
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let watches = request.uri().query().unwrap_or_default().contains("watch=true");
            let asked = if watches { "watch" } else { "list" };
            let (status, body) = match script.lock().unwrap().pop_front() {
                Some((expected, status, answer)) => {
                    assert_eq!(asked, expected, "{}", request.uri());
                    (status, Body::from(format!("{answer}\n")))
                }
                None => (
                    StatusCode::OK,
                    Body::from_stream(stream::pending::<Result<String, Infallible>>()),
                ),
            };
            let mut response = Response::new(body);
            *response.status_mut() = status;
            std::future::ready(Ok::<_, Infallible>(response))
        });
        Client::new(service, "default")
    }

    fn object(name: &str) -> Value {
        json!({
            "apiVersion": "atelier.dev/v1alpha1", "kind": "LlmModel", "spec": {},
            "metadata": {"name": name, "namespace": "ns", "resourceVersion": "5"},
        })
    }

    fn list(names: &[&str]) -> (&'static str, StatusCode, Value) {
        let items: Vec<_> = names.iter().map(|name| object(name)).collect();
        let metadata = json!({"resourceVersion": "5"});
        let list =
            json!({"apiVersion": "atelier.dev/v1alpha1", "kind": "LlmModelList", "metadata": metadata, "items": items});
        ("list", StatusCode::OK, list)
    }

    fn failure(asked: &'static str, code: u16) -> (&'static str, StatusCode, Value) {
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "X", "message": "x", "code": code});
        (asked, StatusCode::from_u16(code).unwrap(), status)
    }

    struct Watched {
        catalog: Arc<Catalog>,
        synced: watch::Receiver<Synced>,
        removed: Arc<Mutex<Vec<String>>>,
        watching: JoinHandle<()>,
    }

    fn watched(client: Client) -> Watched {
        let catalog = Arc::new(Catalog::default());
        let (sender, synced) = watch::channel(Synced::default());
        let removed = Arc::new(Mutex::new(Vec::new()));
        let note = {
            let removed = removed.clone();
            move |gone: &Model| removed.lock().unwrap().push(gone.qualified())
        };
        let watching = tokio::spawn(models(client, catalog.clone(), sender, note));
        Watched {
            catalog,
            synced,
            removed,
            watching,
        }
    }

    impl Watched {
        async fn until(&self, names: &[&str]) {
            let mut changes = self.catalog.subscribe();
            while self.catalog.models().iter().map(|m| m.name.clone()).collect::<Vec<_>>() != names {
                changes.changed().await.unwrap();
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_and_events_are_followed() {
        let event = |kind: &str, name| ("watch", StatusCode::OK, json!({"type": kind, "object": object(name)}));
        let script = [list(&["a", "b"]), event("ADDED", "c"), event("DELETED", "a")];
        let mut watched = watched(scripted(script));
        assert!(watched.synced.wait_for(|synced| synced.models).await.is_ok());
        watched.until(&["b", "c"]).await;
        assert_eq!(*watched.removed.lock().unwrap(), ["ns/a"]);
        watched.watching.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn an_expired_resource_version_makes_it_list_again_and_notice_what_is_gone() {
        let script = [list(&["a", "b"]), failure("watch", 410), list(&["b"])];
        let watched = watched(scripted(script));
        watched.until(&["b"]).await;
        assert_eq!(*watched.removed.lock().unwrap(), ["ns/a"]);
        watched.watching.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_keeps_what_is_known_and_ends() {
        let news = json!({"type": "MODIFIED", "object": object("b")});
        let script = [
            failure("list", 503),
            failure("list", 500),
            list(&["a"]),
            failure("watch", 503),
            failure("watch", 500),
            ("watch", StatusCode::OK, news),
        ];
        let mut watched = watched(scripted(script));
        assert!(watched.synced.wait_for(|synced| synced.models).await.is_ok());
        watched.until(&["a", "b"]).await;
        assert!(watched.removed.lock().unwrap().is_empty());
        watched.watching.abort();
    }

    #[test]
    fn only_our_endpoint_slices_are_watched() {
        assert_eq!(
            endpoint_selector(),
            "app.kubernetes.io/managed-by=atelier,atelier.dev/model,atelier.dev/version"
        );
    }
}
