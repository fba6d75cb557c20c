//! Nobody talks to the pods that read sources; they talk to the gateway, and to the servers of the sources. Those that test the
//! Room talk to the gateway alone.

use api::{
    names::{COMPONENT_INGEST, COMPONENT_REDTEAM, GATEWAY, LABEL_COMPONENT, LABEL_ROOM, room_ingest, room_redteam},
    room::RoomSource,
};
use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyPort, NetworkPolicySpec};
use protocol::ports::GATEWAY_API;

use super::{Builder, metadata};
use crate::controllers::llmmodel::build::network_policy::{labels, names, object_store, peer, port, rule, url_port};

const HTTPS: u16 = 443;
const SSH: u16 = 22;

/// The policy for what reads the sources.
pub fn build(builder: &Builder<'_>) -> NetworkPolicy {
    let mut egress = to_gateway(builder);
    for ports in builder.wanted.spec.sources.iter().filter_map(server) {
        let rule = rule(ports);
        if !egress.contains(&rule) {
            egress.push(rule);
        }
    }
    policy(builder, room_ingest(&builder.owner.name), COMPONENT_INGEST, egress)
}

/// Likewise for what tests the Room.
pub fn red_team(builder: &Builder<'_>) -> NetworkPolicy {
    let name = room_redteam(&builder.owner.name);
    policy(builder, name, COMPONENT_REDTEAM, to_gateway(builder))
}

fn to_gateway(builder: &Builder<'_>) -> Vec<NetworkPolicyEgressRule> {
    let gateway = NetworkPolicyEgressRule {
        ports: Some(vec![port("TCP", GATEWAY_API)]),
        to: Some(vec![peer(&builder.settings.common.gateway_namespace, GATEWAY)]),
    };
    vec![rule(names()), gateway]
}

fn policy(builder: &Builder<'_>, name: String, component: &str, egress: Vec<NetworkPolicyEgressRule>) -> NetworkPolicy {
    let owner = builder.owner;
    let pods = [(LABEL_ROOM, owner.name.as_str()), (LABEL_COMPONENT, component)];
    NetworkPolicy {
        metadata: metadata(owner, name, component),
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
        let mut asked: Vec<u16> = http.urls.iter().map(|url| url_port(url)).chain([HTTPS]).collect();
        asked.sort_unstable();
        asked.dedup();
        return Some(asked.into_iter().map(|number| port("TCP", number)).collect());
    }
    if let Some(store) = &source.object_store {
        return Some(object_store(store));
    }
    if let Some(git) = &source.git {
        return Some(vec![port("TCP", git_port(&git.url))]);
    }
    // Databases are asked by the gateway.
    None
}

/// The port that the URL of a repository leads to.
fn git_port(url: &str) -> u16 {
    let Some(rest) = url.strip_prefix("ssh://") else {
        return url_port(url);
    };
    // One that is given is the same by whatever scheme.
    let [given, other] = ["http", "https"].map(|scheme| url_port(&format!("{scheme}://{rest}")));
    if given == other { given } else { SSH }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::git_port;

    #[rstest]
    #[case("https://git.example.com/a", 443)]
    #[case("http://git.example.com:3000/a", 3000)]
    #[case("ssh://git@git.example.com/a", 22)]
    #[case("ssh://git@git.example.com:2222/a", 2222)]
    #[case("ssh://git@git.example.com:443/a", 443)]
    fn the_port_of_a_repository(#[case] url: &str, #[case] port: u16) {
        assert_eq!(git_port(url), port);
    }
}
