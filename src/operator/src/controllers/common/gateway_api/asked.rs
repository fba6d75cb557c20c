//! What a `spec.route` asks for, beyond what the schema can say.

use api::common::{GatewayApiRoute, ParentRef};
use k8s_openapi::{
    api::networking::v1::NetworkPolicyPeer,
    apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement},
};

use crate::http_route::ParentReference;

/// The fault, with its field and what to do; who asks is in `namespace`.
pub fn fault(asked: &GatewayApiRoute, namespace: &str) -> Option<String> {
    let parents = &asked.parent_refs;
    let gateway = |it: &ParentRef| (namespace_of(it, namespace).to_owned(), it.name.clone());
    let clash = |it: &ParentRef| {
        let same = |other: &&ParentRef| gateway(other) == gateway(it);
        let mut others = parents.iter().filter(same);
        let several = others.clone().count() > 1;
        let is_same_listener = others
            .clone()
            .filter(|other| other.section_name == it.section_name)
            .count()
            > 1;
        several && (is_same_listener || others.any(|other| other.section_name.is_none()))
    };
    let (namespace, name) = parents.iter().find(|it| clash(it)).map(gateway)?;
    Some(format!(
        "spec.route.gatewayApi.parentRefs names Gateway {namespace}/{name} more than once: give each of them a \
         sectionName of its own, or name it once"
    ))
}

/// Namespaces whose pods may reach workers in `namespace`.
fn allowed_namespaces(asked: &GatewayApiRoute, namespace: &str) -> Vec<String> {
    let mut allowed = asked.allowed_namespaces.clone();
    if allowed.is_empty() {
        let parents = asked.parent_refs.iter();
        allowed = parents.map(|it| namespace_of(it, namespace).to_owned()).collect();
    }
    allowed.sort();
    allowed.dedup();
    allowed
}

/// The pods that may reach workers in `namespace`: those where proxies of Gateways run.
pub fn proxies(asked: &GatewayApiRoute, namespace: &str) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector {
            match_expressions: Some(vec![LabelSelectorRequirement {
                key: "kubernetes.io/metadata.name".into(),
                operator: "In".into(),
                values: Some(allowed_namespaces(asked, namespace)),
            }]),
            ..LabelSelector::default()
        }),
        ..NetworkPolicyPeer::default()
    }
}

/// The Gateways, as an HTTPRoute names them.
pub fn parents(asked: &GatewayApiRoute) -> Vec<ParentReference> {
    let parent = |asked: &ParentRef| ParentReference {
        name: asked.name.clone(),
        namespace: asked.namespace.clone(),
        section_name: asked.section_name.clone(),
    };
    asked.parent_refs.iter().map(parent).collect()
}

/// The namespace of a Gateway that somebody in `own` names.
pub fn namespace_of<'a>(parent: &'a ParentRef, own: &'a str) -> &'a str {
    parent.namespace.as_deref().unwrap_or(own)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[rstest]
    #[case(json!([{"name": "a"}, {"name": "b"}]), true)]
    #[case(json!([{"name": "a"}, {"name": "a", "namespace": "other"}]), true)]
    #[case(json!([{"name": "a", "sectionName": "x"}, {"name": "a", "namespace": "ns", "sectionName": "y"}]), true)]
    #[case(json!([{"name": "a"}, {"name": "a", "namespace": "ns"}]), false)]
    #[case(json!([{"name": "a", "sectionName": "x"}, {"name": "a"}]), false)]
    #[case(json!([{"name": "a", "sectionName": "x"}, {"name": "a", "namespace": "ns", "sectionName": "x"}]), false)]
    fn a_gateway_is_named_once_for_each_listener(#[case] parents: Value, #[case] fine: bool) {
        let asked = serde_json::from_value(json!({"parentRefs": parents})).unwrap();
        let fault = fault(&asked, "ns");
        assert_eq!(fault.is_none(), fine, "{fault:?}");
        assert!(fault.is_none_or(|it| it.contains("spec.route.gatewayApi.parentRefs names Gateway ns/a")));
    }

    #[rstest]
    #[case(json!({"parentRefs": [{"name": "a"}, {"name": "b", "namespace": "edge"}, {"name": "c"}]}), &["edge", "ns"])]
    #[case(json!({"parentRefs": [{"name": "a"}], "allowedNamespaces": ["proxies"]}), &["proxies"])]
    fn proxies_are_where_gateways_are_unless_the_spec_says_more(#[case] asked: Value, #[case] expected: &[&str]) {
        let asked: GatewayApiRoute = serde_json::from_value(asked).unwrap();
        assert_eq!(allowed_namespaces(&asked, "ns"), expected);
    }
}
