//! Workers are asked by the gateway and those whom `spec.route` lets in, and talk to nobody but the server of their weights
//! and the collector of traces.

use api::{
    llmmodel::{ObjectStoreSource, OciSource},
    names::{GATEWAY, LABEL_COMPONENT, OPERATOR},
};
use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
        NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use protocol::ports::{WORKER_ADMIN, WORKER_API};

use super::{Builder, adapters, engine, traces};
use crate::controllers::{
    common::gateway_api::proxies,
    llmmodel::{source::Source, version::Version},
};

const HTTPS: u16 = 443;
/// Where clouds hand workloads their credentials: the metadata server's port, and that of GKE's stand-in for it.
const METADATA: [u16; 2] = [80, 988];

/// The NetworkPolicy of a version.
pub fn build(builder: &Builder<'_>, version: &Version) -> NetworkPolicy {
    NetworkPolicy {
        metadata: builder.version_metadata(version),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(labels(builder.selector(version))),
            policy_types: Some(vec!["Ingress".into(), "Egress".into()]),
            ingress: Some(ingress(builder, version)),
            egress: egress(builder, version),
        }),
    }
}

fn ingress(builder: &Builder<'_>, version: &Version) -> Vec<NetworkPolicyIngressRule> {
    let namespace = &builder.settings.gateway_namespace;
    let rule = |from, number| NetworkPolicyIngressRule {
        from,
        ports: Some(vec![port("TCP", number)]),
    };
    let mut askers = vec![peer(namespace, GATEWAY)];
    let route = builder.wanted.route.as_ref();
    askers.extend(route.map(|asked| proxies(asked, &builder.owner.namespace)));
    let (api, metrics) = match &version.served.engine {
        None => (WORKER_API, Some(WORKER_ADMIN)),
        Some(engine) => (engine::api_port(engine), engine::metrics_port(engine)),
    };
    if metrics.is_none() {
        // It reads the metrics for autoscalers, which are at the same port.
        askers.push(peer(namespace, OPERATOR));
    }
    let asked = rule(Some(askers), api);
    // Probes and metrics: nothing secret.
    let open = metrics.map(|number| rule(None, number));
    [Some(asked), open].into_iter().flatten().collect()
}

/// A component of this installation, by its full name.
pub fn peer(namespace: &str, name: &str) -> NetworkPolicyPeer {
    let pairs = |pairs: &[(&str, &str)]| labels(pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect());
    let component = name.trim_start_matches("atelier-");
    NetworkPolicyPeer {
        namespace_selector: Some(pairs(&[("kubernetes.io/metadata.name", namespace)])),
        pod_selector: Some(pairs(&[
            ("app.kubernetes.io/name", "atelier"),
            (LABEL_COMPONENT, component),
        ])),
        ip_block: None,
    }
}

/// Names, what the weights and the adapters are fetched from, and the collector of traces.
fn egress(builder: &Builder<'_>, version: &Version) -> Option<Vec<NetworkPolicyEgressRule>> {
    // Compressed weights are on a volume.
    let weights = version.artifact().is_none().then_some(&version.source);
    let adapters = builder.wanted.adapters.iter().map(|it| &it.source);
    let adapters = adapters.filter(|_| adapters::are_possible(builder, version));
    let mut servers: Vec<_> = weights.into_iter().chain(adapters).filter_map(server).collect();
    servers.extend(traces::endpoint(builder, version).map(|url| vec![port("TCP", url_port(url))]));
    if servers.is_empty() {
        return None;
    }
    servers.insert(0, names());
    let mut rules: Vec<NetworkPolicyEgressRule> = Vec::new();
    for ports in servers {
        let rule = rule(ports);
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    Some(rules)
}

/// The server's port, wherever it is: policies know no host names. HTTPS besides, because servers of large files
/// like to send their clients on to a store.
pub fn server(source: &Source) -> Option<Vec<NetworkPolicyPort>> {
    let url = match source {
        Source::Http(http) => http.url.as_str(),
        Source::HuggingFace(hub) => hub.endpoint.as_deref().unwrap_or("https://"),
        Source::ObjectStore(store) => return Some(object_store(store)),
        Source::Oci(oci) if oci.is_artifact() => &registry(oci),
        Source::Oci(_) | Source::PersistentVolumeClaim(_) => return None,
    };
    let asked = url_port(url);
    let mut server = vec![port("TCP", asked)];
    server.extend((asked != HTTPS).then(|| port("TCP", HTTPS)));
    Some(server)
}

/// Where the registry of an artifact answers. Tokens and files may come from elsewhere, over HTTPS.
fn registry(oci: &OciSource) -> String {
    let scheme = if oci.plain_http == Some(true) { "http" } else { "https" };
    match oci.image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) => format!("{scheme}://{host}"),
        _ => format!("{scheme}://"),
    }
}

/// An endpoint's port is in the Secret, which the operator does not read: with one every TCP port is open.
/// Without one there is no other endpoint than the cloud's own.
pub fn object_store(store: &ObjectStoreSource) -> Vec<NetworkPolicyPort> {
    if store.credentials_secret_ref.is_some() {
        return vec![NetworkPolicyPort {
            protocol: Some("TCP".into()),
            ..NetworkPolicyPort::default()
        }];
    }
    let ports = [HTTPS].into_iter().chain(METADATA);
    ports.map(|number| port("TCP", number)).collect()
}

/// Where names are asked for.
pub fn names() -> Vec<NetworkPolicyPort> {
    vec![port("UDP", 53), port("TCP", 53)]
}

/// These ports, wherever they are.
pub fn rule(ports: Vec<NetworkPolicyPort>) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule {
        ports: Some(ports),
        to: None,
    }
}

/// The port that a URL leads to.
pub fn url_port(url: &str) -> u16 {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    // The colons of an IPv6 address are inside brackets.
    let after = host.rsplit(']').next().unwrap_or_default();
    let given = after.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    given.unwrap_or(if scheme.eq_ignore_ascii_case("https") {
        HTTPS
    } else {
        80
    })
}

/// One port.
pub fn port(protocol: &str, number: u16) -> NetworkPolicyPort {
    NetworkPolicyPort {
        protocol: Some(protocol.into()),
        port: Some(IntOrString::Int(number.into())),
        end_port: None,
    }
}

/// Objects with these labels.
pub fn labels(match_labels: std::collections::BTreeMap<String, String>) -> LabelSelector {
    LabelSelector {
        match_labels: Some(match_labels),
        ..LabelSelector::default()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{registry, url_port};

    #[rstest]
    #[case("https://example.com/m.gguf", 443)]
    #[case("http://example.com", 80)]
    #[case("http://10.77.0.1:8123/m.gguf", 8123)]
    #[case("https://user:word@example.com/a:1", 443)]
    #[case("http://[fd00::1]:99/x", 99)]
    #[case("http://[fd00::1]/x", 80)]
    fn the_port_of_a_url(#[case] url: &str, #[case] port: u16) {
        assert_eq!(url_port(url), port);
    }

    #[rstest]
    #[case("r.example/m:1", false, 443)]
    #[case("r.example:5000/m:1", true, 5000)]
    #[case("r.example/m:1", true, 80)]
    #[case("team/m:1", false, 443)]
    #[case("[fd00::1]:5000/m@sha256:00", false, 5000)]
    fn the_port_of_a_registry(#[case] image: &str, #[case] plain: bool, #[case] port: u16) {
        let source = serde_json::json!({"image": image, "type": "Artifact", "plainHttp": plain});
        assert_eq!(url_port(&registry(&serde_json::from_value(source).unwrap())), port);
    }
}
