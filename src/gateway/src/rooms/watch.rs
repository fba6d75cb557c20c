//! The watches that Rooms live by: the Rooms themselves, and whatever decides who may do what.

use std::{collections::HashSet, sync::Arc};

use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::{
    Api, Client, Resource,
    api::ApiResource,
    core::PartialObjectMeta,
    runtime::{watcher, watcher::Event},
};

use super::{
    catalog::Rooms,
    room::{Room, WatchedRoom},
};
use crate::{authz::Authorizer, catalog::watch::follow};

/// Watches Rooms into `rooms` for ever. Members of a Room become Roles and RoleBindings: whatever happens to it, what was
/// decided is asked anew.
pub async fn rooms(client: Client, rooms: Arc<Rooms>, authorizer: Arc<Authorizer>) {
    let resource = ApiResource::erase::<api::Room>(&());
    let api = Api::<WatchedRoom>::all_with(client, &resource);
    let mut listed = HashSet::new();
    let apply = |event: Event<WatchedRoom>| {
        match event {
            Event::Init => {
                listed = HashSet::new();
                return;
            }
            Event::InitApply(object) => {
                let room = Room::from(object);
                listed.insert(room.key.uid.clone());
                rooms.apply(room);
                return;
            }
            Event::InitDone => rooms.retain(&std::mem::take(&mut listed)),
            Event::Apply(object) => rooms.apply(object.into()),
            Event::Delete(object) => rooms.remove(&object.into()),
        }
        authorizer.forget_rooms();
    };
    follow(api, watcher::Config::default(), apply).await;
}

/// Watches Roles and their bindings for ever. Any change may change what somebody may do.
pub async fn rbac(client: Client, authorizer: Arc<Authorizer>) {
    tokio::join!(
        rights::<Role>(client.clone(), &authorizer),
        rights::<RoleBinding>(client.clone(), &authorizer),
        rights::<ClusterRole>(client.clone(), &authorizer),
        rights::<ClusterRoleBinding>(client, &authorizer),
    );
}

/// Nothing of the objects is kept.
async fn rights<K>(client: Client, authorizer: &Authorizer)
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Send + 'static,
    PartialObjectMeta<K>: Resource<DynamicType = ()>,
{
    let api = Api::<PartialObjectMeta<K>>::all(client);
    let apply = |event: Event<PartialObjectMeta<K>>| match event {
        Event::Init | Event::InitApply(_) => {}
        // Also when all was listed anew: nobody knows what was missed.
        Event::InitDone | Event::Apply(_) | Event::Delete(_) => authorizer.forget_rooms(),
    };
    follow(api, watcher::Config::default(), apply).await;
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, time::Duration};

    use axum::{
        body::Body,
        http::{Request, Response},
    };
    use bytes::Bytes;
    use futures::stream;
    use serde_json::{Value, json};
    use tokio::sync::mpsc;

    use super::*;
    use crate::{
        identity::Identity,
        metrics::Metrics,
        review::{Access, Resource as Reviewed},
        testing::ScriptedReviewer,
    };

    /// An API server with these objects, whose watches tell what the test sends.
    fn serving(items: Vec<Value>, events: mpsc::Receiver<Value>) -> Client {
        let events = Arc::new(std::sync::Mutex::new(Some(events)));
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let watches = request.uri().query().unwrap_or_default().contains("watch=true");
            let events = watches.then(|| events.lock().unwrap().take()).flatten();
            let body = match (watches, events) {
                (false, _) => {
                    let list = json!({
                        "apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "5"}, "items": items,
                    });
                    Body::from(list.to_string())
                }
                (true, Some(events)) => Body::from_stream(stream::unfold(events, |mut events| async move {
                    let event: Value = events.recv().await?;
                    Some((Ok::<_, Infallible>(Bytes::from(format!("{event}\n"))), events))
                })),
                (true, None) => Body::from_stream(stream::pending::<Result<Bytes, Infallible>>()),
            };
            std::future::ready(Ok::<_, Infallible>(Response::new(body)))
        });
        Client::new(service, "default")
    }

    struct Asked {
        reviewer: Arc<ScriptedReviewer>,
        authorizer: Arc<Authorizer>,
    }

    impl Asked {
        fn new() -> Self {
            let reviewer = Arc::new(ScriptedReviewer::default());
            reviewer.allow_in("jane", "search", "ns", "hr");
            let authorizer = Authorizer::new(reviewer.clone(), Metrics::default().cache_lookups.clone());
            Self {
                reviewer,
                authorizer: Arc::new(authorizer),
            }
        }

        async fn allowed(&self) -> bool {
            let jane = Identity::new("jane".into(), String::new(), Vec::new(), Default::default());
            let access = Access {
                resource: Reviewed::Rooms,
                verb: "search",
                namespace: "ns".into(),
                name: "hr".into(),
            };
            self.authorizer.decide(&jane, access).await.unwrap().allowed
        }

        /// Fails when nobody flushes, for the clock is paused: nothing else makes a decision old.
        async fn until_forbidden(&self) {
            for _ in 0..1000 {
                if !self.allowed().await {
                    return;
                }
                tokio::task::yield_now().await;
            }
            panic!("what was decided is not forgotten");
        }
    }

    fn object(kind: &str, name: &str) -> Value {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
            "metadata": {"name": name, "namespace": "ns", "uid": name, "resourceVersion": "6"},
            "rules": [], "roleRef": {"apiGroup": "", "kind": "Role", "name": "r"},
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_binding_that_goes_is_heard_of_at_once() {
        let asked = Asked::new();
        let (events, told) = mpsc::channel(8);
        let client = serving(vec![object("RoleBinding", "readers")], told);
        let authorizer = asked.authorizer.clone();
        let watching = tokio::spawn(async move { rights::<RoleBinding>(client, &authorizer).await });
        assert!(asked.allowed().await);
        asked.reviewer.revoke("jane");
        events
            .send(json!({"type": "DELETED", "object": object("RoleBinding", "readers")}))
            .await
            .unwrap();
        asked.until_forbidden().await;
        watching.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn rooms_come_and_go_and_are_complete_after_the_first_list() {
        let asked = Asked::new();
        let (events, told) = mpsc::channel(8);
        let room =
            |name: &str| serde_json::to_value(super::super::room::testing::watched(name, name, json!({}))).unwrap();
        let client = serving(vec![room("hr")], told);
        let catalog = Arc::new(Rooms::default());
        let watching = tokio::spawn(rooms(client, catalog.clone(), asked.authorizer.clone()));
        let mut changes = catalog.subscribe();
        while !catalog.is_complete() {
            changes.changed().await.unwrap();
        }
        assert!(catalog.get("ns", "hr").is_some());
        assert!(asked.allowed().await);
        asked.reviewer.revoke("jane");
        events
            .send(json!({"type": "ADDED", "object": room("law")}))
            .await
            .unwrap();
        events
            .send(json!({"type": "DELETED", "object": room("hr")}))
            .await
            .unwrap();
        while catalog.get("ns", "hr").is_some() {
            tokio::time::timeout(Duration::from_secs(60), changes.changed())
                .await
                .unwrap()
                .unwrap();
        }
        assert!(catalog.get("ns", "law").is_some());
        asked.until_forbidden().await;
        watching.abort();
    }
}
