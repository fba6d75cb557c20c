use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::controllers::common::gateway_api::Routes;
use crate::controllers::llmmodel::{
    dereference::Observed,
    plan::{Plan, Target},
    testing::{model, settings, the_owner},
    trouble::Trouble,
};

/// The finding about a model whose route is at two Gateways.
fn found(routes: Routes, is_asked: bool) -> Option<(String, String, String)> {
    let parents = json!([{"name": "public"}, {"name": "inner", "namespace": "edge", "sectionName": "https"}]);
    let spec = match is_asked {
        true => json!({"route": {"gatewayApi": {"parentRefs": parents}}}),
        false => json!({}),
    };
    let observed = Observed {
        routes,
        ..Observed::default()
    };
    let facts = Facts {
        model: &model(spec),
        owner: &the_owner(),
        settings: &settings(),
        observed: &observed,
        plan: &Plan::nothing(Target::Preparing(None)),
        compression: None,
        suites: &[],
        trouble: None,
        current_trouble: None,
    };
    let Finding {
        status,
        reason,
        message,
        ..
    } = finding(&facts)?;
    Some((status.as_str().into(), reason, message))
}

fn routes(parents: Value) -> Routes {
    let metadata = json!({"name": "m", "namespace": "ns", "generation": 3});
    let route = json!({"metadata": metadata, "spec": {}, "status": {"parents": parents}});
    Routes {
        found: vec![serde_json::from_value(route).unwrap()],
        trouble: None,
    }
}

fn condition(type_: &str, status: &str, generation: i64) -> Value {
    json!({
        "type": type_, "status": status, "reason": "NotAllowedByListeners", "message": "no listener allows ns.",
        "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z",
    })
}

/// What controllers say of the first Gateway, by these conditions; the second one accepts the route.
fn first_says(conditions: Value) -> Value {
    let second = json!({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "inner", "namespace": "edge", "sectionName": "https"});
    let others = json!({"name": "public", "namespace": "other"});
    json!([
        {"parentRef": {"name": "public", "namespace": "ns"}, "controllerName": "a/b", "conditions": conditions},
        {"parentRef": second, "controllerName": "a/b", "conditions": [condition("Accepted", "True", 3)]},
        // Another Gateway, which the spec does not name any more.
        {"parentRef": others, "controllerName": "a/b", "conditions": [condition("Accepted", "False", 3)]},
    ])
}

#[rstest]
#[case::accepted(first_says(json!([condition("Accepted", "True", 3), condition("ResolvedRefs", "True", 3)])), "True", "RouteAccepted", "every Gateway")]
#[case::refused(first_says(json!([condition("Accepted", "False", 3)])), "False", "RouteRefused",
    "Gateway ns/public does not take HTTPRoute m (NotAllowedByListeners): no listener allows ns. Change spec.route.gatewayApi")]
#[case::unresolved(first_says(json!([condition("Accepted", "True", 3), condition("ResolvedRefs", "False", 3)])), "False", "RouteRefused", "spec.route")]
#[case::of_before(first_says(json!([condition("Accepted", "False", 2)])), "Unknown", "RoutePending", "Gateway ns/public has not looked")]
#[case::accepted_before(first_says(json!([condition("Accepted", "True", 2)])), "Unknown", "RoutePending", "has not looked")]
#[case::silent(json!([]), "Unknown", "RoutePending", "listener https of Gateway edge/inner")]
fn what_gateways_say_is_told(#[case] parents: Value, #[case] status: &str, #[case] reason: &str, #[case] words: &str) {
    let (found_status, found_reason, message) = found(routes(parents), true).unwrap();
    assert_eq!(
        (found_status.as_str(), found_reason.as_str()),
        (status, reason),
        "{message}"
    );
    assert!(message.contains(words), "{message}");
}

#[test]
fn a_route_that_is_not_there_is_told_as_long_as_it_matters() {
    let (status, _, message) = found(Routes::default(), true).unwrap();
    assert_eq!(status, "Unknown", "{message}");
    let trouble = Trouble::new(reasons::GATEWAY_API_MISSING, "spec.route.gatewayApi: install it");
    let missing = Routes {
        trouble: Some(trouble),
        ..Routes::default()
    };
    let (status, reason, _) = found(missing, true).unwrap();
    assert_eq!((status.as_str(), reason.as_str()), ("False", "GatewayApiMissing"));
    // The condition goes with the route, not with the field: until then it is looked for.
    assert!(found(routes(json!([])), false).unwrap().2.contains("being deleted"));
    assert_eq!(found(Routes::default(), false), None);
}
