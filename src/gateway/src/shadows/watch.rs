//! The watches that mirroring lives by: ShadowDeployments, and the Lease of the operator.

use std::{collections::HashSet, sync::Arc};

use api::names;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, Client,
    api::ApiResource,
    runtime::{watcher, watcher::Event},
};

use super::{Service, Shadow, WatchedShadow};
use crate::catalog::watch::follow;

/// Watches ShadowDeployments into `service` for ever.
pub async fn shadows(client: Client, service: Arc<Service>) {
    let resource = ApiResource::erase::<api::ShadowDeployment>(&());
    let api = Api::<WatchedShadow>::all_with(client, &resource);
    let mut listed = HashSet::new();
    let apply = |event: Event<WatchedShadow>| match event {
        Event::Init => listed = HashSet::new(),
        Event::InitApply(object) => {
            let shadow = Shadow::from(object);
            listed.insert(shadow.key.uid.clone());
            service.apply(shadow);
        }
        Event::InitDone => service.catalog.retain(&std::mem::take(&mut listed)),
        Event::Apply(object) => service.apply(object.into()),
        Event::Delete(object) => service.catalog.remove(&Shadow::from(object).key),
    };
    follow(api, watcher::Config::default(), apply).await;
}

/// Watches the Lease of the operator in `namespace` for ever.
pub async fn lease(client: Client, namespace: String, service: Arc<Service>) {
    let api = Api::<Lease>::namespaced(client, &namespace);
    // By its name, which is all that the gateway may look at.
    let one = watcher::Config::default().fields(&format!("metadata.name={}", names::LEASE));
    let mut is_there = false;
    let apply = |event: Event<Lease>| match event {
        Event::Init => is_there = false,
        Event::InitApply(lease) => {
            is_there = true;
            service.alive.see(&lease);
        }
        Event::InitDone if !is_there => service.alive.gone(),
        Event::InitDone => {}
        Event::Apply(lease) => service.alive.see(&lease),
        Event::Delete(_) => service.alive.gone(),
    };
    follow(api, one, apply).await;
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::{
        body::Body,
        http::{Request, Response},
    };
    use bytes::Bytes;
    use futures::stream;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        shadows::spec::testing::spec,
        testing::{TestGateway, VERSION},
    };

    /// An API server with one object, whose watches stay silent. Asks for the path and the query that it expects.
    fn serving(path: &'static str, query: &'static str, item: Value) -> Client {
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let asked = request.uri().query().unwrap_or_default().to_owned();
            assert_eq!(request.uri().path(), path);
            assert!(asked.contains(query), "{asked}");
            let body = match asked.contains("watch=true") {
                true => Body::from_stream(stream::pending::<Result<Bytes, Infallible>>()),
                false => {
                    let metadata = json!({"resourceVersion": "5"});
                    Body::from(
                        json!({"apiVersion": "v1", "kind": "List", "metadata": metadata, "items": [item]}).to_string(),
                    )
                }
            };
            std::future::ready(Ok::<_, Infallible>(Response::new(body)))
        });
        Client::new(service, "default")
    }

    async fn until(is_so: impl Fn() -> bool) {
        for _ in 0..10_000 {
            if is_so() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("it does not come to this");
    }

    /// Mirrors where it is told of a database that is not there: nothing is asked of it.
    async fn gateway() -> (TestGateway, tempfile::NamedTempFile) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "postgres://nobody@127.0.0.1:1/none").unwrap();
        let database = store::Database::of_file(file.path().into()).unwrap();
        let gateway = TestGateway::start(&[], |timing| timing.database = Some(database)).await;
        (gateway, file)
    }

    #[tokio::test]
    async fn shadows_and_the_lease_are_heard_of() {
        let (gateway, _file) = gateway().await;
        let service = gateway.gateway.shadows().clone();
        let shadow = json!({
            "apiVersion": "atelier.dev/v1alpha1", "kind": "ShadowDeployment", "spec": spec(VERSION),
            "metadata": {"name": "s", "namespace": "ns", "uid": "u", "resourceVersion": "5"},
        });
        let client = serving("/apis/atelier.dev/v1alpha1/shadowdeployments", "", shadow);
        let watching = tokio::spawn(shadows(client, service.clone()));
        until(|| service.catalog.is_complete()).await;
        assert!(service.catalog.has("u") && service.catalog.of("ns", "m").is_some());
        assert!(!service.alive.holds());
        let renewed = json!({"holderIdentity": "one", "renewTime": "2026-01-01T00:00:00.000000Z"});
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": renewed,
            "metadata": {"name": "atelier-operator", "namespace": "atelier", "uid": "l", "resourceVersion": "5"},
        });
        let path = "/apis/coordination.k8s.io/v1/namespaces/atelier/leases";
        let client = serving(path, "fieldSelector=metadata.name%3Datelier-operator", lease);
        let leasing = tokio::spawn(super::lease(client, "atelier".into(), service.clone()));
        until(|| service.alive.holds()).await;
        watching.abort();
        leasing.abort();
    }
}
