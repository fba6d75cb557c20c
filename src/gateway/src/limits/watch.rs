//! Which replicas there are: the pods behind the gateway's own Service.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{
    Api, Client, ResourceExt,
    runtime::watcher::{self, Event},
};
use prometheus::IntGauge;

use super::peers::Peers;
use crate::catalog::watch::follow;

/// Tells `peers` of the replicas behind a Service, for ever, and `replicas` of their number.
pub async fn watch(client: Client, namespace: String, service: String, peers: Arc<Peers>, replicas: IntGauge) {
    let api = Api::<EndpointSlice>::namespaced(client, &namespace);
    let slices = watcher::Config::default().labels(&format!("kubernetes.io/service-name={service}"));
    let (mut known, mut listed) = (HashMap::new(), HashMap::new());
    let apply = |event: Event<EndpointSlice>| {
        match event {
            Event::Init => listed = HashMap::new(),
            Event::InitApply(slice) => {
                listed.insert(slice.name_any(), addresses(&slice));
                return;
            }
            Event::InitDone => known = std::mem::take(&mut listed),
            Event::Apply(slice) => {
                known.insert(slice.name_any(), addresses(&slice));
            }
            Event::Delete(slice) => {
                known.remove(&slice.name_any());
            }
        }
        peers.set(known.values().flatten().copied());
        replicas.set(peers.replicas().into());
    };
    follow(api, slices, apply).await;
}

/// The addresses of those that are ready; one that stops is not.
fn addresses(slice: &EndpointSlice) -> Vec<IpAddr> {
    let ready = slice.endpoints.iter().flatten().filter(|endpoint| {
        let conditions = endpoint.conditions.as_ref();
        conditions.and_then(|it| it.ready).unwrap_or(true)
    });
    ready
        .flat_map(|endpoint| &endpoint.addresses)
        .filter_map(|address| address.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn replicas_that_stop_do_not_count() {
        let slice = serde_json::from_value(json!({
            "addressType": "IPv4",
            "endpoints": [
                {"addresses": ["10.0.0.1"], "conditions": {"ready": true}},
                {"addresses": ["10.0.0.2"], "conditions": {"ready": false, "serving": true, "terminating": true}},
                {"addresses": ["10.0.0.3"]},
            ],
        }));
        assert_eq!(
            addresses(&slice.unwrap()),
            [[10, 0, 0, 1], [10, 0, 0, 3]].map(IpAddr::from)
        );
    }
}
