//! The way in beside Atelier's gateway.

use api::reasons;

use super::*;
use crate::controllers::llmmodel::trouble::Trouble;

fn spec(system: &str, asks: bool) -> serde_json::Value {
    let mut spec = json!({
        "prompt": {"system": system},
        "rollout": {"strategy": "Canary", "canary": {"steps": [{"weight": 10, "pause": "30s"}, {"weight": 40, "gate": "Manual"}]}},
    });
    if asks {
        spec["route"] = json!({"gatewayApi": {"parentRefs": [{"name": "public"}]}});
    }
    spec
}

/// A model that serves and whose status tells of its route.
fn world() -> (World, String) {
    let (mut world, version) = World::rolled_out(spec("one", true));
    assert!(world.observed.routes.found.is_empty(), "no status tells of it yet");
    world.conditions = serde_json::from_value(json!([{
        "type": "RouteAccepted", "status": "Unknown", "reason": "RoutePending", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]))
    .unwrap();
    (world, version)
}

fn shares(plan: &Plan) -> Vec<(String, i32)> {
    let rules = plan.route.iter().flat_map(|route| &route.spec.rules);
    let backends = rules.flat_map(|rule| &rule.backend_refs);
    backends.map(|it| (it.name.clone(), it.weight)).collect()
}

#[test]
fn versions_get_the_shares_of_their_trial() {
    let (mut world, first) = world();
    let service = |version: &str| format!("m-{version}");
    let plan = world.step(&wanted(spec("one", true)), 0);
    assert_eq!(shares(&plan), [(service(&first), 100)]);

    let next = wanted(spec("two", true));
    let plan = world.step(&next, 10);
    let second = plan.target.version().unwrap().name.clone();
    assert_eq!(shares(&plan), [(service(&first), 100)], "it is not ready");
    for deployment in &mut world.observed.deployments {
        let status = json!({"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "readyReplicas": 1});
        deployment.status = serde_json::from_value(status).unwrap();
    }
    let mut weight = |second_of: i64| {
        let plan = world.step(&next, second_of);
        if let Some(Course::On(state, ..)) = &plan.trial {
            world.canary = Some(state.clone());
        }
        shares(&plan)
    };
    assert_eq!(weight(20), [(service(&first), 90), (service(&second), 10)]);
    assert_eq!(weight(60), [(service(&first), 60), (service(&second), 40)]);
    // Every step is done: it keeps its share until it has taken over.
    world.promoted = Some(format!("{second}/2"));
    let plan = world.step(&next, 70);
    assert_eq!(plan.trial, Some(Course::Over));
    assert_eq!(shares(&plan), [(service(&first), 60), (service(&second), 40)]);
    (world.current, world.canary) = (Some(second.clone()), None);
    let plan = world.step(&next, 80);
    assert_eq!(shares(&plan), [(service(&second), 100)]);
    assert_eq!(plan.retire, [service(&first)], "what drains gets nothing");
}

#[test]
fn a_route_goes_with_its_field_and_waits_for_the_api() {
    let (mut world, _) = world();
    world.step(&wanted(spec("one", true)), 0);
    assert_eq!(world.observed.routes.found.len(), 1);
    let is_route = |plan: &Plan| plan.delete.iter().any(|it| it.kind == Kind::HttpRoute);
    let plan = world.step(&wanted(spec("one", true)), 10);
    assert!(plan.route.is_some() && !is_route(&plan));
    let plan = world.plan(&wanted(spec("one", false)), 20);
    assert!(plan.route.is_none());
    assert!(is_route(&plan));

    world.observed.routes = crate::controllers::common::gateway_api::Routes {
        found: Vec::new(),
        trouble: Some(Trouble::new(reasons::GATEWAY_API_MISSING, "")),
    };
    let plan = world.plan(&wanted(spec("one", true)), 30);
    assert!(plan.route.is_none() && !is_route(&plan));
    assert_eq!(plan.children.len(), 1, "everything else goes on");
}
