//! Nobody talks to the pods that read sources; they talk to the gateway, and to the servers of the sources.

use api::{
    names::{COMPONENT_INGEST, GATEWAY, LABEL_COMPONENT, LABEL_ROOM, room_ingest},
    room::RoomSource,
};
use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyPort, NetworkPolicySpec};
use protocol::ports::GATEWAY_API;

use super::{Builder, metadata};
use crate::controllers::llmmodel::build::network_policy::{labels, names, object_store, peer, port, rule, url_port};

/// The policy.
pub fn build(builder: &Builder<'_>) -> NetworkPolicy {
    let owner = builder.owner;
    let gateway = NetworkPolicyEgressRule {
        ports: Some(vec![port("TCP", GATEWAY_API)]),
        to: Some(vec![peer(&builder.settings.common.gateway_namespace, GATEWAY)]),
    };
    let mut egress = vec![rule(names()), gateway];
    for ports in builder.wanted.spec.sources.iter().filter_map(server) {
        let rule = rule(ports);
        if !egress.contains(&rule) {
            egress.push(rule);
        }
    }
    let pods = [(LABEL_ROOM, owner.name.as_str()), (LABEL_COMPONENT, COMPONENT_INGEST)];
    NetworkPolicy {
        metadata: metadata(owner, room_ingest(&owner.name), COMPONENT_INGEST),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(labels(
                pods.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            )),
            policy_types: Some(vec!["Ingress".into(), "Egress".into()]),
            ingress: None,
            egress: Some(egress),
        }),
    }
}

/// Where a source is asked for: ports, wherever they are, as policies know no host names.
fn server(source: &RoomSource) -> Option<Vec<NetworkPolicyPort>> {
    if let Some(http) = &source.http {
        // Servers like to send their clients on to HTTPS.
        let mut asked: Vec<u16> = http.urls.iter().map(|url| url_port(url)).chain([443]).collect();
        asked.sort_unstable();
        asked.dedup();
        return Some(asked.into_iter().map(|number| port("TCP", number)).collect());
    }
    source.object_store.as_ref().map(object_store)
}
