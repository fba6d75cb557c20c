//! Nobody talks to the pods of a training but those of their own group, and whoever collects metrics; they talk to the
//! former, and to the servers of their data or weights.

use api::{
    finetunejob::DatasetSource,
    names::{COMPONENT_DATA, COMPONENT_TRAIN, data_job, train_job},
};
use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use protocol::ports::{TRAIN_RING, WORKER_ADMIN};

use super::Builder;
use crate::controllers::llmmodel::{
    build::network_policy::{labels, names, object_store, port, rule, server, url_port},
    version::Version,
};

/// The policy of pods that read data.
pub fn data(builder: &Builder<'_>) -> NetworkPolicy {
    let mut egress = Vec::new();
    for ports in builder.wanted.spec.dataset.sources.iter().filter_map(data_server) {
        let rule = rule(ports);
        if !egress.contains(&rule) {
            egress.push(rule);
        }
    }
    policy(
        builder,
        data_job(&builder.owner.name),
        COMPONENT_DATA,
        Vec::new(),
        egress,
    )
}

/// The policy of pods that train.
pub fn train(builder: &Builder<'_>, base: &Version) -> NetworkPolicy {
    let mut egress: Vec<_> = server(&base.source).map(rule).into_iter().collect();
    // Metrics: nothing secret.
    let mut ingress = vec![NetworkPolicyIngressRule {
        from: None,
        ports: Some(vec![port("TCP", WORKER_ADMIN)]),
    }];
    if builder.wanted.members > 1 {
        let peers = || {
            Some(vec![NetworkPolicyPeer {
                pod_selector: Some(labels(builder.selector(COMPONENT_TRAIN))),
                ..NetworkPolicyPeer::default()
            }])
        };
        let ports = || Some(vec![port("TCP", TRAIN_RING)]);
        ingress.push(NetworkPolicyIngressRule {
            from: peers(),
            ports: ports(),
        });
        egress.push(NetworkPolicyEgressRule {
            ports: ports(),
            to: peers(),
        });
    }
    policy(
        builder,
        train_job(&builder.owner.name),
        COMPONENT_TRAIN,
        ingress,
        egress,
    )
}

fn policy(
    builder: &Builder<'_>,
    name: String,
    component: &str,
    ingress: Vec<NetworkPolicyIngressRule>,
    mut egress: Vec<NetworkPolicyEgressRule>,
) -> NetworkPolicy {
    if !egress.is_empty() {
        egress.insert(0, rule(names()));
    }
    NetworkPolicy {
        metadata: builder.metadata(name, component),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(labels(builder.selector(component))),
            policy_types: Some(vec!["Ingress".into(), "Egress".into()]),
            ingress: (!ingress.is_empty()).then_some(ingress),
            egress: (!egress.is_empty()).then_some(egress),
        }),
    }
}

/// Where the data are asked for. A database's port is in a Secret, which the operator does not read: every TCP port is
/// open for it.
fn data_server(source: &DatasetSource) -> Option<Vec<NetworkPolicyPort>> {
    if let Some(http) = &source.http {
        // Servers of large files like to send their clients on to a store.
        let asked = url_port(&http.url);
        let mut ports = vec![port("TCP", asked)];
        ports.extend((asked != 443).then(|| port("TCP", 443)));
        return Some(ports);
    }
    if let Some(store) = &source.object_store {
        return Some(object_store(store));
    }
    source.sql.as_ref().map(|_| {
        vec![NetworkPolicyPort {
            protocol: Some("TCP".into()),
            ..NetworkPolicyPort::default()
        }]
    })
}
